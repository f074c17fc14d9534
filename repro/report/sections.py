"""One section per paper: what it is, where it contradicts itself, and every claim beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.records import RunRecord
from repro.report import units
from repro.report.claims import DEVICE_FREE, measure, why_unmeasured
from repro.report.grouped_claims import grouped_blocks
from repro.report.groups import Group, GroupKey, PaperRuns, distinguish
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING, describe, flag_note, measured_cell, reported_cell
from repro.spec import Claim, Contradiction, Paper

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


def paper_section(paper: PaperRuns) -> str:
    """The section of a paper whose spec is at hand, as Markdown.

    Raises ValueError for a paper without one.
    """
    if paper.loaded is None:
        raise ValueError(f"{paper.id}: no spec")
    spec = paper.loaded.spec
    blocks = [f"### {paper.id}", citation(spec.paper), escape(spec.paper.summary)]
    blocks += folded("Variants", [f"- `{name}`: {escape(variant.about)}" for name, variant in spec.variants.items()])
    blocks += folded("Contradictions in the document", [contradiction_item(item) for item in spec.contradictions])
    blocks += folded("Deviations", [f"- **{escape(item.about)}:** {escape(item.reason)}" for item in spec.deviations])
    if spec.single_claims:
        rows = [row for claim in spec.single_claims for row in _claim_rows(claim, paper)]
        blocks += ["#### Claims", table(CLAIM_COLUMNS, rows)]
        blocks += grouped_blocks(paper)
        warned = (*spec.claims, *spec.curves, *spec.tables)
        blocks += ["\n".join(flag_note(item, f"`{item.id}`") for item in warned if item.flag)]
    return "\n\n".join(block for block in blocks if block)


def folded(heading: str, items: Sequence[str]) -> list[str]:
    """A list that the reader opens: some documents contradict themselves dozens of times."""
    if not items:
        return []
    return [f"<details><summary>{heading} ({len(items)})</summary>", "\n".join(items), "</details>"]


def citation(paper: Paper) -> str:
    year = f" ({paper.year})" if paper.year is not None else ""
    parts = [f"**{escape(paper.title)}.** {escape(', '.join(paper.authors))}{year}."]
    if paper.venue:
        parts.append(f"{escape(paper.venue)}.")
    if paper.doi:
        parts.append(f"[doi:{escape(paper.doi)}](<https://doi.org/{paper.doi}>)")
    if paper.url:
        parts.append(f"[document](<{paper.url}>)")
    return " ".join(parts)


def contradiction_item(item: Contradiction) -> str:
    kept = f" The other is variant `{item.variant}`." if item.variant else ""
    return (
        f"- **{escape(item.about)}:** {escape(item.one)} ({escape(item.one_place)}) against "
        f"{escape(item.other)} ({escape(item.other_place)}). Chosen: {_sentence(item.chosen)} "
        f"{_sentence(item.reason)}{kept}"
    )


def _sentence(text: str) -> str:
    text = escape(text)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _claim_rows(claim: Claim, paper: PaperRuns) -> list[list[str]]:
    """One row per device and data set that measured the claim, the document's side told once."""
    what = [f"`{claim.id}`", describe(claim), f"`{claim.variant}`", reported_cell(claim)]
    remarks = [text for text in (claim.note, claim.not_measured) if text]
    place = " ".join(map(_sentence, [claim.place, *remarks])) if remarks else escape(claim.place)
    groups = [group for group in paper.comparable if group.variant == claim.variant]
    rows = []
    for device, records in _pools(claim, groups):
        measured = measure(claim, records)
        if measured:
            change = units.difference(claim, measured.mean)
            rows.append([*what, measured_cell(claim, measured), change, escape(device), place])
            what, place = [""] * len(what), ""
    if not rows:
        reason = why_unmeasured(claim, [record for group in groups for record in group.records])
        rows.append([*what, escape(reason), NOTHING, NOTHING, place])
    return rows


def _pools(claim: Claim, groups: Sequence[Group]) -> Iterator[tuple[str, list[RunRecord]]]:
    """(device, records) whose figures may be averaged for the claim: of one device and data set, unless the quantity
    does not depend on the device, or compares two."""
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


def sections(papers: Sequence[PaperRuns]) -> list[str]:
    """The sections of all papers whose spec is at hand, in order."""
    return [paper_section(paper) for paper in papers if paper.loaded is not None]
