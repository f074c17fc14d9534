"""Values with their intervals in rows along a horizontal axis, each with its words beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from matplotlib.axes import Axes

from repro.report.figures.axis_scale import is_log, set_ticks
from repro.report.figures.figure_data import AxisRow, Dots, Mark
from repro.report.figures.styles import STYLES

MARK_IN, LINE_IN, ROW_GAP_IN, AXIS_IN = 0.2, 0.17, 0.14, 0.62
ROOM = 0.55  # share of the axis: beyond it, a mark's words are on its left
GAP_POINTS = 7


def dots_height(panel: Dots) -> float:
    """Inches."""
    return AXIS_IN + sum(_row_height(row) for row in panel.rows)


def _row_height(row: AxisRow) -> float:
    lines = 1 + max(row.label.count("\n"), row.note.count("\n"))
    return ROW_GAP_IN + max(len(row.marks) * MARK_IN, lines * LINE_IN)


def draw_dots(axes: Axes, panel: Dots) -> None:
    low, high = _limits(panel)
    ticks, labels = [], []
    y = 0.0
    for row in panel.rows:
        height = _row_height(row)
        axes.axhspan(y, y + height, color=_band(len(ticks)), zorder=0)
        ticks.append(y + height / 2)
        labels.append(row.label)
        if row.note:
            axes.text(1.01, ticks[-1], row.note, transform=axes.get_yaxis_transform(), va="center", ha="left")
        first = ticks[-1] - (len(row.marks) - 1) * MARK_IN / 2
        for k, mark in enumerate(row.marks):
            _draw_mark(axes, mark, first + k * MARK_IN, _place(mark.value, low, high, panel))
        y += height
    if is_log(panel.scale):
        axes.set_xscale("log")
    set_ticks(axes.xaxis, panel.scale, [low, high])
    axes.set_xlim(low, high)
    axes.set_ylim(y, 0)
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#cccccc", linewidth=0.6)
    axes.set_xlabel(panel.axis)
    axes.set_title(panel.title, loc="left")


def _draw_mark(axes: Axes, mark: Mark, y: float, place: float) -> None:
    style = STYLES[mark.series]
    low, high = min([mark.value, *mark.runs]), max([mark.value, *mark.runs])
    if mark.low is not None and mark.high is not None:
        low, high = min(low, mark.low), max(high, mark.high)
        axes.plot([mark.low, mark.high], [y, y], color=style.colour, linewidth=1.6, marker="|", markersize=5)
    axes.plot(mark.runs, [y] * len(mark.runs), color=style.colour, marker="|", linestyle="", markersize=9, alpha=0.7)
    fill = style.colour if style.filled else "white"
    axes.plot([mark.value], [y], color=style.colour, marker=style.marker, markerfacecolor=fill, markersize=6)
    left = place > ROOM
    axes.annotate(
        mark.note,
        (low if left else high, y),
        xytext=(-GAP_POINTS if left else GAP_POINTS, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center_baseline",
        fontsize=8,
    )


def _limits(panel: Dots) -> tuple[float, float]:
    if panel.scale == "percent":
        return 0.0, 100.0
    values = list(_values(panel))
    low, high = min(values), max(values)
    if is_log(panel.scale):
        room = 0.15 * math.log10(high / low) + 0.15
        return low / 10**room, high * 10**room
    room = 0.1 * (high - low) or 1.0
    return low - room, high + room


def _values(panel: Dots) -> Iterator[float]:
    for row in panel.rows:
        for mark in row.marks:
            yield from (mark.value, *mark.runs)


def _place(value: float, low: float, high: float, panel: Dots) -> float:
    """The share of the axis to the left of the value."""
    if is_log(panel.scale):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _band(row: int) -> str:
    return "#eeeeee" if row % 2 == 0 else "#ffffff"
