"""Tables of all variants, protocols and devices, of runs with protocol errors, and of synthetic runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from fer_jax.vocabulary.counted import counted
from repro.judge.dead_runs import dead_run
from repro.judge.groups import Group, PaperRuns, remarks
from repro.judge.main_claim import headline, main_claim
from repro.judge.measured import Measured, measure
from repro.runs.records import RunRecord
from repro.specs.protocols import AS_PUBLISHED, REPORTED_SPLIT, SUSPECT_PREFIX
from repro.specs.spec import Claim, ClaimTable, Curve
from repro.text import units
from repro.text.document import Cell, Column, Inline, Table, code, joined, strong, table

NOTHING = "\u2014"
WARNING = "⚠"
QUANTITY_NAMES = {
    "speedup": "speed-up",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "auc": "AUC",
    "rank": "place among the emotions",
    "rows": "samples",
    "predicted_rows": "predicted samples",
    "true_positives": "true positives",
    "pixel_mean": "pixel mean",
    "pixel_std": "pixel standard deviation",
}
SYNTHETIC = strong("SYNTHETIC, not comparable")

MAIN_COLUMNS = (
    Column("Variant"),
    Column("Number"),
    Column("Reported", "right"),
    Column("Reproduced", "right"),
    Column("Difference", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Dataset"),
    Column("Status"),
)
SUSPECT_COLUMNS = (
    Column("Variant"),
    Column("Protocol error put in"),
    Column("Reported", "right"),
    Column("Reached", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Dataset"),
    Column("Status"),
)
SYNTHETIC_COLUMNS = (
    Column("Variant"),
    Column("Number"),
    Column("Reached", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Dataset"),
    Column("Status"),
)


def describe(claim: Claim) -> str:
    """What the claim measures: 'accuracy, validation, epoch 10'; in the paper's own words if it has no name."""
    name = f'"{claim.quote}"' if claim.quantity == "other" else QUANTITY_NAMES.get(claim.quantity, claim.quantity)
    if claim.quantity == "top_k":
        name = f"top-{claim.k} accuracy"
    split = "all training samples after training" if claim.evaluated else claim.split
    parts = [f"{claim.average} {name}" if claim.average else name, split]
    parts += [f"{claim.actual} as {claim.emotion}" if claim.actual else claim.emotion, claim.device]
    if claim.of_rows is not None:
        parts.append(f"of {claim.of_rows:,}")
    if claim.quantity == "rank":
        parts.append(f"by {claim.by}")
    if claim.selected_from:
        parts.append(f"best of {f'{claim.tries:,}, ' if claim.tries else ''}{claim.selected_from}")
    if claim.hardware:
        parts.append(f"on {claim.hardware}")
    if claim.epoch is not None:
        parts.append(counted(claim.epoch, "epoch") if claim.quantity in ("time", "speedup") else f"epoch {claim.epoch}")
    if claim.step is not None:
        parts.append(f"step {claim.step:,}")
    return ", ".join(part for part in parts if part)


def reported_cell(claim: Claim) -> Cell:
    """The paper's value, with its warning if it has one."""
    text = units.reported(claim)
    return Cell((text, f" {WARNING} ", strong(claim.flag)) if claim.flag else text, claim.value)


def measured_cell(claim: Claim, measured: Measured) -> Cell:
    figure = units.mean_and_spread(claim, measured.mean, measured.std)
    mark: Inline = (", ", strong("partial")) if measured.partial else ""
    return Cell((f"{figure} (n = {measured.runs or measured.n}", mark, ")"), measured.mean)


def difference_cell(claim: Claim, measured: Measured) -> Cell:
    return Cell(units.difference(claim, measured.mean), measured.mean - claim.value)


def main_table(papers: Sequence[PaperRuns]) -> Table:
    """One row per paper, variant, protocol, device and dataset, and one per failed run; a paper without runs is 'not
    run'. Runs with deliberate protocol errors have a separate table."""
    return table(MAIN_COLUMNS, [row for paper in papers for row in _main_rows(paper)])


def flag_note(claim: Claim | Curve | ClaimTable, about: str) -> Inline:
    return (f"{WARNING} ", strong(f"{about}, {claim.flag}:"), f" {claim.flag_reason}")


def _is_suspect(group: Group) -> bool:
    return group.key.protocol.startswith(SUSPECT_PREFIX)


def suspect_table(papers: Sequence[PaperRuns]) -> Table | None:
    """Runs with a deliberate protocol error; None if there are none."""
    rows = []
    for paper in papers:
        for group in paper.groups:
            if group.synthetic or not _is_suspect(group):
                continue
            claim = main_claim(paper, group.variant)
            for records, status in _outcomes(group):
                _, reached = _end_accuracy(REPORTED_SPLIT, records) or ("", Cell(NOTHING))
                fault = group.key.protocol.removeprefix(SUSPECT_PREFIX).replace("-", " ")
                reported = reported_cell(claim) if claim else NOTHING
                rows.append([code(group.variant), fault, reported, reached, *_cost(group, records), status])
    return table(SUSPECT_COLUMNS, rows) if rows else None


