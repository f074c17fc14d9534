"""Lines with their bands over epochs or steps."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from repro.report.figures.axis_scale import is_log, set_ticks
from repro.report.figures.figure_data import Curves, Line
from repro.report.figures.styles import STYLES

HEIGHT_IN = 2.35
FEW_POINTS = 20  # up to this number each point has a marker; more markers would hide the line


def curves_height(panel: Curves) -> float:
    """Inches."""
    return HEIGHT_IN + (0.2 if panel.title else 0.0)


def draw_curves(axes: Axes, panel: Curves, *, named: bool) -> None:
    """named: whether to label the vertical axis here; panels of a row may share it."""
    for line in panel.lines:
        _draw_line(axes, line)
    for x, what in panel.verticals:
        axes.axvline(x, color="#555555", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(
            f"{x:,.0f}: {what}",
            (x, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
        )
    if is_log(panel.scale):
        axes.set_yscale("log")
    if panel.scale != "linear":
        set_ticks(axes.yaxis, panel.scale, [y for line in panel.lines for y in line.y])
    wide = max(x for line in panel.lines for x in line.x) >= 1000
    axes.xaxis.set_major_locator(MaxNLocator(4 if wide else 6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_xlabel(panel.x_axis)
    if named:
        axes.set_ylabel(panel.y_axis)
    else:
        axes.tick_params(labelleft=False)
    axes.set_title(panel.title, loc="left")


def _draw_line(axes: Axes, line: Line) -> None:
    style = STYLES[line.series]
    marked = not style.line or len(line.x) <= FEW_POINTS
    if line.low:
        low = [max(value, 0.0) for value in line.low]  # no accuracy, loss or rate is negative
        axes.fill_between(line.x, low, line.high, color=style.colour, alpha=0.2, linewidth=0)
    axes.plot(
        line.x,
        line.y,
        color=style.colour,
        linestyle=style.line or "None",
        linewidth=1.5,
        marker=style.marker if marked else "None",
        markerfacecolor=style.colour if style.filled else "white",
        markersize=5,
        zorder=3 if not style.filled or not style.line else 2,
    )
