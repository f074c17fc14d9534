"""The command-line interface of `repro plan`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from repro.cli.options import must_exist, print_json
from repro.cli.run_options import (
    asked_plans,
    choice_options,
    collection_option,
    is_given,
    jobs_of,
    jobs_of_collection,
)
from repro.cli.starting import sign_of_life
from repro.specs.catalog import find_paper
from repro.specs.decode import LoadedSpec

EXAMPLE = """\
\b
Example:
  repro plan chavan2020
  repro plan --all --protocol all --seeds 5
  repro plan ./my-paper.toml --all --variants --json"""


@click.command(epilog=EXAMPLE)
@click.argument("paper", required=False)
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="List the runs that `repro run-all`, or `repro run PAPER`, with the same options would make: state, size and "
    "time. Nothing is trained.",
)
@click.option("--variants", is_flag=True, help="With --all: every variant too, not only the default.")
@collection_option
@choice_options
def plan(
    paper: str | None, whole: bool, variants: bool, collection: Any, results: Path, as_json: bool, **options: Any
) -> None:
    """Estimate how many seeds would decide each claim of a paper, and how long they take; with --all, list the runs."""
    if whole:
        jobs = jobs_of([find_paper(paper, results)], variants) if paper else jobs_of_collection(collection, variants)
        _list_runs(jobs, results, as_json, **options)
        return
    if paper is None:
        raise click.UsageError("name a PAPER, or give --all for all papers")
    if given := [name for name in ("variants", "collection", *options) if is_given(name)]:
        words = ", ".join(f"--{'set' if name == 'settings' else name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{words}: only with --all")
    _list_seeds(find_paper(paper, results), results, as_json)


def _list_seeds(loaded: LoadedSpec, results: Path, as_json: bool) -> None:
    from repro.decide.seeds_needed import plan_document, plan_to_show
    from repro.report.inputs import paper_records
    from repro.text.terminal import terminal

    must_exist(results)
    runs, audits = paper_records(loaded, results)
    if as_json:
        print_json(plan_document(runs, audits))
    else:
        click.echo(terminal(plan_to_show(runs, audits)))


def _list_runs(
    jobs: list[tuple[LoadedSpec, str]], results: Path, as_json: bool, device: Any, data: str | None, **choice: Any
) -> None:
    plans = asked_plans(jobs, **choice)
    with sign_of_life():
        from repro.decide.planned_runs import plan_of_runs_builtins, plan_of_runs_document, planned_runs
        from repro.runs.batch import open_context
        from repro.runs.stored_records import find_records
        from repro.text.terminal import terminal

        context = open_context({choice["precision"]}, device=device, data=data, results=results, fresh=False)
        records = [record for _, record in find_records(results)] if results.is_dir() else []
        found = planned_runs(plans, context, records)
    if as_json:
        print_json(plan_of_runs_builtins(found))
    else:
        click.echo(terminal(plan_of_runs_document(found)))
