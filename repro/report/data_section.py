"""What the audit of the data set found, for RESULTS.md."""

from __future__ import annotations

from fer_jax.duplicates import DUPLICATES_VERSION
from fer_jax.faces import USAGES
from repro.audit.data import DataAudit, PairCounts
from repro.report.markdown import Column, escape, table

LEGEND = """\
Found by `repro audit data`: exact pairs have the same pixels, near pairs are one picture changed by brightness,
contrast, compression, mirroring or a shift of up to two pixels. Every pair, by row number, stands in
[audit/duplicates.csv](audit/duplicates.csv)."""

OUTDATED = "**Outdated**: the search for duplicates changed after this audit; `repro audit data` makes it again."

PAIR_COLUMNS = (Column("Pairs"), Column("in all", "right"), Column("rows", "right"))
COPY_COLUMNS = (
    Column("Part"),
    Column("Rows", "right"),
    Column("with the same pixels in Training", "right"),
    Column("the same or nearly", "right"),
    Column("again within the part", "right"),
)


def data_section(audit: DataAudit | None) -> list[str]:
    """Blocks of Markdown; empty where no data set was audited."""
    if audit is None:
        return []
    places = [(a, b) for a in range(len(USAGES)) for b in range(a, len(USAGES))]
    between = [Column(_between(a, b), "right") for a, b in places]
    rows = [
        [kind, f"{counts.pairs:,}", f"{counts.rows:,}", *(f"{counts.between[a][b]:,}" for a, b in places)]
        for kind, counts in _kinds(audit)
    ]
    copies = [
        [
            one.split,
            f"{one.rows:,}",
            *(f"{n:,} ({n / one.rows:.1%})" for n in (one.exact, one.exact_or_near, one.repeated)),
        ]
        for one in audit.copies_in_training
        if one.rows
    ]
    conflicts = (
        f"Pictures that stand under different emotions: {audit.exact_conflicts.pictures:,} with the same pixels, "
        f"{audit.conflicts.pictures:,} with near ones. Constant pictures: {len(audit.constant)}; almost constant: "
        f"{len(audit.almost_constant)}."
    )
    about = (
        f"{escape(audit.data)} ({audit.fingerprint[:8]}): {audit.rows:,} rows, {audit.pictures:,} different pictures."
    )
    return [
        "## The data set",
        LEGEND,
        *([] if audit.duplicates_version == DUPLICATES_VERSION else [OUTDATED]),
        about,
        table((*PAIR_COLUMNS, *between), rows),
        *([table(COPY_COLUMNS, copies)] if copies else []),
        conflicts,
    ]


def _kinds(audit: DataAudit) -> list[tuple[str, PairCounts]]:
    return [("exact", audit.exact), ("near", audit.near)]


def _between(a: int, b: int) -> str:
    return f"within {USAGES[a]}" if a == b else f"{USAGES[a]} and {USAGES[b]}"
