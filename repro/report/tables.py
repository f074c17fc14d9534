"""The table of all variants, protocols and devices, and those of suspects and of synthetic runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from repro.protocols import AS_PUBLISHED, REPORTED_SPLIT, SUSPECT_PREFIX
from repro.records import RunRecord
from repro.report import units
from repro.report.claims import Measured, measure
from repro.report.dead_runs import dead_run
from repro.report.groups import Group, PaperRuns, remarks
from repro.report.markdown import Column, escape, table
from repro.spec import Claim, Curve, Table

NOTHING = "\u2014"
WARNING = "⚠"
QUANTITY_NAMES = {
    "speedup": "speed-up",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "auc": "AUC",
    "rank": "place among the emotions",
    "predicted_rows": "predicted rows",
    "true_positives": "true positives",
    "pixel_mean": "pixel mean",
    "pixel_std": "pixel standard deviation",
}
SYNTHETIC = "**SYNTHETIC, not comparable**"

MAIN_COLUMNS = (
    Column("Paper"),
    Column("Variant"),
    Column("Figure"),
    Column("Reported", "right"),
    Column("Reproduced", "right"),
    Column("Difference", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Data set"),
    Column("Status"),
)
SUSPECT_COLUMNS = (
    Column("Paper"),
    Column("Variant"),
    Column("Fault put in"),
    Column("Reported", "right"),
    Column("Reached", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Data set"),
    Column("Status"),
)
SYNTHETIC_COLUMNS = (
    Column("Paper"),
    Column("Variant"),
    Column("Figure"),
    Column("Reached", "right"),
    Column("Device"),
    Column("Wall time", "right"),
    Column("Images/s", "right"),
    Column("Data set"),
    Column("Status"),
)


def headline(paper: PaperRuns) -> Claim | None:
    """The document's main figure."""
    return paper.loaded.spec.headline if paper.loaded else None


def main_claim(paper: PaperRuns, variant: str) -> Claim | None:
    """The headline, or what the document reports in its place for another variant; None where it reports nothing."""
    main = headline(paper)
    if main is None or main.variant == variant or paper.loaded is None:
        return main
    same_figure = [
        claim
        for claim in paper.loaded.spec.single_claims
        if (claim.variant, claim.quantity, claim.split) == (variant, main.quantity, main.split)
        and not claim.not_measured
        and not claim.emotion
    ]
    # The end of the run before any epoch of it, then the latest epoch: the place that the headline is about.
    latest = {claim.id: claim.epoch or claim.step or float("inf") for claim in same_figure}
    return max(same_figure, key=lambda claim: latest[claim.id], default=None)


def describe(claim: Claim) -> str:
    """What the figure is, in a few words: 'accuracy, validation, epoch 10'; the document's own for what has no name."""
    name = f'"{claim.quote}"' if claim.quantity == "other" else QUANTITY_NAMES.get(claim.quantity, claim.quantity)
    if claim.quantity == "top_k":
        name = f"top-{claim.k} accuracy"
    parts = [f"{claim.average} {name}" if claim.average else name, claim.split]
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
        parts.append(f"{claim.epoch} epochs" if claim.quantity in ("time", "speedup") else f"epoch {claim.epoch}")
    if claim.step is not None:
        parts.append(f"step {claim.step:,}")
    return escape(", ".join(part for part in parts if part))


def reported_cell(claim: Claim) -> str:
    """The document's figure, with its warning where it has one."""
    text = units.reported(claim)
    return f"{text} {WARNING} **{escape(claim.flag)}**" if claim.flag else text


def measured_cell(claim: Claim, measured: Measured) -> str:
    mark = ", **partial**" if measured.partial else ""
    return f"{units.mean_and_spread(claim, measured.mean, measured.std)} (n = {measured.runs or measured.n}{mark})"


def main_table(papers: Sequence[PaperRuns]) -> str:
    """One row per paper, variant, protocol, device and data set, and one per failed run; a paper without any is 'not
    run'. Suspects have a table of their own."""
    return table(MAIN_COLUMNS, [row for paper in papers for row in _main_rows(paper)])


def flag_notes(papers: Sequence[PaperRuns]) -> list[str]:
    """The reasons behind the warnings of the main table, as list items."""
    notes = []
    for paper in papers:
        shown = dict.fromkeys([_main_variant(paper), *(g.variant for g in paper.groups if not g.synthetic)])
        claims = {c.id: c for variant in shown if (c := main_claim(paper, variant)) and c.flag}
        notes += [flag_note(claim, paper.id) for claim in claims.values()]
    return notes


def flag_note(claim: Claim | Curve | Table, about: str) -> str:
    return f"- {WARNING} **{about}, {escape(claim.flag)}:** {escape(claim.flag_reason)}"


def _is_suspect(group: Group) -> bool:
    return group.key.protocol.startswith(SUSPECT_PREFIX)


def suspect_table(papers: Sequence[PaperRuns]) -> str:
    """Runs with a fault put in on purpose; empty where there are none."""
    rows = []
    for paper in papers:
        for group in paper.groups:
            if group.synthetic or not _is_suspect(group):
                continue
            claim = main_claim(paper, group.variant)
            for records, status in _outcomes(group):
                _, reached = _end_accuracy(REPORTED_SPLIT, records) or ("", NOTHING)
                fault = group.key.protocol.removeprefix(SUSPECT_PREFIX).replace("-", " ")
                reported = reported_cell(claim) if claim else NOTHING
                first = [_paper_cell(paper), f"`{group.variant}`", fault, reported, reached]
                rows.append([*first, *_cost(group, records), status])
    return table(SUSPECT_COLUMNS, rows) if rows else ""


