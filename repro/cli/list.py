"""`repro list`."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import example, json_option, print_json, results_option
from repro.specs.catalog import COLLECTIONS, bundled_papers, own_papers


@click.command("list", epilog=example("repro list", "repro list --json"))
@results_option
@json_option
def list_papers(results: Path, as_json: bool) -> None:
    """List your own papers, the bundled ones and the models that people use, with main claim and variants."""
    from repro.report.describe import paper_row, papers_to_show
    from repro.text.terminal import printable_lines, terminal_blocks

    own = own_papers(results)
    papers = [*own.papers, *bundled_papers(*COLLECTIONS)]
    for line in own.unusable:
        click.echo(printable_lines(f"left out: {line}"), err=True)
    if as_json:
        print_json([paper_row(paper) for paper in papers])
    else:
        click.echo(terminal_blocks(papers_to_show(papers)))
