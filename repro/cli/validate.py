"""`repro validate`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from repro.cli.options import EXIT_BAD_INPUT, example, results_option
from repro.specs.catalog import find_paper, paper_files
from repro.specs.decode import SpecError


@click.command(epilog=example("repro validate", "repro validate ./my-paper.toml"))
@click.argument("papers", nargs=-1)
@results_option
def validate(papers: tuple[str, ...], results: Path) -> None:
    """Check specs: all that come with the suite, or the named papers and files."""
    wrong = 0
    for name in papers or tuple(str(path) for path in paper_files()):
        try:
            loaded = find_paper(name, results)
        except SpecError as error:
            wrong += 1
            click.echo(f"error: {error}", err=True)
            continue
        spec = loaded.spec
        parts = f"{len(spec.claims)} claims, {len(spec.curves)} curves, {len(spec.tables)} tables"
        click.echo(f"{loaded.id}: valid; {parts}, {len(spec.variants)} variants besides the default")
    if wrong:
        sys.exit(EXIT_BAD_INPUT)
