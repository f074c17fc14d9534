"""The audit on a paper's page: which evaluated samples were also trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fer_jax.vocabulary.counted import counted
from repro.audit.leakage import DATA_SET, LeakageAudit
from repro.audit.records import AuditRecord
from repro.report.tables import NOTHING
from repro.specs.decode import DEFAULT_VARIANT
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Items, Paragraph, code, count, joined, say, table

AUDIT_LEGEND = """\
Evaluated samples whose image was also in training, by comparison of their origins and of the images. A sample counts
once, under the first kind that fits."""
NOT_AUDITED = "Not audited yet: `repro audit {word}` compares the samples."
AUDIT_OUTDATED = """\
**Outdated**: the settings of the spec, or the search for duplicates, changed after the audit of {protocols};
`repro audit {word}` compares the samples again."""
WORDS = {DATA_SET: "the dataset"}
AUDIT_COLUMNS = (
    Column("Protocol"),
    Column("Split"),
    Column("Evaluated samples", "right"),
    Column("Also in training", "right"),
    Column("How"),
    Column("Copied by"),
    Column("Divided by"),
)


def audit_blocks(id: str, variant: str, found: AuditRecord | None) -> list[Block]:
    """found: the audit of the variant, with the protocols for which it is current."""
    word = id if variant == DEFAULT_VARIANT else f"{id} --variant {variant}"
    not_audited = Paragraph(say(NOT_AUDITED, word=word))
    if found is None:
        return [not_audited]
    kept = [audit.protocol for audit in found.audits]
    gone = [code(protocol) for protocol in found.settings if protocol not in kept]
    outdated: list[Block] = [Paragraph(say(AUDIT_OUTDATED, protocols=joined(gone), word=word))] if gone else []
    if not kept:
        return outdated or [not_audited]
    about = (f"Audited: {found.data} ({found.fingerprint[:8]}), variant ", code(found.variant), ".")
    return [Paragraph(say(AUDIT_LEGEND)), Paragraph(about), *outdated, *_audits(found.audits)]


def _audits(audits: Sequence[LeakageAudit]) -> list[Block]:
    rows = [row for audit in audits for row in _audit_rows(audit)]
    training: list[Inline] = [_training(audit) for audit in audits]
    return [table(AUDIT_COLUMNS, rows), Items(tuple(training))]


def _training(audit: LeakageAudit) -> Inline:
    """What is trained on, and what the evaluated splits decide."""
    decides = [(code(selection.split), f" decides {selection.decides}") for selection in audit.selections]
    return joined([(code(audit.protocol), f": {counted(audit.rows['train'], 'training sample')}"), *decides], "; ")


def _audit_rows(audit: LeakageAudit) -> Iterator[list[Cell | Inline]]:
    for split, rows in audit.rows.items():
        if split == "train":
            continue
        first: list[Cell | Inline] = [audit.protocol, code(split), count(rows)]
        found = [overlap for overlap in audit.overlaps if overlap.split == split]
        for overlap in found:
            names = (overlap.cause, overlap.separated_by)
            steps = [code(name) if name in audit.steps else WORDS.get(name, name) or NOTHING for name in names]
            shared = Cell(f"{overlap.rows:,} ({units.percentage(overlap.share, None)})", overlap.rows)
            yield [*first, shared, overlap.kind, *steps]
            first = [""] * 3
        if not found:
            yield [*first, count(0), *[NOTHING] * 3]
