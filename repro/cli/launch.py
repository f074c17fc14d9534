"""The command-line interface of `repro launch`. Imports nothing slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from repro.cli.engines import (
    ENGINE_OPTIONS,
    engine_options,
    for_workers,
    given_words,
    refuse_failed,
    start_workers,
    wait_for_runs,
)
from repro.cli.options import example, print_json
from repro.cli.run_options import is_given, run_options
from repro.launch.executor import EngineName, Workers
from repro.specs.catalog import find_paper

EXAMPLE = example(
    "repro launch --seeds 5 --protocol all --on local --workers 4",
    "repro launch teta2022 --seeds 20 --on slurm --workers 10 --time 4h --engine-option partition=gpu --gpus 1",
    "repro launch --seeds 5 --on ray --workers 8 --gpus 0.25",
)


@click.command(epilog=EXAMPLE)
@click.argument("paper", required=False)
@click.option("--variants", is_flag=True, help="Every variant too, not only the default of each paper.")
@run_options
@engine_options("local")
def launch(paper: str | None, variants: bool, engine: EngineName, workers: int | None, **options: Any) -> None:
    """Make the runs of `repro run-all`, or of one PAPER, with several workers, and wait for them.

    Workers share the results folder: each takes the next free run, and resumes what a dead one had begun. `repro plan
    --all` lists the runs before; `repro status --watch` shows them meanwhile.
    """
    given = {name: options.pop(name) for name in ENGINE_OPTIONS}
    results: Path = options["results"]
    if is_given("fresh"):
        raise click.UsageError("--fresh: every worker would train every run again; delete the results first")
    if is_given("shard"):
        raise click.UsageError("--shard: the workers share the runs by themselves")
    command = _command(paper, variants)
    started = start_workers(engine, command, workers, results, options["device"], given)
    if given["detach"]:
        click.echo(f"repro status --results {results} --watch shows how far they are", err=True)
        return
    _finish(started, results, as_json=options["as_json"])


_OF_LAUNCH = {"paper", "variants", "engine", "workers", "as_json", *ENGINE_OPTIONS}


def _command(paper: str | None, variants: bool) -> list[str]:
    """The words of `repro run` or `repro run-all` that each worker gets: those that the user gave."""
    if paper is None:
        words = ["run-all", *(["--variants"] if variants else [])]
    else:
        find_paper(paper, click.get_current_context().params["results"])  # an unknown paper is an error here already
        words = ["run", for_workers(paper), *(["--variant", "all"] if variants else [])]
    return words + given_words(_OF_LAUNCH)


def _finish(started: Workers, results: Path, *, as_json: bool) -> None:
    """Wait for the workers, and show what became of the runs."""
    from repro.report.run_status import status_builtins, status_document
    from repro.runs.status import run_statuses
    from repro.text.terminal import terminal

    states = wait_for_runs(started, results)
    found = run_statuses(results)
    if as_json:
        print_json({"workers": states, "runs": status_builtins(found)})
    else:
        click.echo(terminal(status_document(results, found)))
    refuse_failed(started, states)
    if any(one.state == "failed" for one in found):
        sys.exit(1)
