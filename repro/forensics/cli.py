"""The command `repro forensics`: its words."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
import msgspec

from repro.catalog import find_paper
from repro.forensics import OUTCOMES, Finding, examine
from repro.options import json_option

EXAMPLE = """\
\b
Example:
  repro forensics teta2022
  repro forensics chavan2020 --all
  repro forensics ./my-paper.toml --json"""


@click.command("forensics", epilog=EXAMPLE)
@click.argument("paper")
@click.option("--all", "show_all", is_flag=True, help="Every finding, not only the inconsistent ones.")
@json_option
def forensics(paper: str, show_all: bool, as_json: bool) -> None:
    """What the numbers of one paper say alone, without training: arithmetic that anyone can do again."""
    loaded = find_paper(paper)
    findings = examine(loaded)
    if as_json:
        document = {"paper": loaded.id, "findings": [msgspec.to_builtins(finding) for finding in findings]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(findings_text(loaded.id, findings, show_all=show_all))


def findings_text(paper: str, findings: Sequence[Finding], *, show_all: bool) -> str:
    """The findings as people read them on a terminal; without `show_all` the inconsistent ones, and how many others."""
    counts = {outcome: sum(finding.outcome == outcome for finding in findings) for outcome in OUTCOMES}
    lines = [f"{paper}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())]
    for finding in findings:
        if show_all or finding.outcome == "inconsistent":
            lines += ["", f"{finding.outcome}: {finding.check}", f"  {finding.arithmetic}", f"  {finding.meaning}"]
            lines.append(f"  claims: {', '.join(finding.claims)}")
    if counts["inconsistent"] == 0 and not show_all:
        lines.append("No contradiction among the numbers. --all shows the arithmetic of every check.")
    return "\n".join(lines)
