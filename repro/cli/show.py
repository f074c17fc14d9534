"""`repro show`."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import example, json_option, print_json, results_option
from repro.specs.catalog import find_paper
from repro.specs.decode import DEFAULT_VARIANT


@click.command(
    epilog=example("repro show teta2022", "repro show chavan2020 --variant fig4", "repro show ./my-paper.toml")
)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="Show the settings of this variant.")
@results_option
@json_option
def show(paper: str, variant: str, results: Path, as_json: bool) -> None:
    """Print one paper: settings with their sources, claims, contradictions."""
    from repro.report.describe import paper_document, paper_to_show
    from repro.text.terminal import terminal

    loaded = find_paper(paper, results)
    if as_json:
        print_json(paper_document(loaded, variant))
    else:
        click.echo(terminal(paper_to_show(loaded, variant)))
