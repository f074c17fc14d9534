"""The command-line interface of `repro forensics`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
import msgspec

from repro.cli.options import json_option
from repro.forensics import OUTCOMES, Finding, examine
from repro.forensics.contradictions import ContradictedPassage, points
from repro.forensics.finding import short_ids
from repro.specs.catalog import find_paper
from repro.specs.decode import LoadedSpec

EXAMPLE = """\
\b
Example:
  repro forensics teta2022
  repro forensics chavan2020 --all
  repro forensics ./my-paper.toml --json"""


@click.command("forensics", epilog=EXAMPLE)
@click.argument("paper")
@click.option("--all", "show_all", is_flag=True, help="Show also what fits and what cannot be told.")
@json_option
def forensics(paper: str, show_all: bool, as_json: bool) -> None:
    """Check whether a paper's printed numbers are consistent with each other.

    Needs no data and no training. "Impossible" means that no convention known here gives the numbers, and that the
    check rests on the paper's own words alone.
    """
    loaded = find_paper(paper)
    findings = examine(loaded)
    if as_json:
        found = points(loaded.spec.passages, findings)
        document = {
            "paper": loaded.id,
            "contradictions": [_point(point) for point in found.contradictions],
            "open_points": [_point(point) for point in found.others],
            "findings": [msgspec.to_builtins(finding) for finding in findings],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(findings_text(loaded, findings, show_all=show_all))


def _point(point: ContradictedPassage) -> dict[str, object]:
    return {
        "place": point.place,
        "quote": point.quote,
        "findings": [{"check": f.check, "claims": list(f.claims), "outcome": f.outcome} for f in point.findings],
    }


def findings_text(loaded: LoadedSpec, findings: Sequence[Finding], *, show_all: bool) -> str:
    """The findings for a terminal: contradictions, then what differs from the paper's statements; with `show_all` also
    the rest."""
    found = points(loaded.spec.passages, findings)
    counts = {outcome: sum(finding.outcome == outcome for finding in findings) for outcome in OUTCOMES}
    lines = [
        f"{loaded.id}: {_many(len(found.contradictions), 'contradiction')}, "
        f"{_many(len(found.others), 'point')} not by the stated convention "
        f"({len(findings)} checks: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + ")"
    ]
    shown: list[Finding] = []
    for name, group in (("Contradiction", found.contradictions), ("Not by the stated convention", found.others)):
        for index, point in enumerate(group, 1):
            lines += ["", f"{name} {index} of {len(group)}: {point.place}: '{point.quote}'"]
            for finding in point.findings:
                known = finding in shown
                lines += [f"  also, as above: {finding.check}: {finding.arithmetic}"] if known else _lines(finding)
                shown.append(finding)
    if show_all:
        for outcome in ("cannot tell", "consistent"):
            rest = [finding for finding in findings if finding.outcome == outcome]
            lines += ["", f"{outcome.capitalize()}: {_many(len(rest), 'check')}"]
            for finding in rest:
                lines += _lines(finding)
    elif not found.contradictions:
        lines.append("No contradiction among the numbers. --all shows the arithmetic of every check.")
    return "\n".join(lines)


def _lines(finding: Finding) -> list[str]:
    lines = [f"  {finding.outcome}: {finding.check}", f"    {finding.arithmetic}", f"    {finding.meaning}"]
    if finding.conventions:
        lines.append(f"    would follow from: {'; '.join(finding.conventions)}")
    taken = "; ".join(f"{premise.what} ({premise.source})" for premise in finding.premises)
    lines.append(f"    takes for granted: {taken or 'the printed figures alone'}")
    return [*lines, f"    claims: {', '.join(short_ids(finding.claims))}"]


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
