"""A verdict for every claim of a paper that its runs measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from repro.protocols import CLEAN, OFFICIAL, REPORTED_SPLIT
from repro.records import RunRecord
from repro.report.claims import Measured, measure, metrics_of
from repro.report.groups import Group, PaperRuns
from repro.spec import Claim
from repro.verdict import Judgement, has_verdict, judge

if TYPE_CHECKING:
    from repro.audit.leakage import LeakageAudit


def judge_claims(paper: PaperRuns, audits: Iterable[LeakageAudit]) -> dict[str, Judgement]:
    """By claim id, of the claims that full runs measured and that get a verdict.

    Each from the device and data set with the most runs; the honest runs are of the same. audits: of any variants and
    protocols; those of the published protocol tell which splits leak.
    """
    found = {}
    leaking = {(audit.variant, audit.protocol, overlap.split) for audit in audits for overlap in audit.overlaps}
    for claim in paper.loaded.spec.claims if paper.loaded else ():
        group, measured = most_runs(claim, paper)
        if group is None or measured is None or not has_verdict(claim):
            continue
        honest = _honest_records(claim, group, paper)
        found[claim.id] = judge(
            claim,
            measured.values,
            [getattr(record.metrics[REPORTED_SPLIT], claim.quantity) for record in honest],
            rows=rows_behind(claim, done(group)),
            honest_rows=min((record.metrics[REPORTED_SPLIT].n for record in honest), default=None),
            leaky=(claim.variant, group.key.protocol, claim.split) in leaking,
        )
    return found


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


def rows_behind(claim: Claim, records: Sequence[RunRecord]) -> int | None:
    """Rows that the accuracy or loss of a claim was measured on: the fewest of any run; None where no run holds it."""
    found = [metrics.n for record in records if (metrics := metrics_of(claim, record)) is not None]
    return min(found, default=None)


def _honest_records(claim: Claim, published: Group, paper: PaperRuns) -> list[RunRecord]:
    """Runs that say what the claim's figure is on PrivateTest: clean ones, else official ones, of the same network on
    the same device and data. Only for figures of the end of a run on rows that were held out."""
    held_out = claim.quantity in ("accuracy", "loss") and claim.split not in ("train", "minibatch")
    if not held_out or not _at_end(claim, paper):
        return []
    for protocol in (CLEAN, OFFICIAL):
        key = published.key._replace(protocol=protocol, settings="")
        for group in paper.groups:
            if group.variant == claim.variant and group.key._replace(settings="") == key and done(group):
                return done(group)
    return []


def _at_end(claim: Claim, paper: PaperRuns) -> bool:
    """Whether the claim is about the end of the run, by saying nothing else or by the number of its last epoch."""
    assert paper.loaded is not None
    last = paper.loaded.resolve(claim.variant).training.epochs
    return claim.step is None and claim.epoch in (None, last)
