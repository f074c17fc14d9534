"""The verdict card at the end of a command that checks or trains: claim, as published, clean, overlap, verdict, next
command. Built from the records of the whole results folder, beside what the command itself did."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.audit.leakage import DATA_SET, OverlapKind, audit_leakage, groups_of_equal_pixels
from repro.audit.records import AuditRecord
from repro.forensics import Finding
from repro.judge.headline_runs import HeadlineRuns, headline_runs
from repro.judge.main_claim import claim_for
from repro.judge.measured import figure, metrics_of
from repro.report.forensics_section import summary
from repro.report.inputs import paper_records
from repro.report.protocol_table import NOT_RUN, answer_cells, other_cell, published_cell
from repro.report.tables import describe
from repro.runs.dataset import Dataset
from repro.runs.plan import RunPlan
from repro.runs.preparation import prepare
from repro.runs.records import RunRecord
from repro.specs.catalog import paper_argument, run_command
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, REPORTED_SPLIT
from repro.specs.spec import Claim
from repro.specs.stages import STAGES, missing_for
from repro.statistics import MIN_RUNS
from repro.text import units
from repro.text.document import Block, Cell, Column, Document, Inline, Items, Table, code, plain, table

_KINDS: dict[OverlapKind, str] = {
    "same row": "the same sample",
    "augmented copy": "an augmented copy",
    "exact duplicate": "a duplicate",
    "near duplicate": "a near duplicate",
}
_LABELS = {
    "claim": "Claim",
    "trained": "Trained now",
    "checked": "Measured now",
    "as_published": "As published",
    "official": "Official splits",
    "clean": "Clean",
    "overlap": "Overlap",
    "printed_numbers": "Printed numbers",
    "verdict": "Verdict",
}


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """command: to type. gives: what it answers, in a few words."""

    command: str
    gives: str


class VerdictCard(msgspec.Struct, frozen=True, kw_only=True):
    """One paper, variant and protocol. Fields are empty where there is nothing to say.

    claim: the paper's number. trained, checked: what this command trained, and measured; checked also says how that
    compares. as_published, official, clean: what all full runs on FER-2013 measured, by protocol. overlap: evaluated
    samples that are also in training, as published. printed_numbers: the checks without training. reproduces, holds:
    the answers to the two questions about the claim.
    """

    title: str
    paper: str
    variant: str
    protocol: str
    claim: str
    trained: str = ""
    checked: str = ""
    as_published: str = NOT_RUN
    official: str = ""
    clean: str = NOT_RUN
    overlap: str = ""
    printed_numbers: str = ""
    reproduces: str = "open: not run"
    holds: str = "open: not run"
    next: tuple[NextStep, ...] = ()

    @property
    def verdict(self) -> str:
        return f"as published: {self.reproduces}; without overlap: {self.holds}"


def card_rows(card: VerdictCard) -> Table:
    """The card's lines that have something to say."""
    rows: list[list[Cell | Inline]] = [
        [label, text] for name, label in _LABELS.items() if (text := getattr(card, name))
    ]
    return table([Column("What"), Column("Answer")], rows)


def card_document(card: VerdictCard) -> Document:
    blocks: list[Block] = [card_rows(card)]
    blocks += [Items(tuple((code(step.command), f": {step.gives}") for step in card.next))] if card.next else []
    return Document(card.title, tuple(blocks))


def card_builtins(card: VerdictCard) -> dict[str, Any]:
    return {**msgspec.to_builtins(card), "verdict": card.verdict}


def run_cards(
    papers: Mapping[str, LoadedSpec],
    plans: Sequence[RunPlan],
    records: Sequence[RunRecord],
    dataset: Dataset,
    results: Path,
) -> list[VerdictCard]:
    """One card for each paper, variant and protocol that a command ran. plans, records: in the same order; failed runs
    are left out, and so is a card without any other."""

    def group(pair: tuple[RunPlan, RunRecord]) -> tuple[str, str, str]:
        return pair[0].paper, pair[0].variant, pair[0].protocol

    @cache  # it reads every record, and is the same for all protocols
    def by_records(paper: str, variant: str) -> VerdictCard:
        return verdict_card(papers[paper], variant, results, dataset=dataset)

    cards = []
    for (paper, variant, _), pairs in groupby(zip(plans, records, strict=True), key=group):
        done = [(plan, record) for plan, record in pairs if record.has_result]
        if done:
            card = by_records(paper, variant)
            cards.append(with_runs(card, [plan for plan, _ in done], [record for _, record in done], dataset))
    return cards


