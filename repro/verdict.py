"""Is the reported number right? Prediction intervals of one new run, and the verdict on a claim. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from repro.spec import Claim

Verdict = Literal["reproduced", "below the claim", "above the claim", "inconclusive", "only as published"]

LEVEL = 0.95
MIN_SEEDS = 3  # two seeds: t(1) = 12.7, an interval that says nothing
MAX_SEEDS = 10_000  # where the search for a number of seeds gives up
LEAK_UNKNOWN = "not audited for leaks"
LEAK_UNTESTED = "it leaks, and was not tested without the leak"
LEAK_UNSETTLED = "it leaks, and the honest runs spread too far to tell"
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


@dataclass(frozen=True)
class Judgement:
    """A verdict with the interval behind it and one sentence with its figures.

    caveat: what the verdict leaves open, in a few words to stand beside it; mostly empty.

    interval: of the runs as published; None where there are fewer than two, and for facts, which have no spread.
    honest_interval: of the runs under a protocol without the document's mistakes; None where there are fewer than two.
    """

    verdict: Verdict
    interval: Interval | None
    honest_interval: Interval | None
    reason: str
    caveat: str = ""


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


def limit_interval(mean: float, std: float, *, resolution: float, rows: int | None, level: float = LEVEL) -> Interval:
    """What `interval_of` tends to for ever more seeds (n = 0 stands for that): no number of them makes it narrower."""
    return _combined(mean, _normal_quantile(level) * std, 0, resolution=resolution, rows=rows, level=level)


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


def judge(
    claim: Claim,
    published: Sequence[float],
    honest: Sequence[float] = (),
    *,
    rows: int | None,
    honest_rows: int | None = None,
    honest_name: str = "an honest protocol",
    leaky: bool | None = False,
) -> Judgement:
    """The verdict on a claim, from one value per run in the claim's unit.

    published: runs of the document's own protocol. honest: runs of the same network under a protocol that keeps
    evaluated rows out of training; honest_name: that protocol in words. rows, honest_rows: sizes of the test sets (they
    count for accuracies only). leaky: the published protocol is known to train on rows of the claim's split (None:
    nobody looked); of no matter for facts.

    - fewer than three runs: inconclusive.
    - the claim outside the interval of one new run: below or above it, however wide the interval is.
    - inside, and the half width more than the claim's tolerance (or none fixed): inconclusive.
    - inside and narrow enough: reproduced; but only as published, where the published protocol is leaky and three or
      more honest runs leave the claim outside theirs. Where the honest runs do not settle it, the caveat says so.

    Facts (`FACTS`) that are the same in all runs have no spread: within the tolerance, or half the last printed digit
    where that is more, they are reproduced, with one run too; otherwise below or above.

    Raises ValueError for a claim that gets no verdict (`has_verdict`) and for values that are not finite.
    """
    if not has_verdict(claim):
        raise ValueError(f"{claim.id}: quantity {claim.quantity} gets no verdict; ask has_verdict first")
    interval = _claim_interval(claim, published, rows)
    honest_interval = _claim_interval(claim, honest, honest_rows)
    verdict, reason = _verdict(claim, published, interval, rows)
    caveat = LEAK_UNKNOWN if verdict == "reproduced" and leaky is None and claim.quantity not in FACTS else ""
    if verdict == "reproduced" and leaky and claim.quantity not in FACTS:
        verdict, more, caveat = _honestly(claim, honest, honest_interval, honest_name)
        reason = f"{reason.removesuffix('.')}; {more}"
    constant = is_fact(claim, published)
    return Judgement(verdict, None if constant else interval, honest_interval, reason, caveat)


def is_fact(claim: Claim, values: Sequence[float]) -> bool:
    """Whether the claim is about data or network and every run gave the same value."""
    return claim.quantity in FACTS and len(values) > 0 and len(set(values)) == 1


def _claim_interval(claim: Claim, values: Sequence[float], rows: int | None) -> Interval | None:
    return prediction_interval(values, resolution=claim.resolution, rows=binomial_rows(claim, rows))


def binomial_rows(claim: Claim, rows: int | None) -> int | None:
    """Rows whose binomial error counts: those of an accuracy, which is a fraction of independent rows.

    Not of a minibatch: each run has another one, so the spread over runs is that error.
    """
    return rows if claim.quantity == "accuracy" and claim.split != "minibatch" else None


def _verdict(claim: Claim, values: Sequence[float], interval: Interval | None, rows: int | None) -> tuple[Verdict, str]:
    """The verdict of the published runs alone, and why."""
    from repro.report.units import reported  # here, because the report imports this module

    if is_fact(claim, values):
        return _fact(claim, values)
    if interval is None or interval.n < MIN_SEEDS:
        return "inconclusive", f"{_runs(len(values))}; a verdict needs at least {MIN_SEEDS}."
    seen, printed = _spoken(claim, interval), f"the reported figure ({reported(claim)})"
    if not interval.holds(claim.value):
        side: Verdict = "below the claim" if interval.centre < claim.value else "above the claim"
        return side, f"{seen}: {printed} is not among them."
    seen = f"{seen}: {printed} is among them"
    if claim.tolerance is None:
        return "inconclusive", f"{seen}, but no tolerance was fixed for it."
    tolerance = size(claim, claim.tolerance)
    if narrow_enough(claim, interval):
        return "reproduced", f"{seen}, and the tolerance is {tolerance}."
    needed = fewest_seeds(lambda later: narrow_enough(claim, later), claim, values, rows)
    remedy = f"{needed:,} seeds with this spread would do" if needed else "more seeds with this spread would not do"
    return "inconclusive", f"{seen}, but that is wider than the tolerance of {tolerance}; {remedy}."


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}" if count else "no run"


def _fact(claim: Claim, values: Sequence[float]) -> tuple[Verdict, str]:
    from repro.report.units import mean_and_spread, reported

    value, allowed = float(values[0]), max(claim.resolution / 2, claim.tolerance or 0.0)
    seen = f"{mean_and_spread(claim, value, None)} in every run (n = {len(values)}), reported {reported(claim)}"
    if abs(value - claim.value) <= allowed + _ROUND_OFF * abs(claim.value):
        return "reproduced", f"{seen}."
    return ("below the claim" if value < claim.value else "above the claim"), f"{seen}."


def _honestly(claim: Claim, honest: Sequence[float], interval: Interval | None, name: str) -> tuple[Verdict, str, str]:
    """What the honest runs say of a claim that a leaky protocol reproduced: verdict, reason and caveat."""
    if interval is None or interval.n < MIN_SEEDS:
        if not honest:
            few = "no run without the leak speaks of this figure"
        else:
            few = f"there {'is' if len(honest) == 1 else 'are'} only {_runs(len(honest))} without the leak"
        return "reproduced", f"that protocol leaks, and {few}.", LEAK_UNTESTED
    seen = f"under {name} {_spoken(claim, interval)}"
    if not interval.holds(claim.value):
        return "only as published", f"{seen}: it is not among them.", ""
    if narrow_enough(claim, interval):
        return "reproduced", f"{seen}: it still is among them.", ""
    return "reproduced", f"{seen}: it still is among them, but that is wider than the tolerance.", LEAK_UNSETTLED


def narrow_enough(claim: Claim, interval: Interval) -> bool:
    """Whether an interval that holds the claim says that it was reproduced."""
    return claim.tolerance is not None and interval.half_width <= claim.tolerance * (1 + _ROUND_OFF)


def fewest_seeds(
    fits: Callable[[Interval], bool], claim: Claim, values: Sequence[float], rows: int | None
) -> int | None:
    """The smallest number of seeds, `MIN_SEEDS` or more, whose interval, with the mean and deviation of `values`, fits.

    fits: false for wide intervals and true from some width down. None where no number up to `MAX_SEEDS` does.

    Raises ValueError for fewer than two values.
    """
    mean, std = statistics.fmean(values), statistics.stdev(values)

    def enough(n: int) -> bool:
        return fits(interval_of(mean, std, n, resolution=claim.resolution, rows=binomial_rows(claim, rows)))

    if not enough(MAX_SEEDS):
        return None
    low, high = MIN_SEEDS - 1, MAX_SEEDS  # the interval only ever narrows with n, so bisection finds the first
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _spoken(claim: Claim, interval: Interval) -> str:
    """The interval in words, in the unit in which the claim is displayed."""
    from repro.report.units import mean_and_spread

    runs = f"{interval.n} runs give {mean_and_spread(claim, interval.centre, None)}"
    return f"{runs} and put {100 * LEVEL:g} % of single new runs within {size(claim, interval.half_width)} of it"


def size(claim: Claim, width: float) -> str:
    """A difference in the unit in which the claim is displayed: points for percentages."""
    from repro.report.units import DIFFERENCE_UNIT, DISPLAY_SCALE, measured_decimals, number, with_unit

    scale, unit = DISPLAY_SCALE.get(claim.unit, 1.0), DIFFERENCE_UNIT.get(claim.unit, claim.unit)
    return with_unit(number(width * scale, max(1, measured_decimals(claim))), unit)
