"""Opens the network for `repro predict`, `webcam` and `serve`, and describes it on standard error."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from repro.use.opened import Keep
    from repro.use.recognition.detection import Detector
    from repro.use.recognition.recogniser import Recogniser
    from repro.use.temperature import Temperature
    from repro.use.trained import TrainedNetwork


def open_recogniser(
    results: Path,
    run: str | None,
    paper: str | None,
    detector: Detector | None,
    unsure_below: float | None,
    *,
    many: bool = False,
) -> Recogniser:
    """Print to standard error which network is used, and whether its answers mean anything. many: as in
    `repro.use.opened.open_classifier`."""
    if run is not None and paper is not None:
        raise click.UsageError("--run and --paper exclude each other")

    from repro.use.opened import open_classifier
    from repro.use.recognition.recogniser import Recogniser
    from repro.use.temperature import temperature_text
    from repro.use.temperature import unsure_below as threshold
    from repro.use.trained import find_trained

    classifier = open_classifier(find_trained(results, run=run, paper=paper), kept_for_next_time(), many=many)
    trained, temperature = classifier.trained, classifier.temperature
    least = threshold(temperature, unsure_below)
    untrained = f", as none was trained in {results}" if trained.fitted and run is None and paper is None else ""
    click.echo(f"{trained.whence}{untrained}: {trained.describe()}", err=True)
    click.echo(temperature_text(temperature, least), err=True)
    return Recogniser(classifier, detector, least)


def ready_for_use() -> Callable[[Path], None] | None:
    """What prepares the network of a finished run, so that its first use starts as quickly as later ones.

    That takes 3 to 4 s of a core (teta2022, zhaqsylyq): the temperature is fitted, and the ONNX file written.
    """
    keep = kept_for_next_time()
    if keep is None:
        return None

    def ready(folder: Path) -> None:
        from repro.use.opened import open_classifier

        open_classifier(folder, keep)

    return ready


def kept_for_next_time() -> Keep | None:
    """What writes the file that ONNX Runtime opens at once, if both packages are installed."""
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")):
        return None

    def keep(trained: TrainedNetwork, temperature: Temperature) -> None:
        from repro.use.export.onnx_file import keep_onnx

        keep_onnx(trained, temperature)

    return keep
