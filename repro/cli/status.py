"""The command-line interface of `repro status`. Imports nothing slow."""

from __future__ import annotations

import time
from pathlib import Path

import click

from repro.cli.options import example, json_option, must_exist, print_json, results_option

REFRESH_S = 2.0


@click.command(epilog=example("repro status", "repro status --watch", "repro status --results /shared/results --json"))
@click.option("--watch", is_flag=True, help=f"Show it again every {REFRESH_S:g} seconds, until Ctrl-C.")
@results_option
@json_option
def status(watch: bool, results: Path, as_json: bool) -> None:
    """Show the state of every run: running (epoch, speed, time left, host), waiting, stopped, failed, done.

    Reads files alone, so it also works for processes on other machines that write to the same folder.
    """
    from repro.report.run_status import status_builtins, status_document
    from repro.runs.status import run_statuses
    from repro.text.terminal import terminal

    must_exist(results)
    if watch and as_json:
        raise click.UsageError("--watch shows text: omit --json")
    while True:
        found = run_statuses(results)
        if as_json:
            print_json(status_builtins(found))
        else:
            if watch:
                click.clear()
            click.echo(terminal(status_document(results, found)))
        if not watch:
            return
        time.sleep(REFRESH_S)
