"""The command-line interface of `repro explain`. Imports nothing slow."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from repro.cli.options import device_option, json_option, results_option
from repro.cli.starting import begin_kernels, resumable
from repro.specs.catalog import find_paper

EXAMPLE = """\
\b
Example:
  repro explain teta2022 --no-train
  repro explain ./my-paper.toml --data fer2013.csv --json"""


@click.command("explain", epilog=EXAMPLE)
@click.argument("paper")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Runs of each protocol that is trained. With fewer than 3 no cause is credited.",
)
@click.option("--train/--no-train", default=True, help="Train what is missing, or judge from existing runs only.")
@device_option
@click.option("--data", help="FER-2013 in any form. Default: the dataset imported last, else synthetic faces.")
@results_option
@json_option
def explain(paper: str, seeds: int, train: bool, device: Any, data: str | None, results: Path, as_json: bool) -> None:
    """Find the protocol error that explains a reported accuracy, by retraining with each plausible error.

    An error is credited if at least 3 runs with it differ from the clean runs (protocol `clean`), if they contain the
    claim in an interval no wider than its tolerance, and if the paper does not contradict it. Existing runs are reused.
    Errors that the paper or the clean runs rule out are not trained. docs/explain.md has the rules.

    With --no-train, hypotheses without enough runs are listed with the number of runs and minutes that they need.
    Results on real data are kept for `repro report`. Exit code 1 if a run failed.
    """
    loaded = find_paper(paper, results)
    if train:
        begin_kernels(device)

    import msgspec

    from repro.explain.records import write_explanation
    from repro.explain.search import Search
    from repro.explain.text import explanation_blocks
    from repro.runs.dataset import SYNTHETIC
    from repro.text.document import Document
    from repro.text.terminal import printable_lines, terminal

    search = Search(loaded, data=data, device=device, results=results, seeds=seeds, train=train)
    with resumable() if train else nullcontext():
        explanation = search.explain()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(explanation), indent=2))
    else:
        title = f"{explanation.paper}, claim {explanation.claim}"
        click.echo(terminal(Document(title, tuple(explanation_blocks(explanation)))))
    if explanation.data not in (SYNTHETIC, ""):
        click.echo(f"wrote {write_explanation(results, explanation)}", err=True)
    if explanation.failed_runs:
        click.echo(printable_lines(f"error: {loaded.path}: {explanation.failed_runs[0]}"), err=True)
        raise click.exceptions.Exit(1)
