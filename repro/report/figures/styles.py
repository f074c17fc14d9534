"""Colour, marker and line of every series, distinct for colour-blind readers and in black and white."""

from __future__ import annotations

from typing import Literal, NamedTuple

# Okabe & Ito 2008, Color Universal Design: eight colours that the common kinds of colour blindness keep apart.
BLACK, ORANGE, GREEN = "#000000", "#E69F00", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"


class Style(NamedTuple):
    """line: as matplotlib names it, empty for points alone. filled: whether the marker is."""

    colour: str
    marker: str
    line: Literal["", "-", "--", "-.", ":"] = ""
    filled: bool = True


# Reported values are black or hollow everywhere; values measured here are filled and in colour.
STYLES = {
    "reported": Style(BLACK, "D", filled=False),
    "as-published": Style(VERMILION, "o"),
    "official": Style(BLUE, "s"),
    "clean": Style(GREEN, "^"),
    "train": Style(ORANGE, "", "--"),
    "evaluated": Style(BLUE, "", "-"),
    "minibatch": Style(ORANGE, ".", "--"),
    "reported-train": Style(BLACK, "s", filled=False),
    "reported-evaluated": Style(BLACK, "D"),
    "reported-evaluated-line": Style(BLACK, "D", "-", filled=False),
    "reported-minibatch-line": Style(BLACK, "x", ":", filled=False),
    "cpu-here": Style(BLUE, "o", "-"),
    "gpu-here": Style(VERMILION, "^", "-"),
    "cpu-there": Style(BLUE, "o", ":", filled=False),
    "gpu-there": Style(VERMILION, "^", ":", filled=False),
    "setting-1": Style(BLUE, "o", "-"),
    "setting-2": Style(VERMILION, "s", "--"),
    "setting-3": Style(GREEN, "^", "-."),
    "setting-4": Style(PURPLE, "D", ":"),
}
