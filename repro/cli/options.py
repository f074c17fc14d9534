"""Shared by several commands: options, examples, JSON, exit codes. Imports nothing slow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

EXIT_BAD_INPUT = 2

results_option = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder that runs are written to and read from.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="`auto` uses a GPU if there is one; `gpu` is an error without one.",
)


def network_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose a trained network: `run`, `paper` and `results`, as in `repro.use.trained.find_trained`."""
    for option in reversed(
        [
            click.option("--run", help="Folder of the run whose network is used."),
            click.option(
                "--paper",
                help="Use the best run of this paper. Without both: the best of all papers. Full runs on real faces "
                "come first, then corrected protocols, then the highest accuracy on the validation samples. Where "
                "nothing was trained: the network that comes with the suite.",
            ),
            results_option,
        ]
    ):
        function = option(function)
    return function


def face_options(usual: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of the search for faces: `min_face` in pixels or None, and `min_score`. usual: without --min-face."""

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option(
            "--min-score",
            type=float,
            default=0.0,
            show_default=True,
            help="Least score of a face that is shown; 1 is that of the median face. A higher one leaves out boxes "
            "without a face, and faces.",
        )(function)
        return click.option(
            "--min-face",
            type=click.IntRange(min=24),
            metavar="PX",
            help=f"Width in pixels of the smallest face that is searched for. A smaller one takes longer.  [{usual}]",
        )(function)

    return with_options


unsure_option = click.option(
    "--unsure-below",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Call an answer unsure if its probability is below P.  [default: 0.4 with a fitted temperature, else 0]",
)


def example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def must_exist(results: Path) -> None:
    from repro.runs.record_files import RecordError

    if not results.is_dir():
        raise RecordError(f"{results}: no such folder; `repro run` makes it, or name another with --results")
