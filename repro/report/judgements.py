"""A verdict for every claim of a paper that its runs measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from repro.audit.records import AuditRecord
from repro.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, REPORTED_SPLIT
from repro.records import RunRecord
from repro.report.claims import Measured, figure, figure_rows, measure, metrics_of
from repro.report.groups import Group, PaperRuns
from repro.spec import Claim
from repro.verdict import MIN_SEEDS, Judgement, has_verdict, judge


def judge_claims(paper: PaperRuns, audits: Iterable[AuditRecord]) -> dict[str, Judgement]:
    """By claim id, of the claims that full runs measured and that get a verdict.

    Each from the device and data set with the most runs; the honest runs are of the same. audits: of any variants and
    data sets; those of the published protocol tell which splits leak.
    """
    found: dict[str, Judgement] = {}
    audits = list(audits)
    for claim in paper.loaded.spec.single_claims if paper.loaded else ():
        group, _ = most_runs(claim, paper)
        if group is None:
            continue
        by_protocol = {AS_PUBLISHED: done(group)}
        by_protocol |= {protocol: _beside(group, protocol, paper) for protocol in (CLEAN, OFFICIAL)}
        judged = judge_runs(claim, by_protocol, paper, leaky=leaks(claim, group.key.fingerprint, audits))
        if judged:
            found[claim.id] = judged
    return found


def judge_runs(
    claim: Claim, by_protocol: Mapping[str, Sequence[RunRecord]], paper: PaperRuns, *, leaky: bool | None
) -> Judgement | None:
    """The verdict from full runs of the claim's variant on one device and data set, by protocol; None where the claim
    gets none, or where no run as published measured it.

    leaky: see `leaks`.
    """
    published = by_protocol.get(AS_PUBLISHED, ())
    measured = measure(claim, published)
    if measured is None or not has_verdict(claim):
        return None
    protocol = honest_protocol(by_protocol)
    runs = by_protocol.get(protocol, ()) if _speaks_of_unseen_rows(claim) and is_at_end(claim, paper) else ()
    ends = [record.metrics[REPORTED_SPLIT] for record in runs]
    return judge(
        claim,
        measured.values,
        [value for metrics in ends if (value := figure(claim, metrics)) is not None],
        rows=rows_behind(claim, published),
        honest_rows=min((figure_rows(claim, metrics) for metrics in ends), default=None),
        honest_name=f"protocol {protocol}",
        leaky=leaky,
    )


def honest_protocol(by_protocol: Mapping[str, Sequence[RunRecord]]) -> str:
    """The cleanest protocol with enough runs for a verdict, else the cleanest that was run."""
    for least in (MIN_SEEDS, 1):
        for protocol in (CLEAN, OFFICIAL):
            if len(by_protocol.get(protocol, ())) >= least:
                return protocol
    return CLEAN


def leaks(claim: Claim, fingerprint: str, audits: Iterable[AuditRecord]) -> bool | None:
    """Whether the audit of the claim's variant as published, on the data set with this fingerprint, found rows of the
    claim's split among the training rows; None where there is no such audit. Figures of training rows have no leak."""
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


def rows_behind(claim: Claim, records: Sequence[RunRecord]) -> int | None:
    """Rows that the accuracy or loss of a claim was measured on: the fewest of any run; None where no run holds it."""
    found = [figure_rows(claim, metrics) for record in records if (metrics := metrics_of(claim, record)) is not None]
    return min(found, default=None)


def _beside(published: Group, protocol: str, paper: PaperRuns) -> list[RunRecord]:
    """Full runs of the same network on the same device and data, under another protocol."""
    key = published.key._replace(protocol=protocol, settings="")
    for group in paper.groups:
        if group.variant == published.variant and group.key._replace(settings="") == key and done(group):
            return done(group)
    return []


def _speaks_of_unseen_rows(claim: Claim) -> bool:
    """Whether the claim is a figure on rows that were held out, as PrivateTest is."""
    return claim.quantity in ("accuracy", "loss") and claim.split not in ("train", "minibatch")


def is_at_end(claim: Claim, paper: PaperRuns) -> bool:
    """Whether the claim is about the end of the run, by saying nothing else or by the number of its last epoch or
    step."""
    assert paper.loaded is not None
    training = paper.loaded.resolve(claim.variant).training
    last_step = None if training.steps is None else training.steps - 1  # as a loop that counts from 0 prints it
    return claim.epoch in (None, training.epochs) and claim.step in (None, last_step)
