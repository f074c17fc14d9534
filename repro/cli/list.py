"""`repro list`."""

from __future__ import annotations

import click

from repro.cli.options import example, json_option, print_json
from repro.specs.catalog import all_papers


@click.command("list", epilog=example("repro list", "repro list --json"))
@json_option
def list_papers(as_json: bool) -> None:
    """List the papers with their main claim and variants."""
    from repro.report.describe import paper_row, papers_to_show
    from repro.text.terminal import terminal_blocks

    papers = all_papers()
    if as_json:
        print_json([paper_row(paper) for paper in papers])
    else:
        click.echo(terminal_blocks(papers_to_show(papers)))
