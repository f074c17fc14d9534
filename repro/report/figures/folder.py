"""The figures of a results folder: list them, draw those whose data changed, and check all.

``results/figures/`` holds each figure as SVG and PNG, which carry the digest of what they show. The bytes for the same
data change with library versions, so the check compares digests, and needs no matplotlib.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repro.audit.records import AuditRecord
from repro.judge.copies import CopiesFinding
from repro.judge.groups import PaperRuns
from repro.judge.main_claim import headline
from repro.report.figures.accuracy import accuracy_figure
from repro.report.figures.classes import confusion_figure, recall_figure
from repro.report.figures.copies import copies_figure
from repro.report.figures.figure_data import FigureData
from repro.report.figures.learning import learning_figure
from repro.report.figures.mistakes import mistake_figures
from repro.report.figures.shown_runs import shown_runs
from repro.report.figures.steps import steps_figure
from repro.report.figures.sweeps import sweep_figures
from repro.report.figures.times import times_figure
from repro.runs.dataset import Dataset
from repro.runs.record_files import write_atomically
from repro.specs.decode import LoadedSpec

FOLDER, MISTAKES_FOLDER = "figures", "mistakes"
# `.narrow.svg` is for a phone: the same panels one below another.
FORMS = ("svg", "narrow.svg", "png")
# Drawn by `write_mistakes` from a run on synthetic faces, the only ones that may be published. No record shows whether
# it is current, so the check skips it.
SYNTHETIC_MISTAKES = "mistakes-synthetic"
NOT_INSTALLED = "figures not drawn: matplotlib is not installed (pip install 'fer-repro[report]')"
_MARK = re.compile(r"fer-repro:[0-9a-f]{64}")


class Gallery(NamedTuple):
    """missing: the figures that cannot be drawn because runs are missing, one sentence each."""

    figures: tuple[FigureData, ...]
    missing: tuple[str, ...]


class IndexEntry(NamedTuple):
    """A figure to embed. svg, narrow, png: paths relative to the results folder. paper: None for all papers."""

    svg: str
    narrow: str
    png: str
    title: str
    alternative: str
    caption: str
    paper: str | None


def figures_available() -> bool:
    """Whether figures can be drawn here; if not, NOT_INSTALLED says what to do. The check needs no packages."""
    return find_spec("matplotlib") is not None


def gallery_of(
    papers: Sequence[PaperRuns],
    compared: Sequence[PaperRuns],
    audits: Sequence[AuditRecord],
    copies: Sequence[CopiesFinding],
) -> Gallery:
    """All figures to show. papers: with their runs, in order. compared: those that the figures of all papers show.
    audits: the current ones, of any papers."""
    papers, compared = ([one for one in some if one.loaded is not None] for some in (papers, compared))
    shown = [one for one in copies if one.paper in {paper.id for paper in compared}]
    figures = [accuracy_figure(compared, audits), copies_figure(shown), times_figure(compared)]
    missing: list[str] = []
    for paper in papers:
        drawn, waiting = _of_paper(paper)
        figures += drawn
        missing += waiting
    return Gallery(tuple(figure for figure in figures if figure), tuple(missing))


def _of_paper(paper: PaperRuns) -> tuple[list[FigureData | None], list[str]]:
    runs = shown_runs(paper)
    figures: list[FigureData | None] = []
    missing = []
    if runs is not None:
        figures += [learning_figure(runs), steps_figure(runs), confusion_figure(runs), recall_figure(runs)]
    elif headline(paper):
        missing.append(f"{paper.id}: no full run on real faces yet; `repro run {paper.id}` makes one")
    else:
        missing.append(f"{paper.id}: the spec has no main figure (`headline`), which the figures are about")
    drawn, waiting = sweep_figures(paper)
    return [*figures, *drawn], [*missing, *waiting]


def index_entry(figure: FigureData) -> IndexEntry:
    return IndexEntry(
        svg=f"{FOLDER}/{figure.name}.svg",
        narrow=f"{FOLDER}/{figure.name}.narrow.svg",
        png=f"{FOLDER}/{figure.name}.png",
        title=figure.title,
        alternative=figure.alternative,
        caption=figure.caption,
        paper=figure.paper,
    )


def write_figures(results: Path, gallery: Gallery) -> list[Path]:
    """Draw what changed and delete our figures that no longer have data. Return the files written. Needs matplotlib."""
    folder = results / FOLDER
    for path in _extra(folder, gallery.figures):
        if read_mark(path):
            path.unlink()
    return [path for figure in gallery.figures for path in write_figure(folder, figure, FORMS)]


def check_figures(results: Path, gallery: Gallery) -> list[str]:
    """A line for every figure that is missing, shows other data than the records, or has no data."""
    folder = results / FOLDER
    lines = [
        f"{FOLDER}/{path.name}: {'shows other data than the records' if path.exists() else 'missing'}"
        for figure in gallery.figures
        for path in _stale(folder, figure, FORMS)
    ]
    return lines + [f"{FOLDER}/{path.name}: no record belongs to it" for path in _extra(folder, gallery.figures)]


def write_mistakes(results: Path, specs: Sequence[LoadedSpec], dataset: Dataset) -> tuple[list[Path], list[str]]:
    """Draw the most confident mistakes of the runs on this dataset in ``results/mistakes/``, which must never be
    published. Return the files that changed, and in words why other runs have no sheet. Needs matplotlib.

    For synthetic faces, the first run's sheet is also written to ``results/figures/``.
    Raises RecordError for a record that cannot be read.
    """
    figures, left_out = mistake_figures(results, specs, dataset)
    images = dataset.faces.images
    written = [
        p for figure in figures for p in write_figure(results / MISTAKES_FOLDER, figure, ("png",), images=images)
    ]
    if dataset.faces.synthetic and figures:
        written += write_figure(results / FOLDER, figures[0], ("png",), images=images, name=SYNTHETIC_MISTAKES)
    return written, left_out


def read_mark(path: Path) -> str:
    """'fer-repro:' and the digest in a figure's file; empty for a file of other origin."""
    if not path.is_file():  # a pipe would never end
        text = ""
    elif path.suffix == ".svg":
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                text = str(image.info.get("Identifier", ""))
        except (OSError, UnidentifiedImageError):
            text = ""
    found = _MARK.search(text)
    return found.group() if found else ""


