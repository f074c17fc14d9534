"""The results of the dataset audit, for RESULTS.md and `repro audit data`."""

from __future__ import annotations

from fer_jax.duplicates.nearest import SMALL
from fer_jax.duplicates.search import DUPLICATES_VERSION, LARGE_THRESHOLD, THRESHOLD
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import USAGES
from repro.audit.data import DataAudit, PairCounts
from repro.text.document import Block, Cell, Column, Inline, Items, Paragraph, Section, count, say, table

TITLE = "The dataset"
LISTED = 12  # samples of a defect that are named
LEGEND = """\
Exact pairs have the same pixels; near pairs show one image changed by brightness, contrast, compression, mirroring or a
shift. All pairs: [audit/duplicates.csv](audit/duplicates.csv)."""

OUTDATED = "**Outdated**: the search for duplicates changed after this audit; `repro audit data` makes it again."

# What a search of 992,800 drawn faces found (docs/duplicates.md).
FALSE_ALARMS = """\
The larger the dataset, the more faces merely resemble each other: among 992,800 drawn faces 35 % of the pairs from 0.91
on showed two faces, 8 % from 0.93 on."""
LARGE_LOW = f"""\
In so large a dataset look at near pairs with scores below {LARGE_THRESHOLD:g} before you count on them. {FALSE_ALARMS}
Without `--threshold` they are left out."""
LARGE_USUAL = f"""\
In so large a dataset near pairs count from a score of {LARGE_THRESHOLD:g} on, in smaller ones from {THRESHOLD:g}.
{FALSE_ALARMS}"""

PAIR_COLUMNS = (Column("Pairs"), Column("In all", "right"), Column("Samples", "right"))
COPY_COLUMNS = (
    Column("Split"),
    Column("Samples", "right"),
    Column("Same pixels in Training", "right"),
    Column("Exact or near duplicate in Training", "right"),
    Column("Duplicated within the split", "right"),
)


def data_section(audit: DataAudit | None) -> list[Block]:
    """One section; empty if no dataset was audited."""
    if audit is None:
        return []
    places = [(a, b) for a in range(len(USAGES)) for b in range(a, len(USAGES))]
    between = [Column(_between(a, b), "right") for a, b in places]
    rows = [
        [kind, count(counts.pairs), count(counts.rows), *(count(counts.between[a][b]) for a, b in places)]
        for kind, counts in _kinds(audit)
    ]
    copies = [
        [one.split, count(one.rows), *(_share(n, one.rows) for n in (one.exact, one.exact_or_near, one.repeated))]
        for one in audit.copies_in_training
        if one.rows
    ]
    conflicts = "Images with more than one emotion: " + "; ".join(
        f"{one.pictures:,} {kind} ({counted(one.pairs, 'pair')}, {counted(one.rows, 'sample')})"
        for kind, one in (("with the same pixels", audit.exact_conflicts), ("with near duplicates", audit.conflicts))
    )
    defects: list[Inline] = [
        f"{conflicts}.",
        f"Constant images: {_listed(audit.constant)}. Almost constant: {_listed(audit.almost_constant)}.",
    ]
    if audit.not_faces is not None and audit.not_faces_by_split is not None:
        splits = ", ".join(f"{name} {n:,}" for name, n in zip(USAGES, audit.not_faces_by_split, strict=True))
        defects.append(f"Not a face according to the votes of FER+: {len(audit.not_faces):,} ({splits}).")
    if audit.rows > SMALL and audit.threshold <= LARGE_THRESHOLD:
        defects.append(say(LARGE_USUAL if audit.threshold == LARGE_THRESHOLD else LARGE_LOW))
    about = (
        f"{audit.data} ({audit.fingerprint[:8]}): {counted(audit.rows, 'sample')}, "
        f"{counted(audit.pictures, 'different image')}. "
    )
    blocks = [
        Paragraph((about, say(LEGEND))),
        *([] if audit.duplicates_version == DUPLICATES_VERSION else [Paragraph(say(OUTDATED))]),
        *([table(COPY_COLUMNS, copies)] if copies else []),
        table((*PAIR_COLUMNS, *between), rows),
        Items(tuple(defects)),
    ]
    return [Section(TITLE, tuple(blocks))]


def _listed(rows: tuple[int, ...]) -> str:
    """How many samples, and the first ones, counted from 0."""
    shown = ", ".join(str(row) for row in rows[:LISTED])
    return f"{len(rows):,} (samples {shown}{', …' if len(rows) > LISTED else ''})" if rows else "none"


def _share(n: int, rows: int) -> Cell:
    return Cell(f"{n:,} ({100 * n / rows:.1f} %)", n)


def _kinds(audit: DataAudit) -> list[tuple[str, PairCounts]]:
    return [("exact", audit.exact), ("near", audit.near)]


def _between(a: int, b: int) -> str:
    return f"within {USAGES[a]}" if a == b else f"{USAGES[a]} and {USAGES[b]}"
