"""The summary at the end of a command that trained: what was trained, what was checked, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from repro.audit.leakage import DATA_SET, OverlapKind, audit_leakage, groups_of_equal_pixels
from repro.judge.main_claim import claim_for
from repro.judge.measured import figure, metrics_of
from repro.runs.dataset import Dataset
from repro.runs.plan import RunPlan
from repro.runs.preparation import prepare
from repro.runs.records import RunRecord
from repro.specs.catalog import paper_argument, run_command
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.protocols import AS_PUBLISHED, CLEAN, REPORTED_SPLIT
from repro.statistics import MIN_RUNS
from repro.text import units

_LABEL = 10  # columns of the words on the left
_KINDS: dict[OverlapKind, str] = {
    "same row": "the same sample",
    "augmented copy": "an augmented copy",
    "exact duplicate": "a duplicate",
    "near duplicate": "a near duplicate",
}


def run_cards(plans: Sequence[RunPlan], records: Sequence[RunRecord], dataset: Dataset) -> list[str]:
    """One card for each paper, variant and protocol. plans, records: in the same order."""

    def group(pair: tuple[RunPlan, RunRecord]) -> tuple[str, str, str]:
        return pair[0].paper, pair[0].variant, pair[0].protocol

    cards = []
    for _, pairs in groupby(zip(plans, records, strict=True), key=group):
        these_plans, these_records = zip(*pairs, strict=True)
        cards.append(run_card(these_plans, these_records, dataset))
    return [card for card in cards if card]


def run_card(plans: Sequence[RunPlan], records: Sequence[RunRecord], dataset: Dataset) -> str:
    """The card of one paper, variant and protocol.

    plans, records: one per seed, in the same order; failed runs are left out. Empty if all failed. The data steps of
    the first seed are repeated to count the evaluated images that are also trained on. Identical pixels count; other
    copies of a photograph need the search of `repro audit`.
    """
    done = [(plan, record) for plan, record in zip(plans, records, strict=True) if record.status != "failed"]
    if not done:
        return ""
    plan, record = done[0]
    blocks = {
        "trained": [_trained(record, dataset)],
        "checked": _checked(plan, record, dataset),
        "next": _next(plan, len(done), dataset),
    }
    lines = [line for label, texts in blocks.items() for line in _block(label, texts)]
    return "\n".join([_title(plan, [one for _, one in done]), *lines])


def _block(label: str, texts: Sequence[str]) -> list[str]:
    return [f"  {'' if k else label:<{_LABEL}}{text}" for k, text in enumerate(texts)]


def _title(plan: RunPlan, records: Sequence[RunRecord]) -> str:
    variant = "" if plan.variant == DEFAULT_VARIANT else f" {plan.variant}"
    protocol = "" if plan.protocol == AS_PUBLISHED else f", protocol {plan.protocol}"
    seeds = "1 seed" if len(records) == 1 else f"{len(records)} seeds"
    shortened = " SHORTENED by your options: no reproduction." if records[0].status == "partial" else ""
    return f"{plan.paper}{variant}{protocol}, {seeds}.{shortened}"


def _trained(record: RunRecord, dataset: Dataset) -> str:
    images, epochs = record.data.splits["train"].rows, record.history[-1].epoch if record.history else 0
    faces = "synthetic faces: a smoke test, no evidence about the paper" if dataset.faces.synthetic else dataset.tag
    return f"{images:,} images, {epochs} epoch{'' if epochs == 1 else 's'}, {record.time.total_s:.0f} s, on {faces}"


def _checked(plan: RunPlan, record: RunRecord, dataset: Dataset) -> list[str]:
    """The main number, and how much of its split was trained on."""
    # A variant that the paper reports nothing for is another reading of the headline.
    claim = claim_for(plan.spec, plan.variant) or plan.spec.headline
    metrics, split, reported = record.metrics.get(REPORTED_SPLIT), REPORTED_SPLIT, ""
    if plan.protocol == AS_PUBLISHED and claim is not None:
        metrics, split = metrics_of(claim, record) or metrics, claim.split
    if metrics is None:
        return []
    value = units.percentage(metrics.accuracy, None)
    if claim is not None and claim.quantity == "accuracy" and (measured := figure(claim, metrics)) is not None:
        value = units.mean_and_spread(claim, measured, None)
        reported = f"; the paper reports {units.reported(claim)}"
    texts = [f"accuracy {value} on {metrics.n:,} images, split {split}{reported}"]
    return [*texts, *_overlap(plan, split, dataset)]


def _overlap(plan: RunPlan, split: str, dataset: Dataset) -> list[str]:
    """How much of the split was trained on. Compares origins and identical pixels, which takes no search."""
    prepared = prepare(plan, dataset)
    if split == "train":
        return ["these are the training images themselves"]
    if split not in prepared.splits:
        return []
    identical = groups_of_equal_pixels(dataset.faces.images)
    audit = audit_leakage(plan, prepared, identical, identical)
    if not audit.shared(split):
        return ["none of them is also a training image, pixel for pixel"]
    most = max((one for one in audit.overlaps if one.split == split), key=lambda one: one.rows)
    way = f"{_KINDS[most.kind]} {'in the dataset' if most.cause == DATA_SET else f'by step {most.cause}'}"
    leaked = f"{audit.shared(split):,} of them ({units.percentage(audit.share(split), None)}) are also training images"
    return [f"LEAKAGE: {leaked}, most as {way}"]


def _next(plan: RunPlan, seeds: int, dataset: Dataset) -> list[str]:
    name = paper_argument(plan.paper, plan.spec_path)
    clean = [f"{run_command(name, plan.variant, CLEAN)}   the same network without train/test overlap"]
    clean = clean if plan.protocol == AS_PUBLISHED else []
    if dataset.faces.synthetic:
        return [
            *clean,
            f"repro forensics {name}   can the paper's printed numbers all be true? Needs no data",
            "repro data get --from kaggle   brings FER-2013; or repro data import FILE",
        ]
    words = run_command(name, plan.variant, plan.protocol)
    more = [f"{words} --until-decided   adds seeds until there is a verdict"] if seeds < MIN_RUNS else []
    return [*more, *clean, "repro report   writes tables, plots and a page for each paper"]
