"""Opens the network for `repro predict` and `repro webcam`, and describes it on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from repro.use.recognition.detection import Detector
    from repro.use.recognition.recogniser import Recogniser


def open_recogniser(results: Path, run: str | None, paper: str | None, detector: Detector | None) -> Recogniser:
    """Print to standard error which network is used, and whether its answers mean anything."""
    if run is not None and paper is not None:
        raise click.UsageError("--run and --paper exclude each other")

    from repro.use.recognition.recogniser import Recogniser
    from repro.use.trained import Classifier, find_trained, load_trained

    trained = load_trained(find_trained(results, run=run, paper=paper))
    click.echo(f"network of {trained.folder}: {trained.describe()}", err=True)
    return Recogniser(Classifier(trained), detector)
