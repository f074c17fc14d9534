"""Which evaluated rows were trained on: what the audit of a paper found, for the paper's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.audit.leakage import LeakageAudit
from repro.audit.records import AuditRecord
from repro.decode import DEFAULT_VARIANT
from repro.report import units
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING

AUDIT_LEGEND = """\
Evaluated rows whose picture was trained on, by comparison of the rows' origins and of the pictures; a row counts once,
under the first kind that fits."""
NOT_AUDITED = "Not audited yet: `repro audit {word}` compares the rows."
AUDIT_OUTDATED = """\
**Outdated**: the settings of the spec, or the search for duplicates, changed after the audit of {protocols};
`repro audit {word}` compares the rows again."""
AUDIT_COLUMNS = (
    Column("Protocol"),
    Column("Split"),
    Column("Evaluated rows", "right"),
    Column("Of them trained on", "right"),
    Column("How"),
    Column("Copied by"),
    Column("Divided by"),
)


def audit_blocks(id: str, variant: str, found: AuditRecord | None) -> list[str]:
    """Blocks of Markdown. found: the audit of the variant, with the protocols of which it is current."""
    word = id if variant == DEFAULT_VARIANT else f"{id} --variant {variant}"
    if found is None:
        return [NOT_AUDITED.format(word=word)]
    kept = [audit.protocol for audit in found.audits]
    gone = [f"`{protocol}`" for protocol in found.settings if protocol not in kept]
    outdated = [AUDIT_OUTDATED.format(protocols=", ".join(gone), word=word)] if gone else []
    if not kept:
        return outdated or [NOT_AUDITED.format(word=word)]
    about = f"Audited: {escape(found.data)} ({found.fingerprint[:8]}), variant `{found.variant}`."
    return [AUDIT_LEGEND, about, *outdated, *_audits(found.audits)]


def _audits(audits: Sequence[LeakageAudit]) -> list[str]:
    rows = [row for audit in audits for row in _audit_rows(audit)]
    chosen = [
        f"- Under `{audit.protocol}`, `{selection.split}` decides {escape(selection.decides)}."
        for audit in audits
        for selection in audit.selections
    ]
    return [table(AUDIT_COLUMNS, rows), "\n".join(chosen)]


def _audit_rows(audit: LeakageAudit) -> Iterator[list[str]]:
    for split, rows in audit.rows.items():
        if split == "train":
            continue
        first = [audit.protocol, f"`{split}`", f"{rows:,}"]
        found = [overlap for overlap in audit.overlaps if overlap.split == split]
        for overlap in found:
            steps = [f"`{name}`" if name in audit.steps else name for name in (overlap.cause, overlap.separated_by)]
            count = f"{overlap.rows:,} ({units.percentage(overlap.share, None)})"
            yield [*first, count, overlap.kind, *(name or NOTHING for name in steps)]
            first = [""] * 3
        if not found:
            yield [*first, "0", *[NOTHING] * 3]
