"""How many seeds it takes to tell a claim from what was measured: `repro plan`. From the records alone; no JAX.

The answer takes the present mean and spread for the true ones. From three runs the spread is known to a factor of two
at best, so a plan is a guide, to be made again once more seeds have run.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from repro.catalog import paper_files
from repro.report import units
from repro.report.groups import PaperRuns
from repro.report.judgements import done, most_runs, rows_behind
from repro.spec import Claim
from repro.verdict import (
    LEVEL,
    MAX_SEEDS,
    MIN_SEEDS,
    Verdict,
    binomial_rows,
    fewest_seeds,
    has_verdict,
    judge,
    limit_interval,
    narrow_enough,
    size,
)


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of seeds in all, with the present mean and spread; None where no number does it.

    to_verdict: until the verdict is no longer inconclusive, with `expected` as that verdict (None while fewer than two
    runs tell no spread). to_exclude: until the claim lies outside the interval of one new run.
    """

    to_verdict: int | None
    to_exclude: int | None
    expected: Verdict | None
    reason: str


class SeedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: the verdict now, and what a verdict would take.

    rows: evaluated rows behind each value. n_needed, n_to_exclude: see `Outlook`. hours_needed: the mean machine time
    of the runs at hand (`Times.total_s`: where seeds shared one program, each one's share) times the seeds that are
    missing to `n_needed`; None where nothing was run, or no number of seeds does it.
    """

    claim: str
    variant: str
    device: str
    reported: str
    measured: str
    rows: int | None
    verdict_now: Verdict
    n_now: int
    n_needed: int | None
    n_to_exclude: int | None
    expected: Verdict | None
    hours_needed: float | None
    reason: str


def seeds_needed(values: Sequence[float], claim: Claim, rows: int | None) -> int | None:
    """The smallest number of seeds, 3 or more, with which `judge` gives another verdict than inconclusive.

    values: one per run in the claim's unit; their mean and deviation are taken to stay. That is the number that puts
    the claim outside the interval of one new run, or the number that makes the interval as narrow as the claim's
    tolerance, whichever comes first. None where the spread of single runs, the test set's size and the claim's rounding
    are too much for any number (up to 10,000). With fewer than two values: 3, which no verdict can do without.
    """
    return outlook(values, claim, rows).to_verdict


def outlook(values: Sequence[float], claim: Claim, rows: int | None) -> Outlook:
    """`seeds_needed` with the verdict to be expected, and the reason in one sentence."""
    if len(values) < 2:
        runs = "One run tells nothing of the spread over seeds" if values else "There is no run yet"
        reason = f"{runs}; a verdict needs at least {MIN_SEEDS}."
        return Outlook(to_verdict=MIN_SEEDS, to_exclude=None, expected=None, reason=reason)
    exclude = fewest_seeds(lambda interval: not interval.holds(claim.value), claim, values, rows)
    narrow = fewest_seeds(lambda interval: narrow_enough(claim, interval), claim, values, rows)
    if exclude is None and narrow is None:
        return Outlook(to_verdict=None, to_exclude=None, expected=None, reason=_never(values, claim, rows))
    if narrow is None or (exclude is not None and exclude <= narrow):
        side: Verdict = "below the claim" if statistics.fmean(values) < claim.value else "above the claim"
        reason = f"With this mean and spread, {exclude:,} seeds put the reported figure outside the interval."
        return Outlook(to_verdict=exclude, to_exclude=exclude, expected=side, reason=reason)
    assert claim.tolerance is not None
    reason = f"With this mean and spread, {narrow:,} seeds bring the interval within the tolerance of "
    reason += f"{size(claim, claim.tolerance)}, the reported figure inside."
    if exclude is not None:
        reason += f" To put it outside takes {exclude:,}."
    return Outlook(to_verdict=narrow, to_exclude=exclude, expected="reproduced", reason=reason)


def _never(values: Sequence[float], claim: Claim, rows: int | None) -> str:
    """Why no number of seeds settles it."""
    mean, std = statistics.fmean(values), statistics.stdev(values)
    limit = limit_interval(mean, std, resolution=claim.resolution, rows=binomial_rows(claim, rows))
    parts = [f"{size(claim, limit.seeds)} from the spread of single runs"]
    if limit.binomial:
        parts.append(f"{size(claim, limit.binomial)} from the test set's {rows:,} rows")
    if limit.rounding:
        parts.append(f"{size(claim, limit.rounding)} from the rounding")
    tolerance = "no tolerance was fixed" if claim.tolerance is None else f"tolerance {size(claim, claim.tolerance)}"
    return (
        f"No number up to {MAX_SEEDS:,} settles it: ever more seeds leave {size(claim, limit.half_width)} "
        f"({', '.join(parts)}), and the reported figure is {size(claim, abs(mean - claim.value))} off; {tolerance}."
    )


def seed_plans(paper: PaperRuns) -> list[SeedPlan]:
    """A plan for every accuracy that a run can measure, each from the group with the most runs that are done."""
    claims = paper.loaded.spec.claims if paper.loaded else ()
    return [_plan(claim, paper) for claim in claims if claim.quantity == "accuracy" and has_verdict(claim)]


def _plan(claim: Claim, paper: PaperRuns) -> SeedPlan:
    group, measured = most_runs(claim, paper)
    records = done(group) if group else []
    values = measured.values if measured else ()
    rows = rows_behind(claim, records)
    ahead = outlook(values, claim, rows)
    hours = None
    if records and ahead.to_verdict is not None:
        hours = statistics.fmean(record.time.total_s for record in records) / 3600
        hours *= max(0, ahead.to_verdict - len(values))
    return SeedPlan(
        claim=claim.id,
        variant=claim.variant,
        device=group.key.device_label if group else "",
        reported=units.reported(claim),
        measured=units.mean_and_spread(claim, measured.mean, measured.std) if measured else "",
        rows=rows,
        verdict_now=judge(claim, values, rows=rows).verdict,
        n_now=len(values),
        n_needed=ahead.to_verdict,
        n_to_exclude=ahead.to_exclude,
        expected=ahead.expected,
        hours_needed=hours,
        reason=ahead.reason,
    )


# --- repro plan -------------------------------------------------------------------------------------------------------


def plan_document(paper: PaperRuns) -> dict[str, Any]:
    """`repro plan --json`."""
    plans = [msgspec.to_builtins(plan) for plan in seed_plans(paper)]
    return {"paper": paper.id, "level": LEVEL, "min_seeds": MIN_SEEDS, "claims": plans}


def plan_text(paper: PaperRuns) -> str:
    """`repro plan`."""
    plans = seed_plans(paper)
    if not plans:
        return f"{paper.id}: no accuracy that a run can measure is claimed."
    lines = [f"{paper.id}: seeds that each accuracy needs for a verdict, as published", ""]
    width = max(len(plan.claim) for plan in plans)
    for plan in plans:
        variant = "" if plan.variant == "default" else f", variant {plan.variant}"
        seen = f"measured {plan.measured} (n = {plan.n_now}, {plan.device})" if plan.n_now else "not run"
        lines += [
            f"{plan.claim:<{width}}  reported {plan.reported}{variant}; {seen}",
            f"{'':<{width}}  now: {plan.verdict_now}; {_need(plan)}",
            f"{'':<{width}}  {plan.reason}",
        ]
    return "\n".join([*lines, "", *_commands(_word(paper), plans)]).rstrip()


def _word(paper: PaperRuns) -> str:
    """How the command line names the paper: one that does not come with the suite by its file."""
    path = paper.loaded.path if paper.loaded else Path(paper.id)
    return paper.id if path.resolve() in [known.resolve() for known in paper_files()] else str(path)


def _need(plan: SeedPlan) -> str:
    if plan.n_needed is None:
        return "no number of seeds is enough"
    missing = max(0, plan.n_needed - plan.n_now)
    if not missing:
        return f"enough: {plan.n_now} of {plan.n_needed:,} seeds"
    hours = "" if plan.hours_needed is None else f", about {plan.hours_needed:.1f} h"
    expected = f"; then expected: {plan.expected}" if plan.expected else ""
    return f"needed: {plan.n_needed:,} seeds, {missing:,} more{hours}{expected}"


def _commands(paper: str, plans: Sequence[SeedPlan]) -> list[str]:
    """What to run for the most that any claim of a variant still needs; runs that are done are skipped."""
    needed: dict[str, int] = {}
    for plan in plans:
        if plan.n_needed is not None and plan.n_needed > plan.n_now:
            needed[plan.variant] = max(needed.get(plan.variant, 0), plan.n_needed)
    return [
        f"repro run {paper}{'' if variant == 'default' else f' --variant {variant}'} --seeds {seeds}"
        for variant, seeds in needed.items()
    ]
