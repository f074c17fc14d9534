"""What a paper's printed numbers show by themselves, as a section of its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from repro.forensics.contradictions import ContradictedPassage, points
from repro.forensics.finding import OUTCOMES, Finding, short_ids
from repro.report.tables import NOTHING
from repro.specs.spec import Claim
from repro.text.document import Block, Column, Details, Inline, Paragraph, Table, code, joined, say, strong, table

FINDING_COLUMNS = (
    Column("Check"),
    Column("Outcome"),
    Column("Claims"),
    Column("Arithmetic"),
    Column("Meaning"),
    Column("Would follow from"),
    Column("Takes for granted"),
)
LEGEND = """\
*Impossible*: no convention known here gives the figures, and the check rests on the paper's own words alone. *Not by
the stated convention*: the figures do not follow as the paper states it, but the named conventions give them. *Cannot
tell*: the check rests on something that the paper does not state, or the figures are too coarse. A contradiction is a
passage that must be wrong for the rest to agree; it counts once, however many checks it fails."""


def summary(claims: Iterable[Claim], findings: Sequence[Finding]) -> str:
    """One line: contradictions, open points, checks by outcome."""
    found, counts = points(claims, findings), Counter(finding.outcome for finding in findings)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
    return (
        f"Contradictions among the paper's own numbers: {len(found.contradictions)}; points not by the stated "
        f"convention: {len(found.others)} (checks: {said})."
    )


def findings_section(claims: Iterable[Claim], findings: Sequence[Finding]) -> Iterator[Block]:
    """Contradictions in full; open points, undecided checks and consistent numbers under headings that open."""
    if not findings:
        yield Paragraph("No check applies to this paper's numbers.")
        return
    yield Paragraph(say(LEGEND))
    found = points(claims, findings)
    if not found.contradictions:
        yield Paragraph("No contradiction was found.")
    yield from _points(found.contradictions)
    if found.others:
        yield Details(f"Not by the stated convention ({len(found.others)})", tuple(_points(found.others)))
    for outcome in ("cannot tell", "consistent"):
        rest = [finding for finding in findings if finding.outcome == outcome]
        if rest:
            yield Details(f"{outcome.capitalize()} ({len(rest)})", (_finding_table(rest),))


def _points(found: Iterable[ContradictedPassage]) -> Iterator[Block]:
    for point in found:
        yield Paragraph(strong(f"{point.place}: {point.quote}"))
        yield _finding_table(point.findings)


def _finding_table(findings: Sequence[Finding]) -> Table:
    rows: list[list[Inline]] = [
        [
            f.check,
            f.outcome,
            joined([code(id) for id in short_ids(f.claims)]),
            f.arithmetic,
            f.meaning,
            "; ".join(f.conventions) or NOTHING,
            "; ".join(f"{p.what} ({p.source})" for p in f.premises) or NOTHING,
        ]
        for f in findings
    ]
    return table(FINDING_COLUMNS, rows)
