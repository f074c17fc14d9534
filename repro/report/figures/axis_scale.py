"""Scales of the axes that carry values: per cent, durations, logarithms."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from repro.report.figures.figure_data import AxisScale

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FINE = {"s": (1, 2, 5, 10, 20, 30), "min": (1, 2, 5, 10, 20, 30), "h": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)}
_COARSE = {"s": (0.1, 1, 10), "min": (1, 10), "h": (1, 10, 100, 1000)}
WIDE = 30.0  # if the ends have at least this ratio, the coarse ticks are enough


def is_log(scale: AxisScale) -> bool:
    return scale in ("log", "duration")


def set_ticks(axis: Axis, scale: AxisScale, values: Sequence[float]) -> None:
    """Ticks labelled with their unit: durations in seconds, minutes and hours. values: those drawn."""
    low, high = min(values), max(values)
    if scale == "duration":
        ticks = _COARSE if high / low > WIDE else _FINE
        at = {count * _SECONDS[unit]: f"{count} {unit}" for unit, counts in ticks.items() for count in counts}
        axis.set_major_locator(FixedLocator(list(at)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: at.get(x, "")))
        axis.set_minor_locator(NullLocator())
    elif scale == "log":
        # Within two decades, powers of ten alone would give only one or two ticks.
        axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10f}".rstrip("0").rstrip(".")))
        axis.set_minor_locator(NullLocator())