def verdict_card(
    loaded: LoadedSpec,
    variant: str,
    results: Path,
    *,
    findings: Sequence[Finding] = (),
    dataset: Dataset | None = None,
) -> VerdictCard:
    """The card by the records of a results folder. dataset: runs on this one are preferred.

    Raises RecordError for an audit that cannot be read.
    """
    claim = _claim(loaded, variant)
    card = VerdictCard(
        title=_title(loaded.id, variant, AS_PUBLISHED),
        paper=loaded.id,
        variant=variant,
        protocol=AS_PUBLISHED,
        claim="no claim with `headline = true`" if claim is None else f"{units.reported(claim)} {describe(claim)}",
        printed_numbers=summary(loaded.spec.passages, findings) if findings else "",
    )
    runs, audits = paper_records(loaded, results)
    if claim is not None:
        found = headline_runs(runs, audits, claim)
        card = _with_judgement(card, _preferred(found, dataset))
        card = msgspec.structs.replace(card, overlap=_audited(claim, audits))
    return msgspec.structs.replace(card, next=tuple(_next(loaded, card, dataset)))


def with_runs(
    card: VerdictCard, plans: Sequence[RunPlan], records: Sequence[RunRecord], dataset: Dataset
) -> VerdictCard:
    """The card with what a command did itself: runs of one paper, variant and protocol, none of them failed.

    If there is no audit, the data steps of the first are repeated to count the evaluated images that are also trained
    on. Identical pixels count; other copies of a photograph need the search of `repro audit`.
    """
    plan, record = plans[0], records[0]
    shortened = " SHORTENED by your options: no reproduction." if record.status == "partial" else ""
    seeds = counted(len(records), "seed")
    checked, split = _checked(plan, records)
    asked = _commands(plan, len(records), dataset)
    return msgspec.structs.replace(
        card,
        title=f"{_title(plan.paper, plan.variant, plan.protocol)}, {seeds}.{shortened}",
        protocol=plan.protocol,
        trained=_trained(records, dataset),
        checked=checked,
        overlap=card.overlap if card.overlap and plan.protocol == AS_PUBLISHED else _overlap(plan, split, dataset),
        next=(*asked, *(step for step in card.next if step.command not in {one.command for one in asked})),
    )


def _title(paper: str, variant: str, protocol: str) -> str:
    return (
        paper
        + ("" if variant == DEFAULT_VARIANT else f" {variant}")
        + ("" if protocol == AS_PUBLISHED else f", protocol {protocol}")
    )


def _claim(loaded: LoadedSpec, variant: str) -> Claim | None:
    """The claim for the variant. A variant that the paper reports nothing for is another reading of the headline."""
    main = loaded.spec.headline
    found = claim_for(loaded.spec, variant)
    return found or (msgspec.structs.replace(main, variant=variant) if main else None)


# --- by the records ---------------------------------------------------------------------------------------------------


def _preferred(found: Sequence[HeadlineRuns], dataset: Dataset | None) -> HeadlineRuns | None:
    """On this dataset if there are any, then those with the most runs as published."""

    def rank(one: HeadlineRuns) -> tuple[bool, int]:
        prints = {record.data.fingerprint for runs in one.by_protocol.values() for record in runs}
        same = dataset is not None and dataset.faces.fingerprint in prints
        return same, len(one.by_protocol.get(AS_PUBLISHED, ()))

    return max(found, key=rank, default=None)


def _with_judgement(card: VerdictCard, one: HeadlineRuns | None) -> VerdictCard:
    if one is None:
        return card
    official, clean = (plain(other_cell(one, protocol).text) for protocol in (OFFICIAL, CLEAN))
    reproduces, holds = (plain(answer) for answer in answer_cells(one))
    return msgspec.structs.replace(
        card,
        as_published=plain(published_cell(one).text),
        official="" if official == NOT_RUN else official,
        clean=clean,
        reproduces=reproduces,
        holds=holds,
    )


def _audited(claim: Claim, audits: Sequence[AuditRecord]) -> str:
    """The overlap of the claim's split in the audit of its variant as published; empty without one."""
    for record in audits:
        for audit in record.audits:
            if (audit.variant, audit.protocol) == (claim.variant, AS_PUBLISHED) and claim.split in audit.rows:
                shared, rows = audit.shared(claim.split), audit.rows[claim.split]
                share = units.percentage(audit.share(claim.split), None)
                return f"{shared:,} of {rows:,} evaluated images ({share}) are also in training, or copies of one are"
    return ""


