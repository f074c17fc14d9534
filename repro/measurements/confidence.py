"""Which share of the answers is kept at a threshold of confidence, and how many of these are right.

    python -m repro.measurements.confidence teta2022 zhaqsylyq

The temperature is fitted on the run's samples of PublicTest, and everything is counted on its samples of PrivateTest:
under the protocol `clean`, none has a copy among the training samples or in PublicTest.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from fer_jax.data import cache
from repro.cli.options import results_option
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import read_record
from repro.specs.protocols import REPORTED_SPLIT
from repro.statistics.calibration import calibration, with_temperature
from repro.text.markdown import Column, table
from repro.use.classifier import Classifier
from repro.use.fitting import temperature_of
from repro.use.temperature import FittedTemperature, Uncalibrated
from repro.use.trained import TrainedNetwork, find_trained, load_trained

THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.6)


def measure(trained: TrainedNetwork, temperature: FittedTemperature) -> list[tuple[str, ...]]:
    """One line per threshold: network, temperature, calibration error, threshold, share kept, accuracy of those kept,
    of the others, of all."""
    recorded = read_record(trained.folder / RECORD_NAME)
    arrays = read_predictions(trained.folder / PREDICTIONS_NAME, recorded.predictions_sha256)
    rows = np.cumsum(arrays[f"{REPORTED_SPLIT}.origin_delta"], dtype=np.int64)
    faces = cache.open_faces(trained.record.data.fingerprint)
    labels = faces.labels[rows].astype(np.int64)
    probability = Classifier(trained, temperature)(faces.images[rows]).astype(np.float64)
    confidence, right = probability.max(1), probability.argmax(1) == labels
    stated = with_temperature(probability, 1 / temperature.value)
    errors = f"{calibration(stated, labels).ece:.1%}, {calibration(probability, labels).ece:.1%}"
    lines = []
    for threshold in THRESHOLDS:
        kept = confidence >= threshold
        shares = (kept.mean(), right[kept].mean(), right[~kept].mean(), right.mean())
        name = f"{recorded.paper} {recorded.protocol} (n = {len(labels):,})"
        lines.append((name, f"{temperature.value:.2f}", errors, f"{threshold:.2f}", *(f"{x:.1%}" for x in shares)))
    return lines


@click.command()
@click.argument("papers", nargs=-1, required=True)
@results_option
def main(papers: tuple[str, ...], results: Path) -> None:
    """Accuracy of the answers that are kept, by threshold, as Markdown."""
    lines = []
    for paper in papers:
        trained = load_trained(find_trained(results, paper=paper))
        temperature = temperature_of(trained)
        if isinstance(temperature, Uncalibrated):
            raise RecordError(f"{trained.folder}: {temperature.why}")
        lines += measure(trained, temperature)
    names = (
        "Temperature",
        "Calibration error, without and with",
        "Threshold",
        "Kept",
        "Right",
        "of the others",
        "of all",
    )
    click.echo(table([Column("Network"), *(Column(name, "right") for name in names)], lines))


if __name__ == "__main__":
    main()
