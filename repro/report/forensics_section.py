"""What a paper's printed numbers show by themselves, as a section of its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from repro.forensics.contradictions import points
from repro.forensics.finding import OUTCOMES, Finding, short_ids
from repro.specs.spec import Claim
from repro.text.document import Block, Details, Inline, Items, Paragraph, Section, code, joined, say, strong

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


def findings_section(
    claims: Iterable[Claim], findings: Sequence[Finding], *, undecided: bool = True
) -> Iterator[Block]:
    """Contradictions in full; open points, undecided checks and consistent numbers under headings that open.

    undecided: also show the checks that fit and those that cannot tell.
    """
    if not findings:
        yield Paragraph("No check applies to this paper's numbers.")
        return
    yield Paragraph(say(LEGEND))
    found = points(claims, findings)
    if not found.contradictions:
        yield Paragraph("No contradiction was found.")
    shown: list[Finding] = []
    for point in found.contradictions:
        yield Section(f"{point.place}: {point.quote}", tuple(_findings(point.findings, shown)))
    if found.others:
        inside = [
            Section(f"{point.place}: {point.quote}", tuple(_findings(point.findings, shown))) for point in found.others
        ]
        yield Details(f"Not by the stated convention ({len(found.others)})", tuple(inside))
    for outcome in ("cannot tell", "consistent") if undecided else ():
        rest = [finding for finding in findings if finding.outcome == outcome]
        if rest:
            yield Details(f"{outcome.capitalize()} ({len(rest)})", tuple(_findings(rest, [])))


def _findings(findings: Iterable[Finding], shown: list[Finding]) -> Iterator[Block]:
    """Each finding with its arithmetic, meaning and premises. One that is in `shown` already is only named."""
    for finding in findings:
        claims = joined([code(id) for id in short_ids(finding.claims)])
        if finding in shown:
            yield Paragraph((strong(f"{finding.check}:"), f" {finding.outcome}, as above (", claims, ")."))
            continue
        shown.append(finding)
        granted = "; ".join(f"{premise.what} ({premise.source})" for premise in finding.premises)
        lines: list[Inline] = [finding.arithmetic, finding.meaning]
        if finding.conventions:
            lines.append(f"Would follow from: {'; '.join(finding.conventions)}.")
        lines += [f"Takes for granted: {granted or 'the printed numbers alone'}.", ("Claims: ", claims, ".")]
        yield Paragraph((strong(f"{finding.check}:"), f" {finding.outcome}."))
        yield Items(tuple(lines))
