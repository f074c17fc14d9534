"""The command-line interface of `repro forensics`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from repro.cli.options import json_option, results_option
from repro.forensics import examine
from repro.forensics.contradictions import ContradictedPassage, points
from repro.report.forensics_section import findings_section, summary
from repro.specs.catalog import find_paper
from repro.text.document import Block, Document, Paragraph
from repro.text.terminal import terminal

EXAMPLE = """\
\b
Example:
  repro forensics teta2022
  repro forensics chavan2020 --all
  repro forensics ./my-paper.toml --json"""


@click.command("forensics", epilog=EXAMPLE)
@click.argument("paper")
@click.option(
    "--all", "show_all", is_flag=True, help="Also show the checks that are consistent and those that cannot tell."
)
@results_option
@json_option
def forensics(paper: str, show_all: bool, results: Path, as_json: bool) -> None:
    """Check whether a paper's printed numbers are consistent with each other.

    Needs no data and no training. "Impossible" means that no convention known here gives the numbers, and that the
    check rests on the paper's own words alone.
    """
    loaded = find_paper(paper, results)
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
        passages = loaded.spec.passages
        blocks: list[Block] = [Paragraph(summary(passages, findings))]
        blocks += findings_section(passages, findings, undecided=show_all)
        blocks += [] if show_all else [Paragraph("--all shows the arithmetic of every check.")]
        click.echo(terminal(Document(loaded.id, tuple(blocks))))


def _point(point: ContradictedPassage) -> dict[str, object]:
    return {
        "place": point.place,
        "quote": point.quote,
        "findings": [{"check": f.check, "claims": list(f.claims), "outcome": f.outcome} for f in point.findings],
    }
