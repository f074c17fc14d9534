"""The plot of accuracies, one strip per paper. The browser draws it in the colours and the width of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repro.judge.headline_runs import HeadlineRuns
from repro.report.figures.accuracy import marks_of
from repro.report.front import verdicts
from repro.text import units
from repro.text.document import Inline

MARK_PX, TOP_PX, MIDDLE = 22, 12, 50.0


@dataclass(frozen=True)
class PlotMark:
    """A value in per cent on a strip. low, high: its interval. right: whether its words are on its right."""

    series: str
    value: float
    note: str
    y: int
    low: float | None = None
    high: float | None = None

    @property
    def right(self) -> bool:
        return self.value < MIDDLE


@dataclass(frozen=True)
class Strip:
    """One paper. alternative: the strip in words."""

    paper: str
    what: str
    marks: tuple[PlotMark, ...]
    answers: tuple[tuple[str, Inline], ...]

    @property
    def height(self) -> int:
        return 2 * TOP_PX + MARK_PX * (len(self.marks) - 1)

    @property
    def alternative(self) -> str:
        return f"{self.paper}, accuracy: {'; '.join(f'{mark.series} {mark.note}' for mark in self.marks)}"


def strips(ranked: Sequence[HeadlineRuns]) -> list[Strip]:
    """Strips in the order given; a headline that is not a fraction has no strip."""
    return [_strip(one) for one in ranked if one.claim.unit == "fraction"]


def _strip(one: HeadlineRuns) -> Strip:
    reported = PlotMark("reported", 100 * one.claim.value, f"{units.reported(one.claim)} reported", TOP_PX)
    marks = [reported]
    for mark in marks_of(one):
        y = TOP_PX + MARK_PX * len(marks)
        words = units.percentage_of([value / 100 for value in mark.runs])
        marks.append(PlotMark(mark.series, mark.value, words, y, mark.low, mark.high))
    split = f"on its {one.claim.split} samples" if one.claim.split else ""
    return Strip(one.paper.id, split, tuple(marks), verdicts(one))
