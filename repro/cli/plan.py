"""The command-line interface of `repro plan`. Imports nothing slow."""

from __future__ import annotations

import json
from pathlib import Path

import click

from repro.cli.options import json_option, must_exist, results_option
from repro.specs.catalog import find_paper

EXAMPLE = """\
\b
Example:
  repro plan chavan2020
  repro plan basani2017 --json"""


@click.command(epilog=EXAMPLE)
@click.argument("paper")
@results_option
@json_option
def plan(paper: str, results: Path, as_json: bool) -> None:
    """How many seeds would decide each claim, and how long they would take."""
    from repro.decide.seeds_needed import plan_document, plan_to_show
    from repro.report.inputs import paper_records
    from repro.text.terminal import terminal

    loaded = find_paper(paper, results)
    must_exist(results)
    runs, audits = paper_records(loaded, results)
    if as_json:
        click.echo(json.dumps(plan_document(runs, audits), indent=2, ensure_ascii=False))
    else:
        click.echo(terminal(plan_to_show(runs, audits)))
