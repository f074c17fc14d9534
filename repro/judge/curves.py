"""A whole curve against the runs: one verdict, however many points the paper prints.

A curve is a sequence of values of one run, so its points are not so many independent claims. The statistic is the
largest distance of a printed point from the mean of the runs, in standard errors. Its null distribution is simulated:
the paper's curve is one more run.

With three runs, leaving one out gives three maxima, which can never be significant at 5 %, and three runs do not show
how strongly the points of a run hang together. So the simulation draws normal curves with the deviations of the runs
and takes the least favourable of several correlations between the points, from none to almost one: the size is at most
5 % whatever the correlation. The deviations at single points are moderated over the points (Smyth 2004, with points in
the place of genes), because a deviation of three values at one of fifty points is small by chance somewhere.

Accuracies are compared as arcsin(sqrt(p)), whose deviation does not depend on p for a binomial fraction.

`same`: the root mean square of the true differences is below the tolerance. |m - c| of one value becomes the root mean
square over the points: with perfectly correlated points that is the test of a single value, and with less correlation
it is stricter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from repro.judge.comparison import LEVEL
from repro.judge.decision import MIN_RUNS, Open, Outcome
from repro.judge.quantiles import t_quantile
from repro.judge.spread import MAX_PRIOR_DF, Prior, estimate_prior, moderated

CORRELATIONS = (0.0, 0.5, 0.9, 0.99)  # between any two points of a run
REPLICATES = 2000  # for each correlation; the error of a p-value of 0.05 is then 0.005


@dataclass(frozen=True)
class CurveDecision:
    """The verdict on a curve.

    p_differs: of the largest standardised distance. worst: index of that point. standardised: the distance there.
    critical: what it exceeds with probability 0.05 if the curve is one more run. distance, limit: root mean square of
    the differences, and its upper limit that `same` compares with the tolerance, in the claim's unit. inside: points
    whose own 95 % interval holds the printed value, without a correction.
    """

    outcome: Outcome
    differs: bool
    same: bool
    p_differs: float
    n: int
    points: int
    inside: int
    worst: int | None = None
    standardised: float | None = None
    critical: float | None = None
    distance: float | None = None
    limit: float | None = None
    why_open: Open | None = None


def decide_curve(
    runs: Sequence[Sequence[float]] | np.ndarray,
    printed: Sequence[float] | np.ndarray,
    *,
    resolution: float | Sequence[float] = 0.0,
    tolerance: float | None = None,
    fraction: bool = True,
    prior: Prior | None = None,
    drawing: Sequence[float] | np.ndarray | float = 0.0,
    seed: int = 0,
) -> CurveDecision:
    """The verdict on a printed curve.

    runs: one sequence per run, each with as many values as `printed`, at the same epochs or steps. resolution: worth of
    the last printed digit, one for all points or one each. tolerance: for the root mean square of the differences.
    prior: of single runs (`estimate_prior`), used for `same` alone. drawing: variance of a run's value that comes from
    drawing its samples anew (`Design.drawing_variance`), one for all points or one each: the spread is never taken for
    less. seed: of the simulation.

    Raises ValueError if the curves differ in length, for values that are not finite, and for an empty curve.
    """
    y, c = np.array(runs, dtype=float), np.array(printed, dtype=float)
    if c.size == 0 or y.ndim != 2 or y.shape[1:] != c.shape:
        raise ValueError("every run needs one value for each printed point")
    if not (np.isfinite(y).all() and np.isfinite(c).all()):
        raise ValueError("values must be finite numbers")
    r = np.broadcast_to(np.asarray(resolution, dtype=float) / 2, c.shape)
    n, points = y.shape
    if n < MIN_RUNS:
        return CurveDecision("open", False, False, 1.0, n, points, 0, why_open=Open.FEW_RUNS)
    drawn = np.broadcast_to(np.asarray(drawing, dtype=float), c.shape)
    made = _difference(y, c, r, drawn, fraction, seed)
    return _with_sameness(made, y, c, float(r.max()), drawn, tolerance, prior)


def _difference(
    y: np.ndarray, c: np.ndarray, r: np.ndarray, drawn: np.ndarray, fraction: bool, seed: int
) -> CurveDecision:
    low, high = (_scaled(c + sign * r, fraction) for sign in (-1, 1))
    if fraction:  # the slope of arcsin(sqrt(p)) is 1 / sqrt(4 p (1 - p))
        p = np.clip(y.mean(0), 1e-6, 1 - 1e-6)
        drawn = drawn / (4 * p * (1 - p))
    y = _scaled(y, fraction)
    n, points = y.shape
    mean, variances = y.mean(0), y.var(0, ddof=1)
    weight = _weight(y)
    spread = np.sqrt(_shrunk(variances, n, weight, drawn) * (1 + 1 / n))
    excess = np.maximum(0, np.maximum(low - mean, mean - high))
    distances = _ratio(excess, spread)
    worst = int(distances.argmax())
    null = [_null(np.sqrt(np.maximum(variances, drawn)), n, weight, drawn, rho, seed) for rho in CORRELATIONS]
    p = max((1 + int((one >= distances[worst]).sum())) / (1 + len(one)) for one in null)
    critical = max(float(np.quantile(one, 1 - LEVEL)) for one in null)
    own = _ratio(excess, np.sqrt(variances * (1 + 1 / n)))
    inside = int((own <= t_quantile(1 - LEVEL / 2, n - 1)).sum())
    p = 1.0 if distances[worst] == 0 else p
    return CurveDecision("open", p < LEVEL, False, p, n, points, inside, worst, float(distances[worst]), critical)


def _with_sameness(
    made: CurveDecision,
    y: np.ndarray,
    c: np.ndarray,
    r: float,
    drawn: np.ndarray,
    tolerance: float | None,
    prior: Prior | None,
) -> CurveDecision:
    n = len(y)
    difference = y.mean(0) - c
    distance = math.sqrt(float(np.mean(difference**2)))
    # Values with the root-mean-square deviation of the points: what one perfectly correlated point would show.
    rms = math.sqrt(float(y.var(0, ddof=1).mean()))
    spread = moderated(_with_deviation(rms, n), prior, drawing_variance=float(drawn.mean()))
    limit = distance + t_quantile(1 - LEVEL, spread.df) * spread.sd * math.sqrt(1 + 1 / n) + r
    same = tolerance is not None and limit <= tolerance
    lower = float(difference.mean()) < 0
    outcome: Outcome = "open"
    if made.differs and same:
        outcome = "same, though lower" if lower else "same, though higher"
    elif made.differs:
        outcome = "lower" if lower else "higher"
    elif same:
        outcome = "same"
    why = (Open.NO_TOLERANCE if tolerance is None else Open.SEEDS) if outcome == "open" else None
    return replace(made, outcome=outcome, same=same, distance=distance, limit=limit, why_open=why)


def _scaled(value: np.ndarray, fraction: bool) -> np.ndarray:
    return np.arcsin(np.sqrt(np.clip(value, 0, 1))) if fraction else value


def _weight(y: np.ndarray) -> float:
    """Degrees of freedom that the mean variance of all points counts for, beside the n - 1 of a point."""
    prior = estimate_prior(list(y.T)) if y.shape[1] > 1 else None
    return min(prior.heterogeneity, MAX_PRIOR_DF) if prior else 0.0


def _shrunk(variances: np.ndarray, n: int, weight: float, drawn: np.ndarray) -> np.ndarray:
    """variances: (..., points). drawn: (points,), the least that they can be."""
    pooled = variances.mean(-1, keepdims=True)
    return np.maximum((weight * pooled + (n - 1) * variances) / (weight + n - 1), drawn)


def _null(sd: np.ndarray, n: int, weight: float, drawn: np.ndarray, rho: float, seed: int) -> np.ndarray:
    """(REPLICATES,) largest standardised distances of one more run from n runs. sd: (points,)."""
    random = np.random.default_rng(seed)
    shape = (REPLICATES, n + 1)
    curves = math.sqrt(rho) * random.standard_normal((*shape, 1))
    curves = (curves + math.sqrt(1 - rho) * random.standard_normal((*shape, len(sd)))) * sd
    runs, claim = curves[:, 1:], curves[:, 0]
    spread = np.sqrt(_shrunk(runs.var(1, ddof=1), n, weight, drawn) * (1 + 1 / n))
    return _ratio(np.abs(runs.mean(1) - claim), spread).max(-1)


def _ratio(distance: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Distance in units of the spread; infinite if all runs agree and the claim does not."""
    apart = np.where(spread > 0, distance / np.maximum(spread, 1e-300), np.inf)
    return np.where(distance > 0, apart, 0.0)


def _with_deviation(sd: float, n: int) -> list[float]:
    """n values with exactly this sample standard deviation."""
    base = np.arange(n, dtype=float)
    return list((base - base.mean()) / base.std(ddof=1) * sd)
