"""The verdict on one claim: same, lower, higher or open, with the reason and the price of an open one.

    decision = decide([0.451, 0.462, 0.449], Target(0.49, resolution=0.001, tolerance=0.03), design, prior=prior)
    decision.outcome, decision.reason, decision.seeds_needed

`differs` and `same` are two questions (`repro.statistics.comparison`), so there are four kinds of answers:

    differs  same   outcome
    no       yes    same
    yes      yes    same within the tolerance, though lower / higher
    yes      no     lower / higher: the runs against the claim
    no       no     open, with the reason and the number of seeds that would decide it
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from repro.statistics.comparison import LEVEL, Chance, Comparison, Target, compare
from repro.statistics.looks import LOOKS, look_levels
from repro.statistics.quantiles import t_quantile
from repro.statistics.samples import NOT_SAMPLED, Design
from repro.statistics.spread import Prior

MIN_RUNS = 3  # with two, the spread is a guess, whatever the prior
MAX_RUNS = 10_000  # the search for a number of seeds ends here

Outcome = Literal["same", "same, though lower", "same, though higher", "lower", "higher", "open"]


class Open(Enum):
    """Why a claim is open. The value is the wording for pages; {left} is `Decision.left_over` in points."""

    FEW_RUNS = "too few seeds"
    SEEDS = "more seeds decide it"
    NO_TOLERANCE = "no tolerance was fixed"
    OWN_SAMPLES = "the claim's own samples are too few"
    OTHER_SAMPLES = "the paper's samples are unknown"
    SINGLE_RUN = "the claim is a single run"
    UNKNOWN_TRIES = "the claim is the best of an unknown number of tries"


@dataclass(frozen=True)
class Decision:
    """A verdict in numbers. Values are in the claim's unit.

    mean, low, high: mean of the runs and the 95 % prediction interval for one run of the paper, rounding included; None
    for fewer than two runs. p_differs: `Comparison.p_differs`; 1 for fewer than two runs. why_open: of an open verdict.
    seeds_needed: total number of seeds that would decide it if mean and spread stay; None if decided, or if no number
    does. left_over: half width that no number of seeds removes. look: the planned look at which the verdict was made;
    None if the number of seeds was fixed beforehand. own_outcome: the outcome with the spread of these runs alone,
    which shows whether moderation matters.
    """

    outcome: Outcome
    differs: bool
    same: bool
    p_differs: float
    n: int
    mean: float | None
    low: float | None
    high: float | None
    chance: Chance | None
    why_open: Open | None = None
    seeds_needed: int | None = None
    left_over: float | None = None
    look: int | None = None
    comparison: Comparison | None = None
    own_outcome: Outcome | None = None

    @property
    def decided(self) -> bool:
        return self.outcome != "open"


def decide(
    values: Sequence[float],
    target: Target,
    design: Design = NOT_SAMPLED,
    *,
    prior: Prior | None = None,
    why_no_prior: str = "",
    look: int | None = None,
) -> Decision:
    """The verdict on a claim from runs, one value each in the claim's unit.

    prior, why_no_prior: see `compare`. look: the planned look (`LOOKS`) if seeds are added until the claim is decided;
    the last one that was reached. None: the number of seeds was fixed beforehand.

    Raises ValueError for a look that is not planned or not reached, and as `compare` does.
    """
    if look is not None and (look not in LOOKS or look > len(values)):
        raise ValueError(f"looks are planned at {LOOKS} seeds; there are {len(values)} and the look is {look}")
    if len(values) < 2:
        mean = values[0] if values else None
        few = Open.FEW_RUNS
        return Decision("open", False, False, 1.0, len(values), mean, None, None, None, few, MIN_RUNS, look=look)
    comparison = compare(values, target, design, prior=prior, why_no_prior=why_no_prior)
    made = decide_comparison(comparison, look=look)
    if comparison.spread.moderated:
        alone = compare(values, target, design, why_no_prior="asked for the spread of these runs alone")
        made = replace(made, own_outcome=decide_comparison(alone, look=look).outcome)
    return replace(made, mean=sum(values) / len(values))


def decide_comparison(comparison: Comparison, *, look: int | None = None, factor: float = 1.0) -> Decision:
    """`decide` for an existing comparison. factor: by which a family of claims raises the p-value
    (`repro.statistics.families.holm`, adjusted over plain)."""
    level, level_same = levels(look)
    p = min(1.0, factor * comparison.p_differs)
    differs, same = p < level, comparison.is_same(level_same)
    enough = comparison.n >= MIN_RUNS
    low, high = comparison.limits()
    made = Decision(
        _outcome(comparison, differs, same) if enough else "open",
        differs and enough,
        same and enough,
        p,
        comparison.n,
        comparison.scale.back(comparison.mean),
        low,
        high,
        comparison.chance,
        look=look,
        comparison=comparison,
    )
    return made if made.decided else _priced(made, comparison, enough, factor)


def levels(look: int | None) -> tuple[float, float]:
    """Nominal levels of the two-sided test for a difference and of each one-sided test for sameness."""
    if look is None:
        return LEVEL, LEVEL
    return look_levels(LEVEL)[look], look_levels(2 * LEVEL)[look] / 2


def _outcome(comparison: Comparison, differs: bool, same: bool) -> Outcome:
    lower = comparison.mean < comparison.scale.to(comparison.target.value)
    if differs and same:
        return "same, though lower" if lower else "same, though higher"
    if differs:
        return "lower" if lower else "higher"
    return "same" if same else "open"


# --- the price of an open verdict -------------------------------------------------------------------------------------


def seeds_to_decide(comparison: Comparison, *, look: int | None = None, factor: float = 1.0) -> int | None:
    """The fewest seeds in all that decide a claim if mean and spread stay; None if no number up to 10,000 does.

    look: the planned look that was made last, if seeds are added until the claim is decided; the answer is then one of
    the later looks, or None if no later look decides. factor: see `decide_comparison`."""

    def decided(n: int, at: int | None = None) -> bool:
        later, (level, level_same) = comparison.with_runs(n), levels(at)
        return factor * later.p_differs < level or later.is_same(level_same)

    if look is not None:
        return next((n for n in LOOKS if n > look and decided(n, n)), None)
    if not decided(MAX_RUNS):
        return None
    low, high = MIN_RUNS - 1, MAX_RUNS  # limits only narrow as n grows, so bisection finds the first
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def may_be_decided(comparison: Comparison, look: int) -> bool:
    """Whether a later planned look could decide the claim, wherever in its 95 % interval the mean ends up.

    The mean of N runs differs from that of the first n by a standard deviation of s sqrt(1/n - 1/N). The interval's
    ends, its middle and the claim itself, if it lies within, are tried: far from the claim is best for *differs*, near
    it for *same*. The spread stays. Stopping when nothing is left raises neither error rate.
    """
    spread, claim = comparison.spread, comparison.scale.to(comparison.target.value)
    for n in (n for n in LOOKS if n > look):
        room = t_quantile(1 - LEVEL / 2, spread.df) * spread.sd * math.sqrt(1 / comparison.n - 1 / n)
        low, high = comparison.mean - room, comparison.mean + room
        level, level_same = levels(n)
        for mean in (low, comparison.mean, high, min(max(claim, low), high)):
            later = replace(comparison.with_runs(n), mean=mean)
            if later.differs(level) or later.is_same(level_same):
                return True
    return False


def _priced(made: Decision, comparison: Comparison, enough: bool, factor: float) -> Decision:
    needed = seeds_to_decide(comparison, look=made.look, factor=factor)
    limit = comparison.with_all_runs()
    left = (limit.limits()[1] - limit.limits()[0]) / 2
    if comparison.target.tries is None and comparison.of_one_run.p_differs < LEVEL:
        why, needed = Open.UNKNOWN_TRIES, None
    elif needed is None:
        why = _obstacle(comparison)
    else:
        needed = max(needed, MIN_RUNS)
        why = Open.SEEDS if enough else Open.FEW_RUNS
    return replace(made, why_open=why, seeds_needed=needed, left_over=left)


def _obstacle(comparison: Comparison) -> Open:
    """What keeps any number of seeds from deciding: the largest part of the error that does not shrink."""
    if comparison.target.tolerance is None:
        return Open.NO_TOLERANCE
    p = min(max(comparison.scale.back(comparison.mean), 0.0), 1.0)
    drawing = (
        comparison.design.drawing_variance(p) * comparison.scale.slope(p) ** 2 if comparison.target.fraction else 0
    )
    runs = comparison.spread.sd**2
    if comparison.mismatch_error**2 > runs:
        return Open.OTHER_SAMPLES
    return Open.OWN_SAMPLES if drawing > runs / 2 else Open.SINGLE_RUN
