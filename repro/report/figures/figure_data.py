"""What a figure shows, as plain data: `drawing.py` draws it, `repro report --check` compares its digest."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

# Part of every digest. Raise it when the same data are drawn differently, so that committed figures become stale.
DRAWING_VERSION = 2
DIGEST_DIGITS = 6  # significant: the last bits of a quantile depend on the version of SciPy

AxisScale = Literal["percent", "linear", "log", "duration"]


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all parts of a figure. Values are in the unit that the axis names."""


class Mark(_Shown, frozen=True, kw_only=True):
    """A value with its interval (None if unknown), the single runs behind it, and the words beside it."""

    series: str
    value: float
    low: float | None = None
    high: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""


class AxisRow(_Shown, frozen=True, kw_only=True):
    """Marks below each other at one label of the vertical axis; `note` is at the right end."""

    label: str
    marks: tuple[Mark, ...]
    note: str = ""


class Dots(_Shown, frozen=True, kw_only=True, tag="dots"):
    """Values along a horizontal axis, in rows."""

    title: str
    axis: str
    scale: AxisScale
    rows: tuple[AxisRow, ...]


class Line(_Shown, frozen=True, kw_only=True):
    """Points (x, y), with a band from `low` to `high` if both are given."""

    series: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Curves(_Shown, frozen=True, kw_only=True, tag="curves"):
    """Lines over a horizontal axis. verticals: (x, label)."""

    title: str
    x_axis: str
    y_axis: str
    scale: AxisScale
    lines: tuple[Line, ...]
    verticals: tuple[tuple[float, str], ...] = ()


class ConfusionMatrix(_Shown, frozen=True, kw_only=True, tag="matrix"):
    """A confusion matrix: counts[label][predicted], and the same in per cent of the label's samples."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]
    percentages: tuple[tuple[float, ...], ...]


class Face(_Shown, frozen=True, kw_only=True):
    """An image of the dataset and the words below it."""

    origin: int
    words: str


class FaceSheet(_Shown, frozen=True, kw_only=True, tag="faces"):
    """Images of the dataset that `fingerprint` names, in reading order."""

    fingerprint: str
    faces: tuple[Face, ...]


Panel = Dots | Curves | ConfusionMatrix | FaceSheet


class FigureData(_Shown, frozen=True, kw_only=True):
    """One figure.

    name: of its files. paper: the paper whose page shows it; None for all papers together. alternative: the alt text.
    legend: what each series is, by its key in `styles.py`. panels: in rows, from the top.
    """

    name: str
    title: str
    paper: str | None
    alternative: str
    caption: str
    legend: dict[str, str]
    panels: tuple[tuple[Panel, ...], ...]

    @property
    def digest(self) -> str:
        """SHA-256 over all that is shown and DRAWING_VERSION: equal digests, equal figures."""
        shown = [DRAWING_VERSION, _rounded(msgspec.to_builtins(self))]
        return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{DIGEST_DIGITS}g}"
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
