"""Which claims get a verdict, and the prediction interval that `repro explain` uses. The statistics of verdicts are in
`repro.judge`, their words in `repro.report.verdicts`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from repro.spec import Claim

LEVEL = 0.95
MIN_SEEDS = 3  # two seeds: t(1) = 12.7, an interval that says nothing
FACTS = frozenset({"rows", "parameters", "pixel_mean", "pixel_std"})  # of the prepared data and the network
# A time belongs to its hardware: it gets a ratio with both machines named, never a verdict.
_WITH_VERDICT = FACTS | {"accuracy", "loss", "predicted_rows", "true_positives"}
_ROUND_OFF = 1e-9  # relative; a claim on the very edge of an interval is inside, whatever the last bit says


@dataclass(frozen=True)
class Interval:
    """Where a single new run is expected, in the claim's unit.

    half_width = sqrt(seeds^2 + binomial^2) + rounding; each part is a half width of its own, at the same level.
    seeds: Student t over the spread of `n` runs. binomial: of the test set's size. rounding: of the printed figure.
    """

    centre: float
    half_width: float
    n: int
    seeds: float
    binomial: float
    rounding: float

    @property
    def low(self) -> float:
        return self.centre - self.half_width

    @property
    def high(self) -> float:
        return self.centre + self.half_width

    def holds(self, value: float) -> bool:
        return abs(value - self.centre) <= self.half_width + _ROUND_OFF * max(abs(value), abs(self.centre))


def has_verdict(claim: Claim) -> bool:
    """Whether runs can confirm or contradict the claim: not for times, and not for what no run measures."""
    return claim.quantity in _WITH_VERDICT and not claim.not_measured


def prediction_interval(
    values: Sequence[float], *, resolution: float, rows: int | None, level: float = LEVEL
) -> Interval | None:
    """Interval that holds one NEW run at `level`, from n runs; None for n < 2.

    values: one per run. resolution: worth of the claim's last printed digit (0: not rounded). rows: size of the test
    set that an accuracy was measured on; None for anything but an accuracy. See `interval_of` for the formula.

    Raises ValueError for values that are not finite, and with `rows` for a mean that is no fraction.
    """
    if not all(map(math.isfinite, values)):
        raise ValueError(f"values must be finite numbers, not {list(values)}")
    if len(values) < 2:
        return None
    mean, std = statistics.fmean(values), statistics.stdev(values)
    return interval_of(mean, std, len(values), resolution=resolution, rows=rows, level=level)


def interval_of(
    mean: float, std: float, n: int, *, resolution: float, rows: int | None, level: float = LEVEL
) -> Interval:
    """`prediction_interval` from the mean and the sample standard deviation of n >= 2 runs.

    Seeds: t(n - 1) s sqrt(1 + 1/n), the interval for one future observation of a normal population (Hahn & Meeker 1991,
    Statistical Intervals, ch. 4): the new run's own spread and the error of the mean of n. Binomial: z sqrt(p (1 - p)
    / rows), p the mean: another test set of that size would have other hard faces. The two errors are independent, so
    their variances add; that the root of t^2 s^2 + z^2 sigma^2 holds at least the level, whatever their ratio, is
    Banerjee's result (1960, Sankhya 22, 357-358). Rounding is no random error: resolution / 2 is added to the whole.

    Where each seed draws its own test rows, the spread over seeds holds that binomial error already, and where the
    document's test set is the one used here there is none: the interval then is wider than it need be.

    Raises ValueError for n < 2, and with `rows` for a mean that is no fraction.
    """
    if n < 2:
        raise ValueError("one run has no spread")
    seeds = _student_quantile(n - 1, level) * std * math.sqrt(1 + 1 / n)
    return _combined(mean, seeds, n, resolution=resolution, rows=rows, level=level)


def _combined(mean: float, seeds: float, n: int, *, resolution: float, rows: int | None, level: float) -> Interval:
    binomial = 0.0
    if rows is not None:
        if not 0 <= mean <= 1:
            raise ValueError(f"an accuracy is a fraction, not {mean}")
        binomial = _normal_quantile(level) * math.sqrt(mean * (1 - mean) / rows)
    rounding = resolution / 2
    return Interval(mean, math.hypot(seeds, binomial) + rounding, n, seeds, binomial, rounding)


@cache
def _student_quantile(degrees: int, level: float) -> float:
    from scipy import stats  # takes a second, and most commands need no quantile

    return float(stats.t.ppf((1 + level) / 2, degrees))


@cache
def _normal_quantile(level: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf((1 + level) / 2))


def is_fact(claim: Claim, values: Sequence[float]) -> bool:
    """Whether the claim is about data or network and every run gave the same value."""
    return claim.quantity in FACTS and len(values) > 0 and len(set(values)) == 1
