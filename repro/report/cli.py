"""The commands `repro report` and `repro plan`: their words. Imports nothing that takes time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from repro.catalog import all_papers, find_paper
from repro.options import json_option, results_option

EXIT_STALE = 1
REPORT_EXAMPLE = """\
\b
Example:
  repro report
  repro report --check
  repro report --results elsewhere/results"""
PLAN_EXAMPLE = """\
\b
Example:
  repro plan chavan2020
  repro plan basani2017 --json"""


@click.command(epilog=REPORT_EXAMPLE)
@results_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the report does not match the records.")
def report(results: Path, check: bool) -> None:
    """Write RESULTS.md, a page per paper, results.csv and BENCH.md from the records."""
    from repro.report.folder import check_report, write_report

    _must_exist(results)
    if check:
        difference = check_report(results, all_papers())
        for line in difference:
            click.echo(line, err=True)
        if difference:
            click.echo(f"error: the report in {results} does not match the records; run `repro report`", err=True)
            sys.exit(EXIT_STALE)
        click.echo(f"the report in {results} matches the records")
    else:
        for path in write_report(results, all_papers()):
            click.echo(f"wrote {path}")


@click.command(epilog=PLAN_EXAMPLE)
@click.argument("paper")
@results_option
@json_option
def plan(paper: str, results: Path, as_json: bool) -> None:
    """How many seeds would tell each claim from what was measured, and how long they would take."""
    from repro.report.folder import paper_runs
    from repro.seeds_needed import plan_document, plan_text

    loaded = find_paper(paper)
    _must_exist(results)
    runs = paper_runs(loaded, results)
    if as_json:
        click.echo(json.dumps(plan_document(runs), indent=2, ensure_ascii=False))
    else:
        click.echo(plan_text(runs))


def _must_exist(results: Path) -> None:
    from repro.records import RecordError

    if not results.is_dir():
        raise RecordError(f"{results}: no such folder; `repro run` makes it, or name another with --results")
