"""The command-line interface of `repro log`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from fer_jax.vocabulary.counted import counted
from repro.cli.options import example, must_exist, results_option
from repro.specs.catalog import find_paper
from repro.trackers.names import TrackerName, installed


@click.command(epilog=example("repro log --to tensorboard", "repro log teta2022 --to wandb --to mlflow"))
@click.argument("paper", required=False)
@click.option(
    "--to",
    "names",
    type=click.Choice(get_args(TrackerName)),
    multiple=True,
    required=True,
    help="May be repeated. An extra of the same name installs it.",
)
@results_option
def log(paper: str | None, names: tuple[TrackerName, ...], results: Path) -> None:
    """Send finished runs to a tracker: all, or those of one PAPER. `repro run --log` sends them as they train.

    TensorBoard, MLflow and Trackio write below the results folder; W&B does so too, offline, unless WANDB_MODE says
    otherwise.
    """
    for name in names:
        installed(name)
    must_exist(results)
    within = find_paper(paper, results).id if paper else ""

    from repro.runs.stored_records import find_records
    from repro.trackers.tracker import trackers

    observers = trackers(names, results, lambda text: click.secho(text, fg="yellow", err=True))
    sent = 0
    for path, record in find_records(results, within):
        for observer in observers:
            observer.finished(path.parent.relative_to(results / "runs").as_posix(), record)
        sent += 1
    if failed := [observer.name for observer in observers if observer.failed]:
        raise click.ClickException(f"not everything could be sent to {', '.join(failed)}")
    click.echo(f"{counted(sent, 'run')} sent to {', '.join(names)}", err=True)
