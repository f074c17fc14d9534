"""The command-line interface of `repro bench`. Imports nothing slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from repro.cli.options import device_option
from repro.specs.catalog import bundled_papers, find_paper

EXIT_BENCH_FAILED = 1
COMPARISONS = ("train", "predict", "import", "audit", "growth", "seeds")

EXAMPLE = """\
\b
Example:
  repro bench
  repro bench teta2022 --data fer2013.csv --against torch --what train
  repro bench --what import,audit
  repro bench teta2022 --what growth"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _comparisons(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    words = _words(value)
    unknown = [word for word in words if word not in COMPARISONS]
    if unknown or not words:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is not one of {', '.join(COMPARISONS)}")
    return words


def _rivals(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """None, for all installed rivals, if the user names none."""
    if value is None:
        return None
    if not _words(value):
        raise click.BadParameter(f"name one, such as {'torch' if parameter.name == 'against' else 'eager'}")
    return _words(value)


@click.command("bench", epilog=EXAMPLE)
@click.argument("papers", nargs=-1)
@device_option
@click.option(
    "--against",
    callback=_rivals,
    help="Rivals, separated by commas: torch, keras. Default: those that are installed.",
)
@click.option(
    "--what",
    default="train,predict",
    show_default=True,
    callback=_comparisons,
    help=f"Separated by commas: {', '.join(COMPARISONS)}. Growth and seeds take many minutes per paper.",
)
@click.option(
    "--modes",
    callback=_rivals,
    help="Modes of the rivals to try, separated by commas, such as eager,cuda-graph. Default: all; the fastest counts.",
)
@click.option(
    "--agreements",
    type=click.Path(path_type=Path, file_okay=False),
    help="Another folder of results, whose checks that both sides learn alike are used where they still hold.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Alternating rounds.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="About how long one timing lasts.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "tensorfloat32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of multiplications on a GPU, the same for all frameworks.",
)
@click.option("--data", help="Real faces, as for `repro run`.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the records; BENCH.md is written there.",
)
def bench(papers: tuple[str, ...], **options: Any) -> None:
    """Compare the speed of this suite with PyTorch and Keras, on this machine, with the networks of the papers."""
    loaded = tuple(find_paper(name, options["results"]) for name in papers) or tuple(bundled_papers())

    from repro.bench import command  # here, because the import is slow

    outcome = command.bench(command.Request(papers=loaded, **options))
    click.echo(outcome.table())
    for failure in outcome.failures:
        click.echo(f"error: {failure}", err=True)
    if outcome.failures:
        sys.exit(EXIT_BENCH_FAILED)
