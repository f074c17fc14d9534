"""The command-line interface of `repro run-all`. Imports nothing slow."""

from __future__ import annotations

from typing import Any

import click

from repro.cli.hosts import host_options
from repro.cli.run import run_jobs
from repro.cli.run_options import collection_option, jobs_of_collection, run_options

EXAMPLE = """\
\b
Example:
  repro run-all --data fer2013.csv --seeds 3
  repro run-all --device gpu --seeds 5
  repro run-all --collection models --protocol all
  repro run-all --until-decided --budget 8h"""


@click.command("run-all", epilog=EXAMPLE)
@click.option("--variants", is_flag=True, help="Every variant too, not only the default of each paper.")
@collection_option
@run_options
@host_options
def run_all(variants: bool, collection: Any, **options: Any) -> None:
    """Run all bundled papers. Continue after a failure; exit 1 if any run failed.

    With --until-decided, the paper whose next look costs least goes first, so that a budget decides as many as
    possible.
    """
    run_jobs(lambda: jobs_of_collection(collection, variants), **options)
