"""Runs against one claimed value: the two tests behind a verdict, as pure arithmetic.

Notation: n runs with mean m, the moderated standard deviation s~ of single runs (`repro.statistics.spread`), the claim
c and r, half the worth of its last printed digit. The claim is one run of the paper's own, so m - c has the standard
error se = s~ sqrt(1 + 1/n) (Hahn & Meeker 1991, Statistical Intervals, ch. 4: one future observation).

- `p_differs`: could c be one more such run? |m - c| > t(.975, df) se + r has p < 0.05.
- `is_same`: is a difference of the tolerance or more ruled out? |m - c| + t(.95, df) se + r <= tolerance: two one-sided
  tests (Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680). If runs spread by half a last
  digit or more, the rounding error is uniform and independent of the run, so its deviation r / sqrt(3) is added in
  quadrature here. `p_differs` always allows for the whole r, because it can accuse a paper.
- A mismatch of test sets (`Design.mismatch_variance`) adds its own normal quantile in quadrature: the root of
  t^2 se^2 + z^2 b holds at least the level, whatever their ratio (Banerjee 1960, Sankhya 22, 357-358).
- A claim that is the best of k tries is compared with the best of k: its upper limit is m + F^-1(.975^(1/k)) se + r
  (Dodge et al. 2019, Show your work, EMNLP-IJCNLP: the best of k has the distribution F^k). Its lower limit stays that
  of one try, because only the greatest number of tries is known and an accusation needs proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from repro.statistics.quantiles import normal_quantile, t_quantile, t_upper_tail
from repro.statistics.samples import NOT_SAMPLED, Design
from repro.statistics.scale import Scale, scale_for
from repro.statistics.spread import Prior, Spread, moderated

LEVEL = 0.05
UNKNOWN_TRIES = 100  # the most tries that a claim of unknown selection is given the benefit of
_ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Target:
    """A claimed value in its own unit.

    resolution: worth of the last printed digit (0: not rounded). tolerance: how far the same result may differ, fixed
    before any run; None: not fixed. fraction: an accuracy from 0 to 1. tries: the claim is the best of so many; None:
    the best of an unknown number, which counts as up to `UNKNOWN_TRIES`.
    """

    value: float
    resolution: float = 0.0
    tolerance: float | None = None
    fraction: bool = True
    tries: int | None = 1

    def __post_init__(self) -> None:
        if self.fraction and not 0 <= self.value <= 1:
            raise ValueError(f"an accuracy is a fraction from 0 to 1, not {self.value}")
        if self.resolution < 0 or (self.tolerance is not None and self.tolerance < 0):
            raise ValueError("resolution and tolerance cannot be negative")
        if self.tries is not None and self.tries < 1:
            raise ValueError(f"a claim is the best of at least one try, not of {self.tries}")

    @property
    def rounding(self) -> float:
        return self.resolution / 2

    @property
    def most_tries(self) -> int:
        return UNKNOWN_TRIES if self.tries is None else self.tries


@dataclass(frozen=True)
class Chance:
    """How likely the claim is from runs such as ours.

    one_run: probability that one run prints at least the claim. tries_even: runs whose best reaches the claim with
    probability 0.5 (ln 0.5 / ln F, F = 1 - one_run); tries_unlikely: with probability 0.05. inf if no run ever does.
    """

    one_run: float
    tries_even: float
    tries_unlikely: float


@dataclass(frozen=True)
class Comparison:
    """n runs with this mean and spread (on `scale`) against a claim."""

    mean: float
    n: int
    spread: Spread
    target: Target
    design: Design
    scale: Scale

    @property
    def run_error(self) -> float:
        """Standard error of claim minus mean on the scale, without a mismatch of test sets."""
        return self.spread.sd * math.sqrt(1 + 1 / self.n)

    @cached_property
    def mismatch_error(self) -> float:
        p = self.scale.back(self.mean)
        variance = self.design.mismatch_variance(min(max(p, 0.0), 1.0)) if self.target.fraction else 0.0
        return math.sqrt(variance) * (self.scale.slope(p) if variance else 1.0)

    def half_width(self, probability: float) -> float:
        """Distance from the mean that claim minus mean stays below with this probability, on the scale."""
        run = t_quantile(probability, self.spread.df) * self.run_error
        return math.hypot(run, normal_quantile(probability) * self.mismatch_error)

    def tail(self, distance: float) -> float:
        """Probability that one run of the paper lies at least `distance` >= 0 above the mean, on the scale."""
        if math.isinf(distance):
            return 0.0
        if self.mismatch_error == 0:
            if self.run_error == 0:
                return 0.5 if distance <= 0 else 0.0
            return t_upper_tail(distance / self.run_error, self.spread.df)
        low, high = 1e-15, 0.5  # tail probabilities; `half_width` falls as they rise
        for _ in range(100):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.half_width(1 - middle) > distance else (low, middle)
        return high

    @cached_property
    def one_run(self) -> float:
        """Probability that one run prints at least the claim."""
        distance = self.scale.to(self.target.value - self.target.rounding) - self.mean
        return self.tail(distance) if distance >= 0 else 1 - self.tail(-distance)

    @property
    def chance(self) -> Chance:
        if self.one_run <= 0 or self.one_run >= 1:
            tries = math.inf if self.one_run <= 0 else 1.0
            return Chance(self.one_run, tries, tries)
        missed = math.log1p(-self.one_run)
        return Chance(self.one_run, math.log(0.5) / missed, math.log(0.95) / missed)

    @cached_property
    def p_differs(self) -> float:
        """Two-sided p-value of the claim as one more run, or as the best of its tries; 1 inside the rounding."""
        r = self.target.rounding * (1 + _ROUND_OFF)
        above = self.scale.to(self.target.value - r) - self.mean
        below = self.mean - self.scale.to(self.target.value + r)
        if above > 0:
            return min(1.0, 2 * -math.expm1(self.target.most_tries * math.log1p(-min(self.tail(above), 1 - 1e-12))))
        return min(1.0, 2 * self.tail(below)) if below > 0 else 1.0

    def differs(self, level: float = LEVEL) -> bool:
        """Whether `p_differs` is below the level, without computing it: the claim is outside its limits."""
        low = self.mean - self.half_width(1 - level / 2)
        high = self.mean + self.half_width((1 - level / 2) ** (1 / self.target.most_tries))
        r = self.target.rounding * (1 + _ROUND_OFF)
        return not low <= self.scale.to(self.target.value + r) or not self.scale.to(self.target.value - r) <= high

    @property
    def tries_allowed(self) -> float:
        """The fewest tries whose best could be the claim: with one less it differs at 5 %. 1 if one try is enough."""
        p = self.one_run
        return math.inf if p <= 0 else max(1.0, math.ceil(math.log1p(-LEVEL / 2) / math.log1p(-p)) if p < 1 else 1.0)

    def is_same(self, level: float = LEVEL) -> bool:
        """Whether both one-sided tests at `level` rule out a difference of the tolerance or more.

        The best of k tries is expected above the mean by the median of the best of k, in standard deviations.
        """
        tolerance = self.target.tolerance
        if tolerance is None:
            return False
        centre = self.mean + normal_quantile(0.5 ** (1 / (self.target.tries or 1))) * self.spread.sd
        half, r = self.half_width(1 - level), self.target.rounding
        if not self.scale.logit and self.spread.sd >= r:
            half, r = math.hypot(half, normal_quantile(1 - level) * r / math.sqrt(3)), 0.0
        room = (tolerance - r) * (1 + _ROUND_OFF)
        if room < 0:
            return False
        high, low = self.scale.to(self.target.value + room), self.scale.to(self.target.value - room)
        return centre + half <= high and centre - half >= low

    def limits(self) -> tuple[float, float]:
        """The prediction interval for one run of the paper, in the claim's own unit, widened by the rounding. The upper
        limit is that of the best of its tries."""
        upper = (1 - LEVEL / 2) ** (1 / self.target.most_tries)
        low = self.scale.back(self.mean - self.half_width(1 - LEVEL / 2)) - self.target.rounding
        high = self.scale.back(self.mean + self.half_width(upper)) + self.target.rounding
        return low, high

    @property
    def of_one_run(self) -> Comparison:
        """The same runs against the claim as a single run, whatever number of tries it was selected from."""
        return replace(self, target=replace(self.target, tries=1))

    @property
    def never_same(self) -> bool:
        """Whether the tolerance is below the claim's own error: even any number of runs whose mean is the claim, and
        whose only spread is that of drawing their samples, would not be called the same."""
        p = min(max(self.scale.back(self.mean), 0.0), 1.0) if self.target.fraction else 0.5
        drawing = self.design.drawing_variance(p) * self.scale.slope(p) ** 2 if self.target.fraction else 0.0
        ideal = self.of_one_run.with_all_runs()
        spread = replace(ideal.spread, sd=math.sqrt(drawing))
        return not replace(ideal, mean=self.scale.to(self.target.value), spread=spread).is_same()

    def with_runs(self, n: int) -> Comparison:
        """The same mean and spread, as if there were n runs."""
        df = self.spread.df - self.n + n
        return replace(self, n=n, spread=replace(self.spread, df=df))

    def with_all_runs(self) -> Comparison:
        """The limit of infinitely many runs: mean and spread are known."""
        return replace(self, n=10**9, spread=replace(self.spread, df=math.inf))


def compare(
    values: Sequence[float],
    target: Target,
    design: Design = NOT_SAMPLED,
    *,
    prior: Prior | None = None,
    why_no_prior: str = "",
) -> Comparison:
    """Compare runs, one value each in the claim's unit, with a claim.

    prior: from groups of the usual kind (`estimate_prior`). It counts for accuracies between 5 and 95 % only.
    why_no_prior: a reason to leave it out, for example 'a loss'.

    Raises ValueError for fewer than two values, for values that are not finite, and for accuracies outside 0 to 1.
    """
    if not all(map(math.isfinite, values)):
        raise ValueError(f"values must be finite numbers, not {list(values)}")
    if target.fraction and not all(0 <= value <= 1 for value in values):
        raise ValueError(f"accuracies are fractions from 0 to 1, not {list(values)}")
    if len(values) < 2:
        raise ValueError("one run has no spread")
    scale = scale_for(values, fraction=target.fraction, samples=design.ours)
    moved = [scale.measured(value) for value in values]
    mean = math.fsum(moved) / len(moved)
    if not why_no_prior:
        why_no_prior = "not an accuracy" if not target.fraction else ""
        why_no_prior = "beyond 95 %, compared on the logit scale" if scale.logit else why_no_prior
    p = min(max(scale.back(mean), 0.0), 1.0) if target.fraction else 0.5
    drawing = design.drawing_variance(p) * scale.slope(p) ** 2 if target.fraction else 0.0
    spread = moderated(moved, prior, drawing_variance=drawing, why_no_prior=why_no_prior)
    return Comparison(mean, len(values), spread, target, design, scale)
