"""Tables that compare a paper's curves and confusion matrices with those of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.judge.groups import GroupKey, PaperRuns, distinguish
from repro.judge.measured_curves import MeasuredCurve, measure_curve
from repro.runs.records import RunRecord
from repro.specs.spec import ClaimTable, Curve
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Paragraph, Section, code, count, say, table

NOTHING = "\u2014"
CURVES_TITLE, MATRICES_TITLE = "Curves", "Confusion matrices"
CURVE_COLUMNS = (
    Column("Curve"),
    Column("What"),
    Column("Variant"),
    Column("Points", "right"),
    Column("Reported, first to last", "right"),
    Column("Measured", "right"),
    Column("Largest difference", "right"),
    Column("Device"),
    Column("Place and remarks"),
)
MATRIX_COLUMNS = (
    Column("Matrix"),
    Column("Of"),
    Column("Variant"),
    Column("Cells"),
    Column("In other cells", "right"),
    Column("Device"),
    Column("Place and remarks"),
)
MATRIX_LEGEND = """\
In other cells: the share of all samples that would have to move to another cell to turn the run's matrix into the
paper's (total variation distance), mean of the runs. Two runs of one network differ too."""


def curve_rows(paper: PaperRuns) -> list[list[Cell | Inline]]:
    """One row per curve, device and dataset that measured it; one row for a curve that no run measured."""
    assert paper.loaded is not None
    rows: list[list[Cell | Inline]] = []
    for curve in paper.loaded.spec.curves:
        first, last = curve.points[0], curve.points[-1]
        when = "epochs" if curve.epochs else "steps"
        what: list[Cell | Inline] = [
            code(curve.id),
            f"{curve.quantity}, {curve.split}, {when} {curve.moments[0]:,} to {curve.moments[-1]:,}",
            code(curve.variant),
            count(len(curve.values)),
            Cell(f"{units.reported(first)} to {units.reported(last)}", first.value),
        ]
        place = " ".join(text for text in (f"{curve.place}.", curve.note, curve.not_measured) if text)
        found = 0
        for key, records in _pools(paper, curve.variant):
            measured = measure_curve(curve, records)
            if measured is not None:
                rows.append([*what, *_curve_cells(curve, measured), distinguish(*key), place])
                what = ["" for _ in what]
                place, found = "", found + 1
        if not found:
            rows.append([*what, "not measured" if curve.not_measured else "not run", NOTHING, NOTHING, place])
    return rows


def _curve_cells(curve: Curve, measured: MeasuredCurve) -> tuple[Cell, Cell]:
    """(first to last value with the number of runs, the largest difference of the mean and its place)."""
    points, std = curve.points, measured.std
    ends = [
        units.mean_and_spread(points[i], float(measured.mean[i]), None if std is None else float(std[i]))
        for i in (0, -1)
    ]
    worst = int(np.abs(measured.mean - np.array(curve.values)).argmax())
    when = "epoch" if curve.epochs else "step"
    change = units.difference(points[worst], float(measured.mean[worst]))
    return (
        Cell(f"{ends[0]} to {ends[1]} (n = {measured.n})", float(measured.mean[0])),
        Cell(f"{change} at {when} {curve.moments[worst]:,}", float(measured.mean[worst]) - curve.values[worst]),
    )


def matrix_rows(paper: PaperRuns) -> list[list[Cell | Inline]]:
    """One row per confusion matrix, device and dataset that measured it."""
    assert paper.loaded is not None
    rows: list[list[Cell | Inline]] = []
    for matrix in paper.loaded.spec.tables:
        if not matrix.cells:
            continue
        size = len(matrix.classes)
        kind = "counts" if matrix.unit == "rows" else f"shares of {_of_words(matrix)}, {matrix.unit}"
        cells_of = f"{size} x {size}, {kind}"
        what: list[Cell | Inline] = [code(matrix.id), matrix.split, code(matrix.variant), cells_of]
        place = " ".join(text for text in (f"{matrix.place}.", matrix.note, matrix.not_measured) if text)
        found = 0
        for key, records in _pools(paper, matrix.variant):
            distances = [one for record in records if (one := matrix_distance(matrix, record)) is not None]
            if distances and not matrix.not_measured:
                moved = Cell(units.percentage_of(distances), float(np.mean(distances)))
                rows.append([*what, moved, distinguish(*key), place])
                what = ["" for _ in what]
                place, found = "", found + 1
        if not found:
            rows.append([*what, "not measured" if matrix.not_measured else "not run", NOTHING, place])
    return rows


def _of_words(matrix: ClaimTable) -> str:
    return {"all": "all samples", "row": "each actual class", "column": "each predicted class"}[matrix.of]


def matrix_distance(matrix: ClaimTable, record: RunRecord) -> float | None:
    """Total variation distance, 0 to 1, between the shares of the paper's matrix and those of a run; None if the run
    recorded no matrix of the split.

    Shares of rows (columns) are compared row by row (column by column), each weighted by the run's samples in it.
    """
    metrics = record.metrics.get(matrix.split)
    if metrics is None or metrics.confusion is None:
        return None
    order = [EMOTIONS.index(name) for name in matrix.classes]
    ours = np.asarray(metrics.confusion, np.float64)[np.ix_(order, order)]
    theirs = np.asarray(matrix.cells, np.float64)
    if not ours.sum() or not theirs.sum():
        return None
    ours = ours / ours.sum()
    if matrix.of in ("row", "column"):
        axis = 1 if matrix.of == "row" else 0
        sums = theirs.sum(axis, keepdims=True)
        theirs = np.divide(theirs, sums, out=np.zeros_like(theirs), where=sums > 0) * ours.sum(axis, keepdims=True)
    else:
        theirs = theirs / theirs.sum()
    return float(np.abs(ours - theirs).sum() / 2)


def _pools(paper: PaperRuns, variant: str) -> Iterator[tuple[tuple[GroupKey, Sequence[GroupKey]], list[RunRecord]]]:
    """((key, keys of the variant), full runs) of each group that can measure claims."""
    groups = [group for group in paper.comparable if group.variant == variant]
    keys = sorted({group.key for group in groups})
    for key in keys:
        records = [r for group in groups if group.key == key for r in group.records if r.status == "done"]
        yield (key, keys), records


def grouped_blocks(paper: PaperRuns) -> list[Block]:
    """The tables of curves and of matrices with their headings; empty if the paper has none."""
    blocks: list[Block] = []
    if curves := curve_rows(paper):
        blocks.append(Section(CURVES_TITLE, (table(CURVE_COLUMNS, curves),)))
    if matrices := matrix_rows(paper):
        blocks.append(Section(MATRICES_TITLE, (table(MATRIX_COLUMNS, matrices), Paragraph(say(MATRIX_LEGEND)))))
    return blocks
