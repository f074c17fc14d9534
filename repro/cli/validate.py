"""`repro validate`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import EXIT_BAD_INPUT, example, results_option
from repro.specs.catalog import find_paper, paper_files
from repro.specs.decode import SpecError
from repro.specs.spec import PaperSpec
from repro.specs.stages import STAGES, missing_for


@click.command(epilog=example("repro validate", "repro validate ./my-paper.toml"))
@click.argument("papers", nargs=-1)
@results_option
def validate(papers: tuple[str, ...], results: Path) -> None:
    """Check specs: all that come with the suite, or the named papers and files. Say how far each goes.

    Every mistake of a file is listed, with its line, its key path and what is accepted there.
    """
    from repro.text.terminal import printable_lines

    wrong = 0
    for name in papers or tuple(str(path) for path in paper_files()):
        try:
            loaded = find_paper(name, results)
        except SpecError as error:
            wrong += 1
            for line in str(error).split("\n"):
                click.echo(printable_lines(f"error: {line}"), err=True)
            continue
        spec = loaded.spec
        parts = (
            f"{counted(len(spec.claims), 'claim')}, {counted(len(spec.curves), 'curve')}, "
            f"{counted(len(spec.tables), 'table')}"
        )
        click.echo(f"{loaded.id}: valid; {parts}, {counted(len(spec.variants), 'variant')} besides the default")
        if not loaded.is_complete:
            click.echo("\n".join(stage_lines(spec)))
    if wrong:
        sys.exit(EXIT_BAD_INPUT)


def stage_lines(spec: PaperSpec) -> list[str]:
    """How far a partial spec goes, and what the next stages need."""
    lines = []
    for stage in STAGES:
        missing = missing_for(spec, stage)
        needs = ", ".join("[[claims]]" if name == "claims" else f"[{name}]" for name in missing)
        lines.append(f"  {f'repro {stage.name}':<16}{stage.does} {f'not yet: add {needs}' if missing else 'yes'}")
    return lines
