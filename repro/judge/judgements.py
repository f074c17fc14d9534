"""A verdict for every claim of a paper that its runs measured, by the statistics of `repro.statistics`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.step_kinds import SplitByUsage
from repro.audit.records import AuditRecord
from repro.judge.assumptions import assumptions
from repro.judge.dead_runs import dead_run
from repro.judge.designs import design_of, other_design
from repro.judge.groups import Group, PaperRuns
from repro.judge.judged_facts import judge_fact, judge_rank
from repro.judge.judged_quantities import has_verdict, is_fact
from repro.judge.measured import Measured, figure, measure, metrics_of, samples_behind
from repro.judge.verdicts import (
    LEAK_UNKNOWN,
    LEAK_UNSETTLED,
    LEAK_UNTESTED,
    ONLY_WITH_DUPLICATES,
    REPRODUCED,
    Judgement,
    misses,
    missing,
    sentence,
    word_of,
)
from repro.runs.records import RunRecord
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, REPORTED_SPLIT
from repro.specs.spec import Claim
from repro.statistics import LOOKS, MIN_RUNS, Decision, Design, Samples, Target, decide, decide_comparison, holm

UNTIL_DECIDED = "--until-decided"  # of `repro run`: seeds were added until the claim was decided


def judge_claims(paper: PaperRuns, audits: Iterable[AuditRecord]) -> dict[str, Judgement]:
    """By claim id, of the claims that full runs measured and that get a verdict.

    Each uses the device and dataset with the most runs; the runs without overlap use the same. All claims except the
    headline are one family, whose p-values are corrected (`repro.statistics.holm`). audits: of any variants and data
    sets; those of the published protocol show which splits leak.
    """
    found: dict[str, Judgement] = {}
    audits = list(audits)
    claims = {claim.id: claim for claim in (paper.loaded.spec.single_claims if paper.loaded else ())}
    for claim in claims.values():
        group, _ = most_runs(claim, paper)
        if group is None:
            continue
        by_protocol = {AS_PUBLISHED: done(group)}
        by_protocol |= {protocol: _beside(group, protocol, paper) for protocol in (CLEAN, OFFICIAL)}
        judged = judge_runs(claim, by_protocol, paper, leaky=leaks(claim, group.key.fingerprint, audits))
        if judged:
            found[claim.id] = judged
    return found | _corrected(found, claims)


def judge_runs(
    claim: Claim, by_protocol: Mapping[str, Sequence[RunRecord]], paper: PaperRuns, *, leaky: bool | None
) -> Judgement | None:
    """The verdict from full runs of the claim's variant on one device and dataset, by protocol; None if the claim gets
    none, or if no run as published measured it.

    leaky: see `leaks`.
    """
    published = by_protocol.get(AS_PUBLISHED, ())
    measured = measure(claim, published)
    if measured is None or paper.loaded is None or not has_verdict(claim):
        return None
    if is_fact(claim, measured.values):
        return judge_fact(claim, measured.values)
    if claim.quantity == "rank":
        return judge_rank(claim, measured.values)
    decision = decide(
        measured.values,
        target_of(claim, paper),
        design_of(claim, paper.loaded, published),
        prior=paper.usual.without(published),
        why_no_prior=why_no_prior(claim, paper),
        look=look_of(published, measured.n),
    )
    same_runs = _same_runs(by_protocol)
    others = {
        protocol: _without_overlap(claim, by_protocol.get(protocol, ()), published, paper)
        for protocol in (OFFICIAL, CLEAN)
    }
    if same_runs and is_at_end(claim, paper) and _speaks_of_unseen_samples(claim):
        others[OFFICIAL] = decision
    judged = Judgement(
        word_of(decision),
        decision,
        sentence(claim, decision),
        missing="" if decision.decided else missing(claim, decision),
        official=others[OFFICIAL],
        clean=others[CLEAN],
        assumed=assumptions(claim, paper.loaded),
        dead=sum(bool(dead_run(record)) for record in published),
        same_runs=same_runs,
    )
    return _with_leak(claim, judged, leaky)


def target_of(claim: Claim, paper: PaperRuns) -> Target:
    """The claim in numbers. An accuracy without a tolerance takes the headline's, if that is an accuracy too."""
    main = paper.loaded.spec.headline if paper.loaded else None
    tolerance = claim.tolerance
    if tolerance is None and main is not None and claim.quantity == main.quantity == "accuracy" and not claim.emotion:
        tolerance = main.tolerance
    tries = claim.tries if claim.selected_from else 1
    return Target(claim.value, claim.resolution, tolerance, fraction=claim.unit == "fraction", tries=tries)