def synthetic_table(papers: Sequence[PaperRuns]) -> str:
    """Runs on drawn faces; empty where there are none."""
    rows = []
    for paper in papers:
        for group in paper.groups:
            if not group.synthetic:
                continue
            for records, status in _outcomes(group):
                figure, reached = _end_accuracy(_end_split(headline(paper), group), records) or (NOTHING, NOTHING)
                status = f"{SYNTHETIC}; {status}"
                rows.append([_paper_cell(paper), f"`{group.variant}`", figure, reached, *_cost(group, records), status])
    return table(SYNTHETIC_COLUMNS, rows) if rows else ""


def _main_variant(paper: PaperRuns) -> str:
    main = headline(paper)
    return main.variant if main else "default"


def _main_rows(paper: PaperRuns) -> Iterator[list[str]]:
    groups = [group for group in paper.groups if not group.synthetic and not _is_suspect(group)]
    for variant in paper.variants:
        claim = main_claim(paper, variant)
        mine = [group for group in groups if group.variant == variant]
        for group in mine:
            yield from _group_rows(paper, group, claim)
        if not mine and variant == _main_variant(paper) and paper.loaded is not None:
            figure = describe(claim) if claim else NOTHING
            reported = reported_cell(claim) if claim else NOTHING
            yield [_paper_cell(paper), f"`{variant}`", figure, reported, *[NOTHING] * 6, "not run"]


def _group_rows(paper: PaperRuns, group: Group, claim: Claim | None) -> Iterator[list[str]]:
    comparable = group.key.protocol == AS_PUBLISHED and not group.key.outdated
    for records, status in _outcomes(group):
        measured = measure(claim, records) if claim and comparable else None
        change = NOTHING
        if claim and measured:
            figure, reproduced = describe(claim), measured_cell(claim, measured)
            change = NOTHING if measured.partial else units.difference(claim, measured.mean)
        else:
            nothing = (describe(claim) if claim else NOTHING, NOTHING)
            figure, reproduced = _end_accuracy(_end_split(claim or headline(paper), group), records) or nothing
        if paper.loaded is None:
            status += "; spec not at hand"
        yield [
            _paper_cell(paper),
            f"`{group.variant}`",
            figure,
            reported_cell(claim) if claim else NOTHING,
            reproduced,
            change,
            *_cost(group, records),
            status,
        ]


def _outcomes(group: Group) -> Iterator[tuple[list[RunRecord], str]]:
    """The full runs of a group together, the shortened ones together, every failed one by itself; with their status."""
    notes = "".join(f"; {remark}" for remark in remarks(group.key))
    for status in ("done", "partial"):
        records = [record for record in group.records if record.status == status]
        if records:
            dead = "".join(f"; {why}" for record in records if (why := dead_run(record)))
            yield records, (status if status == "done" else _shortened(records[0])) + dead + notes
    for record in group.records:
        if record.status == "failed":
            yield [record], failure(record) + notes


def failure(record: RunRecord) -> str:
    at = "" if record.failed_step is None else f" at step {record.failed_step:,}"
    return f"**FAILED**, seed {record.seed}{at}: {escape(record.error)}"


def _shortened(record: RunRecord) -> str:
    """How far the run went of how far the document's goes, and on how many rows."""
    training = record.spec.get("training", {})
    last = record.history[-1] if record.history else None
    parts = []
    for unit, reached in (("epochs", last.epoch if last else 0), ("steps", last.step if last else 0)):
        planned = training.get(unit)
        if planned is not None and reached < planned:
            parts.append(f"{reached:,} of {planned:,} {unit}")
    if record.overrides.limit_train is not None:
        parts.append(f"only {record.overrides.limit_train:,} training rows")
    return f"**partial**: {', '.join(parts)}" if parts else "**partial**"


def _end_split(claim: Claim | None, group: Group) -> str:
    """The split whose accuracy stands for a run: the claim's, and under an honest protocol the one that is reported."""
    published = group.key.protocol == AS_PUBLISHED
    return claim.split if claim and published and claim.split != "train" else REPORTED_SPLIT


def _end_accuracy(first: str, records: Sequence[RunRecord]) -> tuple[str, str] | None:
    """(what, how much): accuracy at the end, on this split if the runs have it, else on test or validation."""
    for split in dict.fromkeys((first, "test", "validation")):
        values = [r.metrics[split].accuracy for r in records if r.status != "failed" and split in r.metrics]
        if values:
            return f"accuracy, {split}", units.percentage_of(values)
    return None


def _cost(group: Group, records: Sequence[RunRecord]) -> list[str]:
    """Cells for device, wall time, images per second and data set."""
    return [
        escape(group.key.device_label),
        units.duration(statistics.fmean(record.time.total_s for record in records)),
        units.rate(statistics.fmean(record.images_per_s for record in records)),
        escape(group.key.data_label),
    ]


def _paper_cell(paper: PaperRuns) -> str:
    return f"[{paper.id}](#{paper.id})" if paper.loaded else paper.id
