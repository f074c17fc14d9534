"""The available papers, and how a name on the command line becomes a spec."""

from __future__ import annotations

from pathlib import Path

from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec, SpecError, load_spec
from repro.specs.protocols import AS_PUBLISHED

TEMPLATE = "TEMPLATE.toml"


def papers_folder() -> Path:
    """The specs: inside the installed package, or at the top of the checkout."""
    inside = Path(__file__).parents[1] / "papers"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "papers"


def paper_files() -> list[Path]:
    """The spec files that come with the suite, by name."""
    return sorted(path for path in papers_folder().glob("*.toml") if path.name != TEMPLATE)


def all_papers() -> list[LoadedSpec]:
    return [load_spec(path) for path in paper_files()]


def find_paper(name: str) -> LoadedSpec:
    """A paper by its id, or by the path of a spec file anywhere (it ends in .toml or holds a slash).

    Raises SpecError naming the available papers.
    """
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return load_spec(Path(name))
    path = papers_folder() / f"{name}.toml"
    if path not in paper_files():
        known = ", ".join(p.stem for p in paper_files())
        raise SpecError(
            f"no paper {name!r}; there are: {known}; a spec of your own is given by its path: ./{name}.toml"
        )
    return load_spec(path)


def paper_argument(paper: str, path: Path) -> str:
    """The name of a paper on a command line: its id if it is bundled, else its file."""
    bundled = path.resolve() in [one.resolve() for one in paper_files()]
    return paper if bundled else str(path)


def run_command(paper: str, variant: str = DEFAULT_VARIANT, protocol: str = AS_PUBLISHED) -> str:
    """The command that runs a paper; defaults go unsaid. paper: as `paper_argument` gives it, or an id."""
    words = ["repro run", paper]
    words += [] if variant == DEFAULT_VARIANT else ["--variant", variant]
    words += [] if protocol == AS_PUBLISHED else ["--protocol", protocol]
    return " ".join(words)
