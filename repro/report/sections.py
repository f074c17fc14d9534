"""What a paper is, where it contradicts itself, and every claim beside its measured value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.judge.groups import Group, GroupKey, PaperRuns, distinguish
from repro.judge.measured import DEVICE_FREE, measure, why_unmeasured
from repro.report.grouped_claims import grouped_blocks
from repro.report.tables import NOTHING, describe, difference_cell, flag_note, measured_cell, reported_cell
from repro.runs.records import RunRecord
from repro.specs.spec import Claim, Contradiction, Paper, PaperSpec
from repro.text.document import (
    Block,
    Cell,
    Column,
    Inline,
    Items,
    Paragraph,
    Section,
    code,
    joined,
    link,
    say,
    strong,
    table,
)

CLAIMS_TITLE = "Claims"
CLAIMS_LEGEND = """\
Every number that the paper reports, beside what full runs gave: mean ± sample standard deviation (n runs). Times are of
training and evaluation on the device named here. **partial**: the run was shortened after the point in question."""
CLAIM_COLUMNS = (
    Column("Claim"),
    Column("What"),
    Column("Variant"),
    Column("Reported", "right"),
    Column("Measured", "right"),
    Column("Difference", "right"),
    Column("Device"),
    Column("Place and remarks"),
)


def claims_section(paper: PaperRuns) -> Section | None:
    """Every number of a paper beside the result of its full runs; None if the paper states no numbers.

    Raises ValueError for a paper without a spec.
    """
    if paper.loaded is None:
        raise ValueError(f"{paper.id}: no spec")
    spec = paper.loaded.spec
    blocks: list[Block] = []
    if spec.single_claims:
        rows = [row for claim in spec.single_claims for row in _claim_rows(claim, paper)]
        blocks += [Paragraph(say(CLAIMS_LEGEND)), table(CLAIM_COLUMNS, rows)]
    blocks += grouped_blocks(paper)
    warned = [flag_note(one, one.id) for one in (*spec.claims, *spec.curves, *spec.tables) if one.flag]
    if warned:
        blocks.append(Items(tuple(warned)))
    return Section(CLAIMS_TITLE, tuple(blocks)) if blocks else None


def citation(paper: Paper) -> Inline:
    year = f" ({paper.year})" if paper.year is not None else ""
    parts: list[Inline] = [(strong(f"{paper.title}."), f" {', '.join(paper.authors)}{year}.")]
    if paper.venue:
        parts.append(f"{paper.venue}.")
    if paper.doi:
        parts.append(link(f"doi:{paper.doi}", f"https://doi.org/{paper.doi}"))
    if paper.url:
        parts.append(link("document", paper.url))
    return joined(parts, " ")


def deviations(spec: PaperSpec) -> list[Inline]:
    return [(strong(f"{item.about}:"), f" {item.reason}") for item in spec.deviations]


def contradictions(spec: PaperSpec) -> list[Inline]:
    return [_contradiction(item) for item in spec.contradictions]


def _contradiction(item: Contradiction) -> Inline:
    kept: Inline = (" The other is variant ", code(item.variant), ".") if item.variant else ""
    return (
        strong(f"{item.about}:"),
        f" {item.one} ({item.one_place}) against {item.other} ({item.other_place}). "
        f"Chosen: {_sentence(item.chosen)} {_sentence(item.reason)}",
        kept,
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _claim_rows(claim: Claim, paper: PaperRuns) -> list[list[Cell | Inline]]:
    """One row per device and dataset that measured the claim; the paper's side appears once."""
    what: list[Cell | Inline] = [code(claim.id), describe(claim), code(claim.variant), reported_cell(claim)]
    remarks = [text for text in (claim.note, claim.not_measured) if text]
    place = " ".join(map(_sentence, [claim.place, *remarks])) if remarks else claim.place
    groups = [group for group in paper.comparable if group.variant == claim.variant]
    rows: list[list[Cell | Inline]] = []
    for device, records in _pools(claim, groups):
        measured = measure(claim, records)
        if measured:
            rows.append([*what, measured_cell(claim, measured), difference_cell(claim, measured), device, place])
            what = ["" for _ in what]
            place = ""
    if not rows:
        reason = why_unmeasured(claim, [record for group in groups for record in group.records])
        rows.append([*what, reason, NOTHING, NOTHING, place])
    return rows


def _pools(claim: Claim, groups: Sequence[Group]) -> Iterator[tuple[str, list[RunRecord]]]:
    """(device, records) whose values may be averaged for the claim. They share one device and dataset, unless the
    quantity does not depend on the device or compares two devices."""
    keys = sorted({group.key for group in groups})
    if claim.quantity in DEVICE_FREE:
        for fingerprint in sorted({key.fingerprint for key in keys}):
            mine = [key for key in keys if key.fingerprint == fingerprint]
            kinds = ", ".join(sorted({key.device_kind for key in mine}))
            several = len({key.fingerprint for key in keys}) > 1
            yield (f"{kinds}, {mine[0].data_label}" if several else kinds), _records(groups, mine)
    elif claim.quantity == "speedup":
        for cpu in (key for key in keys if key.device_kind == "cpu"):
            for gpu in (key for key in keys if key.device_kind == "gpu"):
                if (cpu.fingerprint, cpu.training_version) == (gpu.fingerprint, gpu.training_version):
                    yield f"{distinguish(cpu, keys)} / {distinguish(gpu, keys)}", _records(groups, [cpu, gpu])
    else:
        for key in keys:
            yield distinguish(key, keys), _records(groups, [key])


def _records(groups: Sequence[Group], keys: Sequence[GroupKey]) -> list[RunRecord]:
    return [record for group in groups if group.key in keys for record in group.records]