def why_no_prior(claim: Claim, paper: PaperRuns) -> str:
    """Why runs of this claim do not spread as usual (`repro.judge.usual_spread`); empty if they do."""
    if claim.quantity != "accuracy":
        return "another quantity than accuracy"
    if claim.emotion:
        return "the recall of one emotion"
    if claim.split in ("train", "minibatch"):
        return "training samples"
    return "" if is_at_end(claim, paper) else "before the end of the run"


def look_of(records: Sequence[RunRecord], n: int) -> int | None:
    """The last planned look that was reached, if seeds were added until the claim was decided; else None."""
    if not any(UNTIL_DECIDED in record.command for record in records):
        return None
    return max((look for look in LOOKS if look <= n), default=None)


def _without_overlap(
    claim: Claim, runs: Sequence[RunRecord], published: Sequence[RunRecord], paper: PaperRuns
) -> Decision | None:
    """The decision on the runs of a protocol without overlap; None if there are none, or if the claim is not about
    unseen samples at the end of a run."""
    if not runs or not _speaks_of_unseen_samples(claim) or not is_at_end(claim, paper):
        return None
    assert paper.loaded is not None
    ends = [record.metrics[REPORTED_SPLIT] for record in runs]
    values = [value for metrics in ends if (value := figure(claim, metrics)) is not None]
    if not values:
        return None
    ours = min(samples_behind(claim, metrics) for metrics in ends)
    if is_private_test(claim, paper):
        design = Design(Samples.FIXED_OWN, ours, ours)
    else:
        design = other_design(claim, published, ours, runs[0].data.rows)
    prior = paper.usual.without(runs)
    why = "" if claim.quantity == "accuracy" and not claim.emotion else "another quantity than accuracy"
    return decide(
        values, target_of(claim, paper), design, prior=prior, why_no_prior=why, look=look_of(runs, len(values))
    )


def is_private_test(claim: Claim, paper: PaperRuns) -> bool:
    """Whether the claim's split as published is PrivateTest, which the runs without overlap evaluate too."""
    assert paper.loaded is not None
    steps = paper.loaded.resolve(claim.variant).data.steps
    return any(isinstance(step, SplitByUsage) and step.into.get(claim.split) == ("PrivateTest",) for step in steps)


def _with_leak(claim: Claim, judged: Judgement, leaky: bool | None) -> Judgement:
    """Add what the runs without overlap show about a claim that runs as published reproduce."""
    if judged.word not in REPRODUCED:
        return judged
    if leaky is None:
        return replace(judged, caveat=LEAK_UNKNOWN)
    if not leaky:
        return judged
    official, clean = judged.official, judged.clean
    if official is None and clean is None:
        return replace(judged, caveat=LEAK_UNTESTED)
    reason = judged.reason
    if official is not None:
        reason += " Official: " + ("the same runs." if judged.same_runs else sentence(claim, official))
    if clean is not None:
        reason += f" Clean: {sentence(claim, clean)}"
    caveat = LEAK_UNSETTLED
    if clean is not None and clean.decided and not misses(claim, clean):
        caveat = ""
    elif official is not None and clean is not None and official.decided and clean.decided:
        if misses(claim, official):
            return replace(judged, word="only as published", reason=reason)
        caveat = ONLY_WITH_DUPLICATES
    return replace(judged, reason=reason, caveat=caveat)