def _mark(figure: FigureData) -> str:
    return f"fer-repro:{figure.digest}"


def _stale(folder: Path, figure: FigureData, forms: Sequence[str], name: str = "") -> list[Path]:
    """Files of the figure that are missing or carry another digest."""
    mark = _mark(figure)
    paths = [folder / f"{name or figure.name}.{form}" for form in forms]
    return [path for path in paths if not path.exists() or read_mark(path) != mark]


def _extra(folder: Path, figures: Sequence[FigureData]) -> Iterator[Path]:
    expected = {figure.name for figure in figures} | {SYNTHETIC_MISTAKES}
    for path in sorted(folder.glob("*")):
        if path.suffix.removeprefix(".") in ("svg", "png") and path.stem.removesuffix(".narrow") not in expected:
            yield path


def write_figure(
    folder: Path, figure: FigureData, forms: Sequence[str], *, images: np.ndarray | None = None, name: str = ""
) -> list[Path]:
    """Draw the forms whose file is missing or shows something else, and return their paths. Needs matplotlib."""
    stale = _stale(folder, figure, forms, name)
    if not stale:
        return []
    from repro.report.figures.drawing import draw  # here, because it needs matplotlib

    start = f"{name or figure.name}."
    drawn = draw(figure, _mark(figure), images, [path.name.removeprefix(start) for path in stale])
    return [write_atomically(path, drawn[path.name.removeprefix(start)]) for path in stale]
