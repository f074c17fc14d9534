"""Is a protocol error credited as the cause of a reported accuracy? Rules (i) to (iii) as pure arithmetic.

(i) The runs with the error differ from the clean runs. (ii) They contain the claim in an interval no wider than its
tolerance. (iii) There are at least three such runs. Rule (iv), what the paper says, is in `repro.explain.stated`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from repro.statistics import (
    LEVEL,
    MIN_RUNS,
    Decision,
    Design,
    Prior,
    Samples,
    Spread,
    Target,
    decide,
    estimate_prior,
    holm,
)
from repro.statistics import moderated as moderated_spread
from repro.statistics.quantiles import t_quantile, t_upper_tail
from repro.statistics.scale import EXTREME

ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Trial:
    """Accuracies of runs with one protocol error, and of the clean runs to compare with, one per run.

    design: the claim's samples and the samples of these runs. clean_samples: how many samples a clean run evaluates.
    same_samples: both groups evaluate the same samples, so the choice of samples cannot cause a difference.
    """

    values: tuple[float, ...]
    clean: tuple[float, ...]
    design: Design
    clean_samples: int
    same_samples: bool = False


@dataclass(frozen=True)
class GroupDifference:
    """Mean of one group minus mean of another. half_width: of its 95 % interval. p: two-sided."""

    value: float
    half_width: float
    p: float


@dataclass(frozen=True)
class Credit:
    """The rules for one protocol error. difference: None if a group has fewer than two runs. p_moves: p value of the
    difference, corrected for the number of errors tried (Holm)."""

    n: int
    difference: GroupDifference | None
    p_moves: float
    moves: bool
    decision: Decision
    contains: bool
    narrow: bool

    @property
    def enough(self) -> bool:
        return self.n >= MIN_RUNS

    @property
    def credited(self) -> bool:
        return self.moves and self.contains and self.narrow and self.enough


def credit(target: Target, tested: Mapping[str, Trial], usual: Sequence[Sequence[float]] = ()) -> dict[str, Credit]:
    """Rules (i) to (iii) for all errors that were tried on one claim.

    usual: accuracies of groups of runs of other papers, which show the usual spread.
    All errors are one family: noise alone credits an error in at most 5 % of papers (Holm 1979).
    """
    own = _own_groups(tested)
    others = [group for group in usual if tuple(group) not in own]
    priors = {values: _prior(others, own - {values}) for one in tested.values() for values in (one.values, one.clean)}
    differences = {name: _difference(one, priors) for name, one in tested.items()}
    counted = {
        name: found.p
        for name, found in differences.items()
        if found and min(len(tested[name].values), len(tested[name].clean)) >= MIN_RUNS
    }
    corrected = holm(counted)
    credits = {}
    for name, one in tested.items():
        decision = decide(one.values, target, one.design, prior=priors[one.values])
        found, p = differences[name], corrected.get(name, 1.0)
        width = math.inf if decision.low is None or decision.high is None else (decision.high - decision.low) / 2
        credits[name] = Credit(
            n=len(one.values),
            difference=found,
            p_moves=p,
            moves=found is not None and p < LEVEL and found.value > 0,
            decision=decision,
            contains=decision.low is not None and (decision.p_differs >= LEVEL or _prints(target, one.values)),
            narrow=width <= (target.tolerance or 0.0) * (1 + ROUND_OFF),
        )
    return credits


def _prints(target: Target, values: Sequence[float]) -> bool:
    """Whether the mean rounds to the claim. Runs with accuracy 0 or 1 have no spread, and the logit scale moves them
    inward by half a sample. On few samples, 100 % would then rule out a claim of 100 %."""
    return abs(_mean(values) - target.value) <= target.rounding * (1 + ROUND_OFF)


def _own_groups(tested: Mapping[str, Trial]) -> frozenset[tuple[float, ...]]:
    """The groups of this paper that show how much its single runs differ."""
    fixed = [one.values for one in tested.values() if one.design.samples is not Samples.REDRAWN]
    groups = {*fixed, *(one.clean for one in tested.values())}
    return frozenset(group for group in groups if len(group) > 1 and _is_usual(group))


def _prior(usual: Sequence[Sequence[float]], own: Collection[Sequence[float]]) -> Prior | None:
    """The usual spread of single runs, moderated by the paper's own other groups, whose spread may be larger or smaller
    than in other papers. The weight of the prior does not change.

    s0^2 becomes (d0 s0^2 + sum (n - 1) s^2) / (d0 + sum (n - 1)), summed over the groups `own`.
    """
    prior = estimate_prior(usual)
    if prior is None:
        return estimate_prior(list(own))
    if not own:
        return prior
    df = sum(len(group) - 1 for group in own)
    squares = sum((len(group) - 1) * statistics.variance(group) for group in own)
    return replace(prior, sd=math.sqrt((prior.df * prior.sd**2 + squares) / (prior.df + df)))


def _difference(one: Trial, priors: Mapping[tuple[float, ...], Prior | None]) -> GroupDifference | None:
    if min(len(one.values), len(one.clean)) < 2:
        return None
    drawn = one.design.drawing_variance(_mean(one.values))
    sampling = 0.0
    if not one.same_samples:
        p, q = _mean(one.clean), _mean(one.values)
        sampling = p * (1 - p) / one.clean_samples
        if one.design.samples is not Samples.REDRAWN and one.design.ours:
            sampling += q * (1 - q) / one.design.ours
    return difference(
        one.values,
        one.clean,
        priors=(priors[one.values], priors[one.clean]),
        drawing_variance=drawn,
        sampling_variance=sampling,
    )


def difference(
    one: Sequence[float],
    other: Sequence[float],
    *,
    priors: tuple[Prior | None, Prior | None] = (None, None),
    drawing_variance: float = 0.0,
    sampling_variance: float = 0.0,
) -> GroupDifference:
    """Do two groups of runs differ in their means? Welch's test with moderated spreads.

    The variances of both means add, with degrees of freedom v^2 / sum(v_i^2 / df_i) (Satterthwaite 1946, Biometrics
    Bulletin 2, 110-114; Welch 1947, Biometrika 34, 28-35).
    drawing_variance: of one run of the first group, from drawing its samples. sampling_variance: of the difference,
    because the groups evaluate different samples; it is known, so it costs no degrees of freedom.

    Raises ValueError for fewer than two values in a group.
    """
    spreads = _spread(one, priors[0], drawing_variance), _spread(other, priors[1], 0.0)
    parts = [spread.sd**2 / len(values) for spread, values in zip(spreads, (one, other), strict=True)]
    value, variance = _mean(one) - _mean(other), sum(parts) + sampling_variance
    lost = sum(part**2 / spread.df for part, spread in zip(parts, spreads, strict=True))
    df = math.inf if lost == 0 else variance**2 / lost
    error = math.sqrt(variance)
    if error == 0:
        return GroupDifference(value, 0.0, 1.0 if value == 0 else 0.0)
    p = min(1.0, 2 * t_upper_tail(abs(value) / error, df))
    return GroupDifference(value, t_quantile(1 - LEVEL / 2, df) * error, p)


def _spread(values: Sequence[float], prior: Prior | None, drawing_variance: float) -> Spread:
    """The usual spread holds for accuracies between 5 and 95 %; other accuracies keep their own spread."""
    why = "" if _is_usual(values) else "beyond 95 %"
    return moderated_spread(values, prior, drawing_variance=drawing_variance, why_no_prior=why)


def _is_usual(values: Sequence[float]) -> bool:
    return 1 - EXTREME <= _mean(values) <= EXTREME


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