def _next(loaded: LoadedSpec, card: VerdictCard, dataset: Dataset | None) -> list[NextStep]:
    name = paper_argument(loaded.id, loaded.path)
    if not loaded.is_complete:
        stage = next(stage for stage in STAGES if missing_for(loaded.spec, stage))
        missing = " and ".join(f"[{table}]" for table in missing_for(loaded.spec, stage))
        return [NextStep(command=f"repro check {name}", gives=f"again, once the file has {missing}")]
    if dataset is not None and dataset.faces.synthetic:
        return [
            NextStep(command=f"repro forensics {name}", gives="can the paper's printed numbers all be true?"),
            NextStep(command="repro data get --from kaggle", gives="brings FER-2013; or repro data import FILE"),
        ]
    steps = []
    for protocol, found in ((AS_PUBLISHED, card.reproduces), (CLEAN, "" if card.clean == NOT_RUN else card.holds)):
        undecided = found.startswith("open") and ("seed" in found or found.endswith(NOT_RUN))
        if undecided and _claim(loaded, card.variant):  # else no seeds would decide it
            command = f"{run_command(name, card.variant, protocol)} --until-decided"
            steps.append(NextStep(command=command, gives="adds seeds until there is a verdict"))
    for protocol, measured in ((CLEAN, card.clean), (OFFICIAL, card.official or NOT_RUN)):
        if measured == NOT_RUN and (protocol == CLEAN or card.holds.startswith("open: no official")):
            command = f"{run_command(name, card.variant, protocol)} --seeds {MIN_RUNS}"
            steps.append(NextStep(command=command, gives=_WITHOUT))
    if card.holds.startswith("no"):
        steps.append(NextStep(command=f"repro explain {name}", gives="which protocol error explains the gap?"))
    return [*steps, NextStep(command="repro report", gives="writes tables, plots and a page for each paper")]


_WITHOUT = "the same network without train/test overlap"


# --- what the command did ---------------------------------------------------------------------------------------------


def _commands(plan: RunPlan, seeds: int, dataset: Dataset) -> list[NextStep]:
    """What follows from the runs of this command: more of them, and the same without overlap."""
    name = paper_argument(plan.paper, plan.spec_path)
    steps = []
    claim = claim_for(plan.spec, plan.variant) or plan.spec.headline
    if claim and not dataset.faces.synthetic and seeds < MIN_RUNS and plan.protocol != AS_PUBLISHED:
        command = f"{run_command(name, plan.variant, plan.protocol)} --until-decided"
        steps.append(NextStep(command=command, gives="adds seeds until there is a verdict"))
    if dataset.faces.synthetic and plan.protocol == AS_PUBLISHED:
        steps.append(NextStep(command=run_command(name, plan.variant, CLEAN), gives=_WITHOUT))
    return steps


def _trained(records: Sequence[RunRecord], dataset: Dataset) -> str:
    record = records[0]
    images, epochs = record.data.splits["train"].rows, record.history[-1].epoch if record.history else 0
    faces = "synthetic faces: a smoke test, no evidence about the paper" if dataset.faces.synthetic else dataset.tag
    seconds = statistics.fmean(one.time.total_s for one in records)
    return f"{counted(images, 'image')}, {counted(epochs, 'epoch')}, {seconds:.0f} s a seed, on {faces}"


def _checked(plan: RunPlan, records: Sequence[RunRecord]) -> tuple[str, str]:
    """(the main number, mean over the seeds; its split)."""
    claim = claim_for(plan.spec, plan.variant) or plan.spec.headline
    split = REPORTED_SPLIT
    found = [record.metrics.get(split) for record in records]
    if plan.protocol == AS_PUBLISHED and claim is not None:
        split = claim.split
        found = [metrics_of(claim, record) or record.metrics.get(REPORTED_SPLIT) for record in records]
    metrics = [one for one in found if one is not None]
    if not metrics:
        return "", split
    mean = statistics.fmean(one.accuracy for one in metrics)
    value, reported = f"accuracy {units.percentage(mean, None)}", ""
    if claim is not None and claim.quantity in ("accuracy", "loss"):
        measured = [one for entry in metrics if (one := figure(claim, entry)) is not None]
        if measured:
            value = f"{claim.quantity} {units.mean_and_spread(claim, statistics.fmean(measured), None)}"
            reported = f"; the paper reports {units.reported(claim)}"
    return f"{value} on {counted(metrics[0].n, 'image')}, split {split}{reported}", split


def _overlap(plan: RunPlan, split: str, dataset: Dataset) -> str:
    """How much of the split was trained on. Compares origins and identical pixels, which takes no search."""
    if split == "train":
        return "these are the training images themselves"
    prepared = prepare(plan, dataset)
    if split not in prepared.splits:
        return ""
    identical = groups_of_equal_pixels(dataset.faces.images)
    audit = audit_leakage(plan, prepared, identical, identical)
    if not audit.shared(split):
        return "no evaluated image is also a training image, pixel for pixel"
    most = max((one for one in audit.overlaps if one.split == split), key=lambda one: one.rows)
    way = f"{_KINDS[most.kind]} {'in the dataset' if most.cause == DATA_SET else f'by step {most.cause}'}"
    leaked = f"{audit.shared(split):,} of {audit.rows[split]:,} ({units.percentage(audit.share(split), None)})"
    return f"LEAKAGE: {leaked} are also training images, most as {way}"