def _corrected(found: Mapping[str, Judgement], claims: Mapping[str, Claim]) -> dict[str, Judgement]:
    """The judgements that change if all claims except the headline are one family."""
    family = {
        id: judged.published
        for id, judged in found.items()
        if judged.published
        and judged.published.comparison
        and judged.published.n >= MIN_RUNS
        and not claims[id].headline
    }
    adjusted = holm({id: decision.p_differs for id, decision in family.items()})
    changed: dict[str, Judgement] = {}
    for id, decision in family.items():
        judged, p = found[id], adjusted[id]
        if decision.differs and p >= 0.05 and decision.comparison is not None:
            factor = p / decision.p_differs if decision.p_differs > 0 else math.inf
            again = decide_comparison(decision.comparison, look=decision.look, factor=factor)
            again = replace(again, mean=decision.mean)
            note = f"Alone p = {decision.p_differs:.2g}; corrected for {counted(len(family), 'claim')}, {p:.2g}."
            judged = replace(
                judged,
                word=word_of(again),
                published=again,
                reason=f"{sentence(claims[id], again)} {note}",
                missing="" if again.decided else missing(claims[id], again),
            )
        changed[id] = replace(judged, p_family=p)
    return changed


def _same_runs(by_protocol: Mapping[str, Sequence[RunRecord]]) -> bool:
    """Whether the runs as published and official have the same settings."""
    published, official = ({r.spec_sha256 for r in by_protocol.get(name, ())} for name in (AS_PUBLISHED, OFFICIAL))
    return bool(published) and published == official


def leaks(claim: Claim, fingerprint: str, audits: Iterable[AuditRecord]) -> bool | None:
    """Whether the audit of the claim's variant as published, on the dataset with this fingerprint, found samples of
    the claim's split among the training samples; None if there is no such audit. Values on training samples have no
    leak."""
    if claim.split in ("train", "minibatch"):
        return False
    shared = [
        audit.shared(claim.split)
        for record in audits
        if record.fingerprint == fingerprint
        for audit in record.audits
        if (audit.variant, audit.protocol) == (claim.variant, AS_PUBLISHED)
    ]
    return any(shared) if shared else None


def most_runs(claim: Claim, paper: PaperRuns) -> tuple[Group | None, Measured | None]:
    """The group of the published protocol whose done runs measured the claim most often, the first of equals."""
    best: tuple[Group | None, Measured | None] = (None, None)
    for group in paper.comparable:
        measured = measure(claim, done(group))
        if measured and (best[1] is None or measured.n > best[1].n):
            best = group, measured
    return best


def done(group: Group) -> list[RunRecord]:
    return [record for record in group.records if record.status == "done"]


def evaluated_samples(claim: Claim, records: Sequence[RunRecord]) -> int | None:
    """Samples behind a claim's accuracy or loss: the fewest of any run; None if no run holds it."""
    found = [samples_behind(claim, metrics) for record in records if (metrics := metrics_of(claim, record)) is not None]
    return min(found, default=None)


def _beside(published: Group, protocol: str, paper: PaperRuns) -> list[RunRecord]:
    """Full runs of the same network on the same device and data, under another protocol."""
    key = published.key._replace(protocol=protocol, settings="")
    for group in paper.groups:
        if group.variant == published.variant and group.key._replace(settings="") == key and done(group):
            return done(group)
    return []


def _speaks_of_unseen_samples(claim: Claim) -> bool:
    """Whether the claim is a value on held-out samples, like PrivateTest."""
    return claim.quantity in ("accuracy", "loss") and claim.split not in ("train", "minibatch")


def is_at_end(claim: Claim, paper: PaperRuns) -> bool:
    """Whether the claim is about the end of the run: it names no epoch or step, or the last one."""
    assert paper.loaded is not None
    training = paper.loaded.resolve(claim.variant).training
    last_step = None if training.steps is None else training.steps - 1  # as a loop that counts from 0 prints it
    return claim.epoch in (None, training.epochs) and claim.step in (None, last_step)
