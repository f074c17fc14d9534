"""How many seeds it takes to decide a claim: `repro plan`. From the records alone; no JAX.

The answer assumes that the present mean and spread are the true ones. Three runs give the spread to a factor of two at
best, so a plan is a guide. Make it again after more seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.audit.records import AuditRecord
from repro.judge.groups import PaperRuns
from repro.judge.judged_quantities import has_verdict
from repro.judge.judgements import done, evaluated_samples, judge_claims, most_runs
from repro.judge.verdicts import Judgement, Word, word_of
from repro.specs.catalog import paper_argument, run_command
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.spec import Claim
from repro.statistics import LEVEL, MIN_RUNS, decide_comparison
from repro.text import units
from repro.text.document import Block, Document, Items, Paragraph, code, strong


class SeedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: the verdict now, and what a verdict would take.

    rows: evaluated samples behind each value. verdict_now: as on the paper's page, with what an open one lacks.
    n_needed: total seeds that decide the claim if mean and spread stay; None if no number does, or if no tolerance was
    fixed; for a decided claim, the existing number. expected: the verdict then; None with fewer than two runs, which
    show no spread. hours_needed: mean machine time of the existing runs (`Times.total_s`: if seeds shared one program,
    each seed's share) times the seeds missing to `n_needed`; None if nothing was run, or if no number of seeds
    suffices.
    """

    claim: str
    variant: str
    device: str
    reported: str
    measured: str
    rows: int | None
    verdict_now: str
    decided: bool
    n_now: int
    n_needed: int | None
    expected: Word | None
    hours_needed: float | None
    reason: str


def seed_plans(paper: PaperRuns, audits: Sequence[AuditRecord] = ()) -> list[SeedPlan]:
    """A plan for every accuracy that a run can measure, each from the group with the most completed runs.

    The verdicts are those of the paper's page. audits: as for `judge_claims`.
    """
    claims = paper.loaded.spec.claims if paper.loaded else ()
    judged = judge_claims(paper, audits)
    wanted = [claim for claim in claims if claim.quantity == "accuracy" and has_verdict(claim)]
    return [_plan(claim, paper, judged.get(claim.id)) for claim in wanted]


def _plan(claim: Claim, paper: PaperRuns, judged: Judgement | None) -> SeedPlan:
    group, measured = most_runs(claim, paper)
    records = done(group) if group else []
    values = measured.values if measured else ()
    needed = _needed(judged, len(values))
    hours = None
    if records and needed is not None:
        hours = statistics.fmean(record.time.total_s for record in records) / 3600 * max(0, needed - len(values))
    return SeedPlan(
        claim=claim.id,
        variant=claim.variant,
        device=group.key.device_label if group else "",
        reported=units.reported(claim),
        measured=units.mean_and_spread(claim, measured.mean, measured.std) if measured else "",
        rows=evaluated_samples(claim, records),
        verdict_now=judged.verdict if judged else f"open: {MIN_RUNS} more seeds",
        decided=judged is not None and judged.word != "open",
        n_now=len(values),
        n_needed=needed,
        expected=_expected(judged, needed),
        hours_needed=hours,
        reason=judged.reason if judged else f"There is no run yet; a verdict needs {MIN_RUNS}.",
    )


def _needed(judged: Judgement | None, n: int) -> int | None:
    if judged is None:
        return MIN_RUNS
    if judged.word != "open":
        return n
    return judged.published.seeds_needed if judged.published else MIN_RUNS


def _expected(judged: Judgement | None, needed: int | None) -> Word | None:
    """The verdict with `needed` seeds of this mean and spread; a decided claim keeps its verdict."""
    if judged is None:
        return None
    if judged.word != "open":
        return judged.word
    decision = judged.published
    if decision is None or needed is None or decision.comparison is None:
        return None
    plain = decision.comparison.p_differs
    factor = decision.p_differs / plain if plain > 0 else 1.0
    return word_of(decide_comparison(decision.comparison.with_runs(needed), factor=factor))


# --- repro plan -------------------------------------------------------------------------------------------------------


def plan_document(paper: PaperRuns, audits: Sequence[AuditRecord] = ()) -> dict[str, Any]:
    """`repro plan --json`."""
    plans = [msgspec.to_builtins(plan) for plan in seed_plans(paper, audits)]
    return {"paper": paper.id, "level": LEVEL, "min_seeds": MIN_RUNS, "claims": plans}


def plan_to_show(paper: PaperRuns, audits: Sequence[AuditRecord] = ()) -> Document:
    """`repro plan`."""
    plans = seed_plans(paper, audits)
    if not plans:
        return Document(paper.id, (Paragraph("The paper claims no accuracy that a run can measure."),))
    blocks: list[Block] = []
    for plan in plans:
        variant = "" if plan.variant == DEFAULT_VARIANT else f", variant {plan.variant}"
        seen = f"measured {plan.measured} (n = {plan.n_now}, {plan.device})" if plan.n_now else "not run"
        now = f"Now: {plan.verdict_now}. {_need(plan)}."
        blocks += [
            Paragraph((strong(f"{plan.claim}:"), f" reported {plan.reported}{variant}; {seen}")),
            Items((now, plan.reason)),
        ]
    commands = _commands(_argument(paper), plans)
    if commands:
        blocks += [Paragraph("To decide as many as possible:"), Items(tuple(code(command) for command in commands))]
    return Document(f"{paper.id}: seeds that each accuracy needs for a verdict, as published", tuple(blocks))


def _argument(paper: PaperRuns) -> str:
    return paper_argument(paper.id, paper.loaded.path if paper.loaded else Path(paper.id))


def _need(plan: SeedPlan) -> str:
    if plan.decided:
        return f"Enough: {counted(plan.n_now, 'seed')}"
    if plan.n_needed is None:
        return "No number of seeds is enough"
    missing = max(0, plan.n_needed - plan.n_now)
    hours = "" if plan.hours_needed is None else f", about {plan.hours_needed:.1f} h"
    expected = f"; then expected: {plan.expected}" if plan.expected else ""
    return f"Needed: {counted(plan.n_needed, 'seed')}, {missing:,} more{hours}{expected}"


def _commands(paper: str, plans: Sequence[SeedPlan]) -> list[str]:
    """The commands for the most seeds that any claim of a variant still needs; they skip completed runs."""
    needed: dict[str, int] = {}
    for plan in plans:
        if plan.n_needed is not None and plan.n_needed > plan.n_now:
            needed[plan.variant] = max(needed.get(plan.variant, 0), plan.n_needed)
    return [f"{run_command(paper, variant)} --seeds {seeds}" for variant, seeds in needed.items()]
