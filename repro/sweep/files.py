"""Sweep files: a search of a paper in TOML, with the source of every value. Those of the suite are in papers/sweeps."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.specs.accepted import explain
from repro.specs.catalog import papers_folder
from repro.specs.protocols import OFFICIAL, RUNNABLE
from repro.specs.spec import Name, NonEmpty, Provenance, SpecStruct
from repro.sweep.dimension import SamplerName
from repro.sweep.errors import SweepError

LARGEST_FILE = 200_000  # bytes


class SweptSetting(SpecStruct, frozen=True, kw_only=True):
    """set: as for --set. provenance: where its values come from, as in a spec; `of` may name single values."""

    set: NonEmpty
    provenance: Annotated[tuple[Provenance, ...], msgspec.Meta(min_length=1)]


class SweepFile(SpecStruct, frozen=True, kw_only=True):
    """figure: the plot of the paper that the search is about. trials: None for the whole grid. select: see --select."""

    format: Literal[1]
    paper: Name
    about: NonEmpty
    figure: int | None = None
    variant: NonEmpty = "default"
    protocol: NonEmpty = OFFICIAL
    sampler: SamplerName = "grid"
    trials: int | None = None
    select: str | None = None
    settings: Annotated[tuple[SweptSetting, ...], msgspec.Meta(min_length=1, max_length=100)]
    note: str = ""


def sweep_files() -> list[Path]:
    """Those that come with the suite."""
    return sorted((papers_folder() / "sweeps").glob("*.toml"))


def find_sweep_file(word: str) -> Path | None:
    """The file of a sweep by its name (``onghena-figure-2``) or path; None if the word names none."""
    named = {path.stem: path for path in sweep_files()}
    if word in named:
        return named[word]
    path = Path(word)
    return path if path.suffix == ".toml" and path.is_file() and _is_sweep(path) else None


def _is_sweep(path: Path) -> bool:
    """A spec's `paper` is a table, a sweep's is a name."""
    try:
        return isinstance(_toml(path).get("paper"), str)
    except SweepError:
        return False


def read_sweep_file(path: Path) -> SweepFile:
    """Raises SweepError."""
    raw = _toml(path)
    try:
        found = msgspec.convert(raw, SweepFile)
    except msgspec.ValidationError as error:
        raise SweepError(f"{path}: {explain(error, raw, SweepFile)}") from None
    if found.protocol not in RUNNABLE:
        raise SweepError(f"{path}: protocol: no protocol {found.protocol!r}; accepted: {', '.join(RUNNABLE)}")
    return found


def _toml(path: Path) -> dict[str, object]:
    try:
        content = path.read_bytes()
        if len(content) > LARGEST_FILE:
            raise SweepError(f"{path}: {counted(len(content), 'byte')}; a sweep has at most {LARGEST_FILE:,}")
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise SweepError(f"{path}: not valid TOML: {error}") from None
