"""Fits the temperature of a trained network on the samples of PublicTest that its run predicted, and keeps it.

The network predicts these samples again. The probabilities that the run kept cannot be used. They are rounded to
1/255, and the temperature of an overconfident network depends on those that become zero: that of teta2022 is 9.3 from
exact values, and 3.3 to 7.5 from rounded ones, depending on the value that replaces zero.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np

from fer_jax.data import cache
from fer_jax.data.faces import DataError, Faces
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import USAGES
from fer_jax.vocabulary.step_kinds import SplitByUsage, Step, splits_before
from repro.runs.data_names import SYNTHETIC
from repro.runs.dataset import open_dataset
from repro.runs.predictions import PREDICTIONS_NAME, read_predictions
from repro.runs.record_files import RecordError, read_digested, write_digested
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import read_record
from repro.statistics.calibration import HOTTEST, calibration, fitted_temperature, with_temperature
from repro.use.classifier import Classifier
from repro.use.temperature import TEMPERATURE_FORMAT, FittedTemperature, Temperature, Uncalibrated
from repro.use.trained import RunNetwork, TrainedNetwork

NAME = "temperature.json"
PUBLIC_TEST = USAGES[1]
# With fewer, the fitted value says more about these samples than about the network.
LEAST_SAMPLES = 200


@dataclass(frozen=True)
class CalibrationSamples:
    """What a temperature can be fitted on: the run's split, its faces, uint8 (N, size, size), and labels, (N,)."""

    split: str
    faces: np.ndarray
    labels: np.ndarray


def temperature_of(trained: TrainedNetwork) -> Temperature:
    """The temperature that is kept beside the network, else a fitted one, which is kept from then on."""
    kept = kept_temperature(trained)
    if kept is not None:
        return kept
    samples = calibration_samples(trained)
    if isinstance(samples, Uncalibrated):
        return samples
    fitted = fit(trained, samples)
    keep_temperature(trained, fitted)
    return fitted


def kept_temperature(run: RunNetwork) -> FittedTemperature | None:
    """What was fitted before for this network; None if nothing was, or if the file is damaged or of another network."""
    if run.fitted is not None:
        return run.fitted
    try:
        found = read_digested(run.place / NAME, FittedTemperature, "temperature", "fit it again")
    except (RecordError, FileNotFoundError):
        return None
    usable = found.format == TEMPERATURE_FORMAT and found.network_sha256 == run.record.network_sha256
    return found if usable and found.value > 0 else None


def keep_temperature(run: RunNetwork, temperature: FittedTemperature) -> None:
    """In the folder of the checkpoints, which go and come with the network. A folder that cannot be written to is no
    error: the temperature is then fitted again next time."""
    with contextlib.suppress(OSError):
        write_digested(run.place / NAME, temperature)


def calibration_samples(run: RunNetwork) -> CalibrationSamples | Uncalibrated:
    """The samples, or why there are none."""
    split = held_out_split(run.steps)
    if split is None:
        return Uncalibrated(f"its spec has no split of {PUBLIC_TEST} apart from the training samples")
    try:
        # Of the run itself: a network that was trained again has another record, but the same samples.
        recorded = read_record(run.folder / RECORD_NAME).predictions_sha256
        arrays = read_predictions(run.folder / PREDICTIONS_NAME, recorded)
        rows = np.unique(np.cumsum(arrays[f"{split}.origin_delta"], dtype=np.int64))
    except (RecordError, KeyError):
        return Uncalibrated(f"its run has no usable predictions of {PUBLIC_TEST}")
    if len(rows) < LEAST_SAMPLES:
        return Uncalibrated(f"its run predicted only {counted(len(rows), 'sample')} of {PUBLIC_TEST}")
    faces = dataset_of(run)
    if faces is None:
        data = run.record.data
        return Uncalibrated(f"the dataset {data.name}-{data.fingerprint[:8]} is not here: `repro data import`")
    if rows[0] < 0 or rows[-1] >= len(faces):
        return Uncalibrated("its predictions are of samples that the dataset does not have")
    return CalibrationSamples(split, faces.images[rows], faces.labels[rows].astype(np.int64))


def held_out_split(steps: tuple[Step, ...]) -> str | None:
    """The first split whose samples are of PublicTest alone, if training has none of that usage."""
    if PUBLIC_TEST in _usages(steps, "train"):
        return None
    named = [name for step in steps if isinstance(step, SplitByUsage) for name in step.into]
    return next((name for name in named if _usages(steps, name) == {PUBLIC_TEST}), None)


def _usages(steps: tuple[Step, ...], split: str) -> set[str]:
    """The official usages that samples of a final split may have: all of them, if the steps do not say."""
    names = {split}
    for step in reversed(steps):
        if isinstance(step, SplitByUsage) and names <= step.into.keys():
            return {usage for name in names for usage in step.into[name]}
        names = splits_before(names, step)
    return set(USAGES)


def dataset_of(run: RunNetwork) -> Faces | None:
    """The dataset of the run, if it is on this machine."""
    try:
        if run.record.data.synthetic:
            faces = open_dataset(SYNTHETIC).faces
            return faces if faces.fingerprint == run.record.data.fingerprint else None
        return cache.open_faces(run.record.data.fingerprint)
    except DataError:
        return None


def fit(trained: TrainedNetwork, samples: CalibrationSamples) -> FittedTemperature:
    # At the highest temperature no probability is too small for float32.
    hot = Classifier(trained, Uncalibrated("being fitted", HOTTEST))(samples.faces).astype(np.float64)
    value = fitted_temperature(hot, samples.labels, at=HOTTEST)
    before, after = (calibration(with_temperature(hot, one / HOTTEST), samples.labels) for one in (1.0, value))
    return FittedTemperature(
        value=value,
        split=samples.split,
        n=len(samples.labels),
        ece=(before.ece, after.ece),
        loss=(before.loss, after.loss),
        network_sha256=trained.record.network_sha256,
    )
