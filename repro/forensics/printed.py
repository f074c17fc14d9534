"""The numbers that a printed value can mean: most values are rounded, and some are cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from repro.specs.spec import Claim

# How a number can have been printed as a value: rounded (or in full), only with digits cut off, or not at all.
Fit = Literal["rounded", "cut", "no"]

FLOAT32 = 2.0**-23  # relative distance of neighbouring float32 numbers, in which tools print unrounded fractions
_UNROUNDED_DECIMALS = 8  # nobody rounds to so many; such a figure is a float32 as the tool printed it
_IN_FULL = frozenset({"rows", "predicted_rows", "true_positives", "parameters", "steps", "setting"})
_SLACK = 1e-12  # relative; for the last bits of float64


@dataclass(frozen=True)
class RoundingInterval:
    """The numbers that print as a value. low to high: if it was rounded; low to below high_if_cut: if it was rounded
    or if digits were cut off."""

    value: float
    precision: float

    @property
    def low(self) -> float:
        return self.value - self.precision / 2

    @property
    def high(self) -> float:
        return self.value + self.precision / 2

    @property
    def high_if_cut(self) -> float:
        return self.value + self.precision

    def fit(self, low: float, high: float | None = None) -> Fit:
        """Whether a number between low and high (or at low) can have been printed so."""
        high = low if high is None else high
        slack = _SLACK * max(1.0, abs(self.value))
        if low <= self.high + slack and high >= self.low - slack:
            return "rounded"
        if low < self.high_if_cut - slack and high >= self.low - slack:
            return "cut"
        return "no"


def precision(claim: Claim) -> float:
    """Worth of the last reliable digit, in the claim's unit: its `resolution`; without one the last digit of its value.
    For a fraction with more digits than anybody rounds to, that of float32. 0 for counts and settings, which are
    printed in full unless a resolution above 1 says otherwise."""
    if claim.quantity in _IN_FULL and claim.resolution <= 1:
        return 0.0
    decimals = _decimals(claim.value)
    if decimals >= _UNROUNDED_DECIMALS:
        return abs(claim.value) * FLOAT32
    return claim.resolution or 10.0**-decimals


def window(claim: Claim) -> RoundingInterval:
    return RoundingInterval(claim.value, precision(claim))


def _decimals(value: float) -> int:
    text = f"{value!r}"
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2].rstrip("0"))
    return max(0, digits - int(exponent or 0))


def whole_counts(claimed: RoundingInterval, samples: int) -> tuple[int, int]:
    """(least, greatest) whole number k with k / samples in the window, rounded or cut; none if least > greatest."""
    slack = _SLACK * samples
    if_rounded = math.floor(claimed.high * samples + slack)
    if_cut = math.ceil(claimed.high_if_cut * samples - slack) - 1
    return math.ceil(claimed.low * samples - slack), max(if_rounded, if_cut)


def best(fits: list[Fit]) -> Fit:
    """The best fit among several numbers that a value may be. "no" for none."""
    return "rounded" if "rounded" in fits else "cut" if "cut" in fits else "no"


def is_share(claimed: RoundingInterval, samples: int) -> bool:
    """Whether some whole number of `samples` prints as this value, rounded or cut."""
    least, greatest = whole_counts(claimed, samples)
    return max(least, 0) <= min(greatest, samples)


def number(value: float) -> str:
    """A count or a value as people write it: 28,709; 0.4883; 0.0581."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.6g}" if abs(value) < 1000 else f"{value:,.1f}"


def percent(value: float) -> str:
    """A fraction in percent, with the digits that it has up to four: 0.488 -> 48.8 %."""
    return f"{100 * value:.4f}".rstrip("0").rstrip(".") + " %"
