"""A whole curve against the runs: one verdict, however many points the paper prints.

A curve is a sequence of values of one run, so its points are not independent claims. The statistic is the largest
distance of a printed point from the mean of the runs, in standard errors. Its null distribution is simulated under the
hypothesis that the paper's curve is one more run.

With three runs, leaving one out gives three maxima, which can never be significant at 5 %. Three runs also do not show
how strongly the points of a run correlate. So the simulation draws normal curves with the deviations of the runs
and takes the least favourable of several correlations between the points, from none to almost one. The size is at most
5 % whatever the correlation. The deviations at single points are moderated over the points (Smyth 2004, with points in
the place of genes), because a deviation of three values at one of fifty points is small by chance somewhere.

Accuracies are compared as arcsin(sqrt(p)), whose deviation does not depend on p for a binomial fraction.

`same`: no point differs, and a mean difference over the points of the tolerance or more is ruled out. The mean over
the points is one number per run, so its test is that of a single value, whatever the correlation. A difference that
changes its sign along the curve is for the first test to find.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from repro.statistics.comparison import LEVEL
from repro.statistics.decision import MIN_RUNS, Open, Outcome
from repro.statistics.quantiles import t_quantile
from repro.statistics.spread import MAX_PRIOR_DF, Prior, estimate_prior, moderated

CORRELATIONS = (0.0, 0.5, 0.9, 0.99)  # between any two points of a run
MAX_RUNS = 500  # the search for a number of seeds ends here
REPLICATES = 2000  # for each correlation; the error of a p-value of 0.05 is then 0.005


@dataclass(frozen=True)
class CurveDecision:
    """The verdict on a curve.

    p_differs: of the largest standardised distance. worst: index of that point. standardised: the distance there.
    critical: what it exceeds with probability 0.05 if the curve is one more run. difference: mean of the runs minus the
    curve, mean over the points, in the claim's unit; limit: the upper limit of its size, which `same` compares with the
    tolerance. seeds_needed: number of seeds in all that would make an open curve the same if mean and spread stay; None
    if no number up to 500 does. inside: points
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
    difference: float | None = None
    limit: float | None = None
    why_open: Open | None = None
    seeds_needed: int | None = None


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
    the last printed digit, one for all points or one each. tolerance: for the mean difference.
    prior: of runs that spread like these (`estimate_prior`), used for `same` alone; the usual prior is for the end of a
    run and fits no early points. drawing: variance of a run's value from drawing new samples in each run
    (`Design.drawing_variance`), one for all points or one each: a lower bound of the variance. seed: of the
    simulation.

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
        return CurveDecision("open", False, False, 1.0, n, points, 0, why_open=Open.FEW_RUNS, seeds_needed=MIN_RUNS)
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
    n, difference = len(y), float(y.mean() - c.mean())
    # All points of a run share its samples, so the error of drawing these does not average out over the points.
    spread = moderated(y.mean(1).tolist(), prior, drawing_variance=float(drawn.mean()))

    def limit_with(runs: int) -> float:
        """The limit, as if there were so many runs with this mean and spread."""
        return abs(difference) + t_quantile(1 - LEVEL, spread.df - n + runs) * spread.sd * math.sqrt(1 + 1 / runs) + r

    limit = limit_with(n)
    within = tolerance is not None and limit <= tolerance
    side = "lower" if difference < 0 else "higher"
    outcome: Outcome = "open"
    if made.differs:
        outcome = "same, though lower" if within and side == "lower" else "lower"
        if side == "higher":
            outcome = "same, though higher" if within else "higher"
    elif within:
        outcome = "same"
    why, needed = None, None
    if outcome == "open":
        needed = next((more for more in range(n + 1, MAX_RUNS) if limit_with(more) <= (tolerance or 0.0)), None)
        why = Open.NO_TOLERANCE if tolerance is None else Open.SEEDS if needed else Open.SINGLE_RUN
    return replace(
        made, outcome=outcome, same=within, difference=difference, limit=limit, why_open=why, seeds_needed=needed
    )


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
