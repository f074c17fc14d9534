"""Intervals for shares of samples, and the exact test of two classifiers on the same samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from repro.statistics.quantiles import normal_quantile

LEVEL = 0.95


class SampleShare(NamedTuple):
    """hits of n samples, with the limits of a 95 % interval; value is NaN and the limits are 0 and 1 for n = 0."""

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan


def share(hit: np.ndarray, group: np.ndarray | None = None) -> SampleShare:
    """Of samples, the share that is hit, with Wilson's score interval (Wilson 1927, JASA 22, 209-212).

    hit: bool (N,). group: (N,), equal for samples that are not independent, such as copies of one image. N is then
    replaced by the effective sample size: N over the ratio of the variance between groups to the binomial variance
    (Kish 1965, Survey Sampling, ch. 8), and never by more than N.
    """
    hits, n = int(hit.sum()), len(hit)
    if not n:
        return SampleShare(0, 0, 0.0, 1.0)
    low, high = wilson(hits / n, n if group is None else effective_size(hit, group))
    return SampleShare(hits, n, low, high)


def wilson(p: float, n: float) -> tuple[float, float]:
    """The limits of Wilson's score interval at LEVEL. n: number of independent samples, above 0."""
    z = normal_quantile((1 + LEVEL) / 2)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half) if p > 0 else 0.0, min(1.0, centre + half) if p < 1 else 1.0


def effective_size(hit: np.ndarray, group: np.ndarray) -> float:
    """The number of independent samples with the same variance of the mean; at most N.

    The variance between groups is the linearised one of a ratio: sum over groups of (hits - p size)^2, over N^2.
    """
    n, p = len(hit), float(hit.mean())
    if p in (0.0, 1.0):
        return float(len(np.unique(group)))
    _, place = np.unique(group, return_inverse=True)
    sizes = np.bincount(place)
    excess = np.bincount(place, weights=hit.astype(float)) - p * sizes
    groups = len(sizes)
    if groups < 2:
        return 1.0
    variance = float((excess**2).sum()) / n**2 * groups / (groups - 1)
    return min(float(n), p * (1 - p) / variance)


class ShareDifference(NamedTuple):
    """One share minus another of other samples, with the limits of a 95 % interval."""

    value: float
    low: float
    high: float


def independent_difference(one: SampleShare, other: SampleShare) -> ShareDifference | None:
    """Newcombe's hybrid score interval, from the limits of the two shares (Newcombe 1998, Statistics in Medicine 17,
    873-890, method 10). None if there are no samples on one side."""
    if not one.n or not other.n:
        return None
    a, b = one.value, other.value
    below = math.hypot(a - one.low, other.high - b)
    above = math.hypot(one.high - a, b - other.low)
    return ShareDifference(a - b, a - b - below, a - b + above)


def standardised_difference(ones: np.ndarray, others: np.ndarray) -> ShareDifference | None:
    """One share minus another as if both had the mix of strata of the first: direct standardisation.

    ones, others: (S, 2), hits and samples of each stratum. Strata without samples on one side are left out. The
    variance of each share is that of one hit and one miss more (Agresti and Caffo 2000, The American Statistician 54,
    280-288), so that a small stratum without a miss has one too. None if no stratum has samples on both sides.
    """
    both = (ones[:, 1] > 0) & (others[:, 1] > 0)
    if not both.any():
        return None
    weight = ones[both, 1] / ones[both, 1].sum()
    value = float((weight * (ones[both, 0] / ones[both, 1] - others[both, 0] / others[both, 1])).sum())
    variance = 0.0
    for hits, n in ((ones[both, 0], ones[both, 1]), (others[both, 0], others[both, 1])):
        p = (hits + 1) / (n + 2)
        variance += float((weight**2 * p * (1 - p) / (n + 2)).sum())
    half = normal_quantile((1 + LEVEL) / 2) * math.sqrt(variance)
    return ShareDifference(value, value - half, value + half)


class McNemar(NamedTuple):
    """Two classifiers on the same samples. only_first, only_second: samples that this one alone has right. p: of the
    exact two-sided test that both are equally likely."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """McNemar's test, exact: of the samples on which they differ, each has half by chance (McNemar 1947, Psychometrika
    12, 153-157). first, second: bool (N,), whether each sample is right."""
    from scipy import special

    b, c = int((first & ~second).sum()), int((~first & second).sum())
    p = 1.0 if b == c else min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))
    return McNemar(int((first & second).sum()), b, c, int((~first & ~second).sum()), p)