def synthetic_table(papers: Sequence[PaperRuns]) -> Table | None:
    """Runs on synthetic faces; None if there are none."""
    rows = []
    for paper in papers:
        for group in paper.groups:
            if not group.synthetic:
                continue
            for records, status in _outcomes(group):
                nothing = (NOTHING, Cell(NOTHING))
                figure, reached = _end_accuracy(_end_split(headline(paper), group), records) or nothing
                status = (SYNTHETIC, "; ", status)
                rows.append([code(group.variant), figure, reached, *_cost(group, records), status])
    return table(SYNTHETIC_COLUMNS, rows) if rows else None


def _main_variant(paper: PaperRuns) -> str:
    main = headline(paper)
    return main.variant if main else "default"


def _main_rows(paper: PaperRuns) -> Iterator[list[Cell | Inline]]:
    groups = [group for group in paper.groups if not group.synthetic and not _is_suspect(group)]
    for variant in paper.variants:
        claim = main_claim(paper, variant)
        mine = [group for group in groups if group.variant == variant]
        for group in mine:
            yield from _group_rows(paper, group, claim)
        if not mine and variant == _main_variant(paper) and paper.loaded is not None:
            figure = describe(claim) if claim else NOTHING
            reported = reported_cell(claim) if claim else NOTHING
            yield [code(variant), figure, reported, *[NOTHING] * 6, "not run"]


def _group_rows(paper: PaperRuns, group: Group, claim: Claim | None) -> Iterator[list[Cell | Inline]]:
    comparable = group.key.protocol == AS_PUBLISHED and not group.key.outdated
    for records, status in _outcomes(group):
        measured = measure(claim, records) if claim and comparable else None
        change: Cell | Inline = NOTHING
        if claim and measured:
            figure, reproduced = describe(claim), measured_cell(claim, measured)
            change = NOTHING if measured.partial else difference_cell(claim, measured)
        else:
            nothing = (describe(claim) if claim else NOTHING, Cell(NOTHING))
            figure, reproduced = _end_accuracy(_end_split(claim or headline(paper), group), records) or nothing
        if paper.loaded is None:
            status = (status, "; no spec found for this run")
        reported = reported_cell(claim) if claim else NOTHING
        yield [code(group.variant), figure, reported, reproduced, change, *_cost(group, records), status]


def _outcomes(group: Group) -> Iterator[tuple[list[RunRecord], Inline]]:
    """(records, status): the full runs of a group together, its shortened runs together, each failed run by itself."""
    notes = tuple(("; ", _remark(remark)) for remark in remarks(group.key))
    for status in ("done", "partial"):
        records = [record for record in group.records if record.status == status]
        if records:
            dead = tuple(("; ", dead_note(record)) for record in records if dead_run(record))
            yield records, ("done" if status == "done" else _shortened(records[0]), dead, notes)
    for record in group.records:
        if record.status == "failed":
            yield [record], (failure(record), notes)


def _remark(text: str) -> Inline:
    word, colon, rest = text.partition(":")
    return (strong(word), colon, rest) if word == "outdated" else text


def dead_note(record: RunRecord) -> Inline:
    """Empty for a run that learned."""
    word, comma, rest = dead_run(record).partition(",")
    return (strong(word), comma, rest) if word else ""


def failure(record: RunRecord) -> Inline:
    at = "" if record.failed_step is None else f" at step {record.failed_step:,}"
    return (strong("FAILED"), f", seed {record.seed}{at}: {record.error}")


def _shortened(record: RunRecord) -> Inline:
    """How much of the paper's training the run completed, and on how many samples."""
    training = record.spec.get("training", {})
    last = record.history[-1] if record.history else None
    parts = []
    for unit, reached in (("epochs", last.epoch if last else 0), ("steps", last.step if last else 0)):
        planned = training.get(unit)
        if planned is not None and reached < planned:
            parts.append(f"{reached:,} of {planned:,} {unit}")
    if record.overrides.limit_train is not None:
        parts.append(f"only {counted(record.overrides.limit_train, 'training sample')}")
    parts += record.overrides.settings or ()
    return joined([strong("partial"), ", ".join(parts)], ": ")


def _end_split(claim: Claim | None, group: Group) -> str:
    """The split whose accuracy represents a run: the claim's; under a clean protocol, the one that it reports."""
    published = group.key.protocol == AS_PUBLISHED
    return claim.split if claim and published and claim.split != "train" else REPORTED_SPLIT


def _end_accuracy(first: str, records: Sequence[RunRecord]) -> tuple[str, Cell] | None:
    """(what, how much): accuracy at the end, on this split if the runs have it, else on test or validation."""
    for split in dict.fromkeys((first, "test", "validation")):
        values = [r.metrics[split].accuracy for r in records if r.has_result and split in r.metrics]
        if values:
            return f"accuracy, {split}", Cell(units.percentage_of(values), statistics.fmean(values))
    return None


def _cost(group: Group, records: Sequence[RunRecord]) -> list[Cell]:
    """Cells for device, wall time, images per second and dataset."""
    total_s = statistics.fmean(record.time.total_s for record in records)
    images_per_s = statistics.fmean(record.images_per_s for record in records)
    return [
        Cell(group.key.device_label),
        Cell(units.duration(total_s), total_s),
        Cell(units.rate(images_per_s), images_per_s),
        Cell(group.key.data_label),
    ]
