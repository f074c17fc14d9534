"""The command-line interface of `repro run-all`. Imports nothing slow."""

from __future__ import annotations

from typing import Any

import click

from repro.cli.run import run_jobs
from repro.cli.run_options import run_options
from repro.specs.catalog import bundled_papers
from repro.specs.decode import DEFAULT_VARIANT

EXAMPLE = """\
\b
Example:
  repro run-all --data fer2013.csv --seeds 3
  repro run-all --device gpu --seeds 5
  repro run-all --until-decided --budget 8h"""


@click.command("run-all", epilog=EXAMPLE)
@click.option("--variants", is_flag=True, help="Every variant too, not only the default of each paper.")
@run_options
def run_all(variants: bool, **options: Any) -> None:
    """Run all bundled papers. Continue after a failure; exit 1 if any run failed.

    With --until-decided, the paper whose next look costs least goes first, so that a budget decides as many as
    possible.
    """
    jobs = [(p, name) for p in bundled_papers() for name in (p.variant_names() if variants else (DEFAULT_VARIANT,))]
    run_jobs(jobs, **options)
