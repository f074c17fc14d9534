"""The command line. Thin: it reads words, calls one function per command, prints. Only commands that run import JAX."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from fer_jax.errors import UserError
from repro import __version__
from repro.cli.options import json_option
from repro.specs.catalog import all_papers, find_paper, paper_files
from repro.specs.decode import DEFAULT_VARIANT, SpecError

EXIT_BAD_INPUT = 2


# Commands in files of their own, imported when they are called for.
ELSEWHERE = {
    "audit": "repro.cli.audit",
    "bench": "repro.cli.bench",
    "explain": "repro.cli.explain",
    "export": "repro.cli.export",
    "forensics": "repro.cli.forensics",
    "plan": "repro.cli.report",
    "predict": "repro.cli.predict",
    "report": "repro.cli.report",
    "run": "repro.cli.run",
    "run-all": "repro.cli.run",
    "serve": "repro.cli.serve",
    "webcam": "repro.cli.predict",
}


class _Commands(click.Group):
    """Turns every error that the user can mend into one message and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ELSEWHERE:
            return getattr(importlib.import_module(ELSEWHERE[cmd_name]), cmd_name.replace("-", "_"))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(EXIT_BAD_INPUT)


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="repro")
def main() -> None:
    """Reproduce the numbers of facial-expression-recognition papers on FER-2013."""


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


# --- papers ---------------------------------------------------------------------------------------------------------


@main.command("list", epilog=_example("repro list", "repro list --json"))
@json_option
def list_papers(as_json: bool) -> None:
    """The papers, their headline and their variants."""
    from repro.report.describe import paper_row, papers_table

    papers = all_papers()
    if as_json:
        _print_json([paper_row(paper) for paper in papers])
    else:
        click.echo(papers_table(papers))


@main.command(
    epilog=_example("repro show teta2022", "repro show chavan2020 --variant fig4", "repro show ./my-paper.toml")
)
@click.argument("paper")
@click.option("--variant", default=DEFAULT_VARIANT, show_default=True, help="Show the settings of this variant.")
@json_option
def show(paper: str, variant: str, as_json: bool) -> None:
    """What one paper says: settings with their provenance, claims, contradictions."""
    from repro.report.describe import paper_document, paper_text

    loaded = find_paper(paper)
    if as_json:
        _print_json(paper_document(loaded, variant))
    else:
        click.echo(paper_text(loaded, variant))


@main.command(epilog=_example("repro validate", "repro validate ./my-paper.toml"))
@click.argument("papers", nargs=-1)
def validate(papers: tuple[str, ...]) -> None:
    """Check specs: all that come with the suite, or the named papers and files."""
    wrong = 0
    for name in papers or tuple(str(path) for path in paper_files()):
        try:
            loaded = find_paper(name)
        except SpecError as error:
            wrong += 1
            click.echo(f"error: {error}", err=True)
            continue
        spec = loaded.spec
        parts = f"{len(spec.claims)} claims, {len(spec.curves)} curves, {len(spec.tables)} tables"
        click.echo(f"{loaded.id}: valid; {parts}, {len(spec.variants)} variants besides the default")
    if wrong:
        sys.exit(EXIT_BAD_INPUT)


# --- data -----------------------------------------------------------------------------------------------------------


@main.group(epilog=_example("repro data status", "repro data import fer2013.csv", "repro data get --from kaggle"))
def data() -> None:
    """Bring FER-2013, and see what is there."""


@data.command(epilog=_example("repro data status", "repro data status --json"))
@json_option
def status(as_json: bool) -> None:
    """The imported data sets, and which one runs use by default."""
    from repro.cli.imported_data import status_document, status_text

    if as_json:
        _print_json(status_document())
    else:
        click.echo(status_text())


@data.command("import", epilog=_example("repro data import fer2013.csv", "repro data import ~/Downloads/archive.zip"))
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def import_data(path: Path, as_json: bool) -> None:
    """Read FER-2013 in any form, cache it, and make it the default of later runs."""
    from repro.cli.imported_data import import_document, import_text

    if as_json:
        _print_json(import_document(path))
    else:
        click.echo(import_text(path))


@data.command(epilog=_example("repro data get --from kaggle", "repro data get --from huggingface"))
@click.option(
    "--from",
    "source",
    type=click.Choice(["kaggle", "huggingface"]),
    default="kaggle",
    show_default=True,
    help="Whose client downloads it. Needs the extra `get`.",
)
def get(source: Any) -> None:
    """Download FER-2013 with the official client, and import it."""
    from repro.cli.imported_data import get_text

    click.echo(get_text(source))
