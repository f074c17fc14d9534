"""The available papers, and how a name on the command line becomes a spec.

Bundled specs come with the suite, in two collections: the papers, and the models that people use, whose sources are
programs. What runs or reports everything takes the papers; a model takes part when it is named, or once it has records.
Own papers are files of the user. Every run keeps the file of an own paper in its results folder, as
``specs/<id>.toml``; from then on the paper has a name there.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fer_jax.vocabulary.counted import counted
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec, SpecError, load_spec
from repro.specs.nearest import hint
from repro.specs.protocols import AS_PUBLISHED

Collection = Literal["papers", "models"]
COLLECTIONS: tuple[Collection, ...] = get_args(Collection)
TEMPLATE = "TEMPLATE.toml"
RESULTS = Path("results")  # the default of --results
KEPT_FOLDER = "specs"  # in a results folder
MOST_KEPT = 100
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


def papers_folder() -> Path:
    """The specs: inside the installed package, or at the top of the checkout."""
    inside = Path(__file__).parents[1] / "papers"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "papers"


def paper_files(*collections: Collection) -> list[Path]:
    """The spec files that come with the suite: those of each collection by name; of all collections by default."""
    folders = {"papers": papers_folder(), "models": papers_folder() / "models"}
    found = [sorted(folders[collection].glob("*.toml")) for collection in collections or COLLECTIONS]
    return [path for paths in found for path in paths if path.name != TEMPLATE]


def bundled_papers(*collections: Collection) -> list[LoadedSpec]:
    """The papers that come with the suite, or the specs of these collections."""
    return [load_spec(path) for path in paper_files(*(collections or ("papers",)))]


def collection_of(paper: str) -> Collection | None:
    """The collection that a spec comes with; None for an own paper."""
    return next((one for one in COLLECTIONS if paper in {path.stem for path in paper_files(one)}), None)


def is_model(paper: str) -> bool:
    """Whether a spec of this id is one of the bundled models."""
    return collection_of(paper) == "models"


def is_bundled(paper: str) -> bool:
    """Whether a spec of this id comes with the suite."""
    return collection_of(paper) is not None


def place_in_lists(paper: str) -> int:
    """Sorts own papers before those that come with the suite, and models behind both."""
    found = collection_of(paper)
    return 0 if found is None else 1 + COLLECTIONS.index(found)


def recorded_models(results: Path) -> list[LoadedSpec]:
    """The bundled models that a results folder has runs, audits or explanations of."""
    kinds = ("runs", "audit", "explain")
    return [load_spec(path) for path in paper_files("models") if _is_recorded(results, kinds, path.stem)]


def _is_recorded(results: Path, kinds: tuple[str, ...], paper: str) -> bool:
    return any((results / kind / paper).is_dir() for kind in kinds)


# --- own papers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnPapers:
    """The kept specs of a results folder, by id. unusable: one line for each other file, with the reason."""

    papers: tuple[LoadedSpec, ...] = ()
    unusable: tuple[str, ...] = ()


def kept_path(results: Path, paper: str) -> Path:
    """Where a results folder keeps the spec of an own paper."""
    return results / KEPT_FOLDER / f"{paper}.toml"


def own_papers(results: Path) -> OwnPapers:
    """The own papers of a results folder. The folder may be a stranger's: what cannot be used is said, never raised."""
    found: list[LoadedSpec] = []
    unusable: list[str] = []
    # Names with a second dot are older versions: <id>.<digest>.toml.
    paths = sorted(path for path in (results / KEPT_FOLDER).glob("*.toml") if "." not in path.stem)
    for path in paths[:MOST_KEPT]:
        try:
            path.as_posix().encode()  # no report can hold a name that is not UTF-8
            found.append(_kept(path))
        except SpecError as error:
            unusable.append(str(error))
        except UnicodeEncodeError:
            shown = path.as_posix().encode(errors="backslashreplace").decode()
            unusable.append(f"{shown}: the file's name is not UTF-8; rename it")
    if len(paths) > MOST_KEPT:
        unusable.append(f"{results / KEPT_FOLDER}: {counted(len(paths), 'spec')}; the first {MOST_KEPT} are read")
    return OwnPapers(tuple(found), tuple(unusable))


def _kept(path: Path) -> LoadedSpec:
    """A spec of a results folder. Raises SpecError for what no run can have kept there."""
    if not stat.S_ISREG(path.lstat().st_mode):  # a link would show a file from elsewhere, a pipe would never end
        raise SpecError(f"{path}: not a regular file (a link, a pipe or a folder)")
    loaded = load_spec(path)
    if loaded.id != path.stem:
        raise SpecError(f"{path}: the spec of {loaded.id!r}; rename it to {loaded.id}.toml")
    if is_bundled(loaded.id):
        raise SpecError(f"{path}: {_taken(loaded.id)}")
    return loaded


def _taken(paper: str) -> str:
    return f"paper.id: {paper!r} is a paper that comes with the suite; give your own another id"


# --- by name ----------------------------------------------------------------------------------------------------------


def all_papers(results: Path = RESULTS) -> list[LoadedSpec]:
    """The own papers of a results folder, the bundled papers, and the bundled models that the folder has records of.
    Raises SpecError if a bundled one cannot be used."""
    return [*own_papers(results).papers, *bundled_papers(), *recorded_models(results)]


def find_paper(name: str, results: Path = RESULTS) -> LoadedSpec:
    """A paper by its id, bundled or kept in the results folder, or by the path of a spec file anywhere (it ends in
    .toml or holds a slash).

    Raises SpecError naming the available papers, and for a file that has the id of a bundled paper.
    """
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return _own_file(Path(name))
    if bundled := [path for path in paper_files() if path.stem == name]:
        return load_spec(bundled[0])
    if ID.fullmatch(name) and kept_path(results, name).exists():
        return _kept(kept_path(results, name))
    own = [path.stem for path in sorted((results / KEPT_FOLDER).glob("*.toml")) if ID.fullmatch(path.stem)]
    if Path(name).is_file():
        raise SpecError(f"{name}: a file whose name does not end in .toml; a spec of your own is a .toml file")
    known = [*own[:MOST_KEPT], *(path.stem for path in paper_files())]
    raise SpecError(
        f"no paper {name!r}; accepted: {', '.join(known)}; a spec of your own is given by its path: ./{name}.toml"
        f"{hint(name, known)}"
    )


def _own_file(path: Path) -> LoadedSpec:
    """Raises SpecError for an id that a bundled paper has, unless the file is that paper's."""
    loaded = load_spec(path)
    bundled = [file for file in paper_files() if file.stem == loaded.id]
    if bundled and loaded.content != bundled[0].read_bytes():
        raise SpecError(f"{path}: {_taken(loaded.id)}")
    return loaded


def paper_argument(paper: str, path: Path) -> str:
    """The name of a paper on a command line: its id if it is bundled or kept in the default results folder, else its
    file."""
    known = [*paper_files(), kept_path(RESULTS, paper)]
    return paper if path.resolve() in [one.resolve() for one in known] else str(path)


def run_command(paper: str, variant: str = DEFAULT_VARIANT, protocol: str = AS_PUBLISHED) -> str:
    """The command that runs a paper; defaults go unsaid. paper: as `paper_argument` gives it, or an id."""
    words = ["repro run", paper]
    words += [] if variant == DEFAULT_VARIANT else ["--variant", variant]
    words += [] if protocol == AS_PUBLISHED else ["--protocol", protocol]
    return " ".join(words)
