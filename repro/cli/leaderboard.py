"""The command-line interface of `repro leaderboard`. Imports nothing slow."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import json_option, must_exist, print_json, results_option
from repro.specs.catalog import all_papers

EXIT_STALE = 1
EXAMPLE = """\
\b
Example:
  repro leaderboard
  repro leaderboard --check"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--entries",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("leaderboard"),
    show_default=True,
    help="Folder of the entries, one TOML file each.",
)
@results_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if an entry, a record or the page is not right.")
@json_option
def leaderboard(entries: Path, results: Path, check: bool, as_json: bool) -> None:
    """Write LEADERBOARD.md, .json and .csv from the entries, the records of `repro evaluate` and our own runs.

    Every figure of a record is computed again from the predictions beside it.
    """
    from repro.evaluation.entries import read_entries
    from repro.evaluation.leaderboard import leaderboard as made
    from repro.evaluation.leaderboard_page import (
        check_leaderboard,
        leaderboard_document,
        leaderboard_table,
        write_leaderboard,
    )
    from repro.text.export import as_builtins
    from repro.text.terminal import terminal_blocks

    must_exist(results)
    described = read_entries(entries)
    found, mistakes = made(described, results, all_papers())
    wrong = mistakes + (check_leaderboard(results, found) if check else [])
    if as_json:
        print_json(as_builtins(leaderboard_document(found)))
    elif not check:
        click.echo(terminal_blocks([leaderboard_table(found)]))
    if not check:
        for path in write_leaderboard(results, found):
            click.echo(f"wrote {path}", err=True)
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        click.echo("error: the leaderboard does not match its entries and records; see the lines above", err=True)
        sys.exit(EXIT_STALE)
    if check:
        click.echo(f"the leaderboard in {results} matches its {counted(len(described), 'entry')} and their records")
