"""The readings that a paper allows, side by side: its headline under the default and under every variant that was run.

The paper's *other* accuracies show which reading is right. Each has a likelihood under the runs of a reading: the
Student t density of one more run, about the mean of the runs. The products of these likelihoods are compared. Numbers
of one run are correlated, so such a ratio is an upper limit of the evidence; the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from repro.judge.dead_runs import dead_run
from repro.judge.designs import design_of
from repro.judge.groups import Group, PaperRuns
from repro.judge.judgements import done, is_at_end, target_of
from repro.judge.measured import measure
from repro.runs.records import RunRecord
from repro.specs.spec import Claim
from repro.statistics import Decision, Prior, Spread, decide, moderated

USED = ("accuracy",)
DECIDES = 10.0  # times as likely; a smaller ratio is no more than a hint, because the numbers move together


@dataclass(frozen=True)
class SettingReading:
    """variant: its name. decision: on the headline. values: of the runs. dead: runs
    that ended no better than the constant answer. support: log10 likelihood of the other numbers
    minus that of the best reading; None if there is none to compare. others: how many numbers that rests on."""

    variant: str
    decision: Decision
    values: tuple[float, ...]
    dead: int = 0
    support: float | None = None
    others: int = 0


def readings(paper: PaperRuns) -> list[SettingReading]:
    """The headline's variant, and every other variant whose full runs measured the headline's split."""
    main = paper.loaded.spec.headline if paper.loaded else None
    if paper.loaded is None or main is None or main.quantity not in USED:
        return []
    groups = {variant: group for variant in paper.variants if (group := _largest(paper, variant, main)) is not None}
    if main.variant not in groups:
        return []
    found = [_reading(paper, main, variant, group) for variant, group in groups.items()]
    support, others = _support(paper, main, groups)
    return [replace(one, support=support.get(one.variant), others=others) for one in found]


def _largest(paper: PaperRuns, variant: str, main: Claim) -> Group | None:
    """A variant's as-published group with the most runs that measured the headline's quantity and split."""
    claim = msgspec.structs.replace(main, variant=variant)
    groups = [g for g in paper.comparable if g.variant == variant and measure(claim, done(g)) is not None]
    return max(groups, key=lambda group: len(done(group)), default=None)


def _reading(paper: PaperRuns, main: Claim, variant: str, group: Group) -> SettingReading:
    assert paper.loaded is not None
    claim, records = msgspec.structs.replace(main, variant=variant), done(group)
    measured = measure(claim, records)
    assert measured is not None
    why = "" if is_at_end(claim, paper) else "before the end of the run"
    decision = decide(
        measured.values,
        target_of(claim, paper),
        design_of(claim, paper.loaded, records),
        prior=paper.usual.without(records),
        why_no_prior=why,
    )
    return SettingReading(variant, decision, measured.values, sum(bool(dead_run(record)) for record in records))


def _support(paper: PaperRuns, main: Claim, groups: dict[str, Group]) -> tuple[dict[str, float], int]:
    """(log10 likelihood minus the best one, by variant; how many numbers every variant measured)."""
    assert paper.loaded is not None
    spec = paper.loaded.spec
    points = [point for curve in spec.curves if curve.quantity in USED for point in curve.points]
    others = [
        claim
        for claim in (*spec.claims, *points)
        if claim.quantity in USED
        and claim.variant == main.variant
        and not (claim.not_measured or claim.emotion or claim.headline or claim.split == "minibatch")
        and (claim.split, claim.value, claim.epoch, claim.step) != (main.split, main.value, main.epoch, main.step)
    ]
    others = _not_contradicted(others)
    scores: dict[str, list[float | None]] = {
        variant: [_log_likelihood(claim, variant, done(group), paper) for claim in others]
        for variant, group in groups.items()
    }
    used = [index for index in range(len(others)) if all(score[index] is not None for score in scores.values())]
    if len(groups) < 2 or not used:
        return {}, 0
    totals = {variant: math.fsum(score[index] or 0.0 for index in used) for variant, score in scores.items()}
    best = max(totals.values())
    return {variant: total - best for variant, total in totals.items()}, len(used)


def _not_contradicted(claims: Sequence[Claim]) -> list[Claim]:
    """Without numbers that the paper gives twice with values further apart than rounding: one of the two is wrong, and
    nobody knows which."""

    def place(claim: Claim) -> tuple[object, ...]:
        return claim.quantity, claim.split, claim.evaluated, claim.epoch, claim.step

    def agree(one: Claim, other: Claim) -> bool:
        return abs(one.value - other.value) <= (one.resolution + other.resolution) / 2 + 1e-9

    return [one for one in claims if all(agree(one, other) for other in claims if place(other) == place(one))]


def _log_likelihood(claim: Claim, variant: str, records: Sequence[RunRecord], paper: PaperRuns) -> float | None:
    """log10 of the probability that one more run prints the claim: a density times the unit of the last digit."""
    assert paper.loaded is not None
    measured = measure(msgspec.structs.replace(claim, variant=variant), records)
    prior = paper.usual.without(records)
    if measured is None or prior is None:
        return None
    there = msgspec.structs.replace(claim, variant=variant)
    drawing = design_of(there, paper.loaded, records).drawing_variance(min(max(measured.mean, 0.0), 1.0))
    spread = _spread(measured.values, prior, drawing)
    error = math.sqrt(spread.sd**2 * (1 + 1 / measured.n) + claim.resolution**2 / 12)
    return _log10_t_density((claim.value - measured.mean) / error, spread.df) - math.log10(error)


def _spread(values: Sequence[float], prior: Prior, drawing: float) -> Spread:
    """The moderated spread; for a single run, the prior's."""
    if len(values) > 1:
        return moderated(values, prior, drawing_variance=drawing)
    sd = math.sqrt(prior.sd**2 + drawing)
    return Spread(sd, prior.df, 0.0, 0, True)


def _log10_t_density(t: float, df: float) -> float:
    constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return (constant - (df + 1) / 2 * math.log1p(t * t / df)) / math.log(10)


def best_supported(found: Sequence[SettingReading], main: Claim) -> tuple[SettingReading | None, float]:
    """The reading that the other numbers support best, and how many times as likely as under the headline's own they
    are under it; None if there is no support to compare."""
    scored = {one.variant: one.support for one in found if one.support is not None}
    if not scored:
        return None, 1.0
    best = max((one for one in found if one.variant in scored), key=lambda one: scored[one.variant])
    return best, 10 ** -scored[main.variant]


def better_reading(found: Sequence[SettingReading], main: Claim) -> tuple[SettingReading, float] | None:
    """The reading that the other numbers support DECIDES times better than the headline's own, or more, and how many
    times; None if there is none. No verdict on the headline's own should be read without it."""
    best, times = best_supported(found, main)
    return None if best is None or best.variant == main.variant or times < DECIDES else (best, times)
