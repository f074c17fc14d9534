"""The command `repro explain`: its words. Imports nothing that takes time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from repro.catalog import find_paper
from repro.options import device_option, json_option, results_option

EXAMPLE = """\
\b
Example:
  repro explain teta2022
  repro explain ./my-paper.toml --data fer2013.csv --seeds 3 --json"""


@click.command("explain", epilog=EXAMPLE)
@click.argument("paper")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each protocol, at least; more where they stand in the results folder.",
)
@device_option
@click.option("--data", help="FER-2013 in any form. Default: the data set imported last, else synthetic faces.")
@results_option
@json_option
def explain(paper: str, seeds: int, device: Any, data: str | None, results: Path, as_json: bool) -> None:
    """Which fault lifts the honest figure to the reported one: trains the suspects that the honest runs leave possible.

    The honest run is protocol `clean`. Suspects whose figure the honest runs tell to be far from the claim are not
    trained, and runs that stand in the results folder are not made again. What is found on real data is kept there,
    for `repro report`.
    """
    loaded = find_paper(paper)

    import msgspec

    from repro.dataset import SYNTHETIC
    from repro.explain.records import write_explanation
    from repro.explain.search import Search
    from repro.explain.text import explanation_text

    explanation = Search(loaded, data=data, device=device, results=results, seeds=seeds).explain()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(explanation), indent=2))
    else:
        click.echo(explanation_text(explanation))
    if explanation.data != SYNTHETIC:
        click.echo(f"wrote {write_explanation(results, explanation)}", err=True)
