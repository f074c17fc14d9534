"""A temperature is fitted once, on PublicTest alone, by the network itself, and kept with it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tiny_runs import TinyRuns

from fer_jax.data import cache
from fer_jax.data.faces import DataError, concatenate
from fer_jax.vocabulary.step_kinds import CopySplit, MergeSplits, RenameSplit, SplitByUsage, SplitFraction
from repro.runs.dataset import Dataset
from repro.runs.records import RECORD_NAME
from repro.specs.catalog import find_paper
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, PLACEBO, TRAINED_ON_ALL, under_protocol
from repro.statistics.calibration import log_loss, with_temperature
from repro.use.classifier import Classifier
from repro.use.fitting import (
    LEAST_SAMPLES,
    NAME,
    CalibrationSamples,
    calibration_samples,
    held_out_split,
    kept_temperature,
    temperature_of,
)
from repro.use.temperature import FittedTemperature, Uncalibrated
from repro.use.trained import TrainedNetwork, load_trained


@pytest.fixture
def trained(tiny_paper, tiny_faces, tmp_path, monkeypatch) -> TrainedNetwork:
    """Trained on a dataset with enough samples of PublicTest, which is the only imported one."""
    parts = [tiny_faces(n, size=48, usage=usage) for usage, n in enumerate((200, LEAST_SAMPLES, 50))]
    rows = sum(map(len, parts))
    faces = concatenate(parts).changed(origin=np.arange(rows, dtype=np.int32))

    def imported(fingerprint):
        if fingerprint != faces.fingerprint:
            raise DataError("not imported")
        return faces

    monkeypatch.setattr(cache, "open_faces", imported)
    do = TinyRuns(tiny_paper, Dataset(faces, "fer2013"), tmp_path / "results")
    return load_trained(do(epochs=4).folder)


def test_it_has_the_least_loss_of_all_temperatures_on_the_samples(trained):
    found = temperature_of(trained)
    assert isinstance(found, FittedTemperature)
    assert (found.split, found.n) == ("validation", LEAST_SAMPLES)
    samples = calibration_samples(trained)
    assert isinstance(samples, CalibrationSamples)
    stated = Classifier(trained)(samples.faces).astype(float)
    for factor in (0.9, 1.0, 1.1):
        loss = log_loss(with_temperature(stated, factor * found.value), samples.labels)
        assert loss >= found.loss[1] - 1e-6, factor
    assert found.loss == pytest.approx(
        [log_loss(stated, samples.labels), log_loss(with_temperature(stated, found.value), samples.labels)], abs=1e-5
    )


def test_the_classifier_states_the_probabilities_with_it(trained):
    samples = calibration_samples(trained)
    assert isinstance(samples, CalibrationSamples)
    stated = Classifier(trained)(samples.faces)
    hot = Classifier(trained, Uncalibrated("", 3.0))(samples.faces)
    np.testing.assert_allclose(hot, with_temperature(stated.astype(float), 3.0), atol=1e-5)


def test_it_is_fitted_once_and_kept_with_the_network(trained, monkeypatch):
    first = temperature_of(trained)
    monkeypatch.setattr("repro.use.fitting.fit", lambda *_: pytest.fail("fitted twice"))
    assert temperature_of(trained) == first == kept_temperature(trained)


@pytest.mark.parametrize("damage", [lambda text: text[:50], lambda text: text.replace('"n": ', '"n": 1'), None])
def test_a_kept_one_that_is_damaged_or_of_another_network_is_not_used(trained, damage):
    first = temperature_of(trained)
    path = trained.place / NAME
    if damage is None:
        record = msgspec.structs.replace(trained.record, network_sha256="0" * 64)
        assert kept_temperature(with_record(trained, record)) is None
    else:
        path.write_text(damage(path.read_text()))
        assert kept_temperature(trained) is None
        assert temperature_of(trained) == first, "fitted again"


def with_record(trained: TrainedNetwork, record) -> TrainedNetwork:
    return TrainedNetwork(
        trained.folder, trained.place, record, trained.size, trained.steps, trained.network, trained.variables
    )


def test_what_is_missing_is_said(trained, monkeypatch):
    monkeypatch.setattr("repro.use.fitting.LEAST_SAMPLES", LEAST_SAMPLES + 1)
    assert "predicted only 200 samples of PublicTest" in why(trained)
    monkeypatch.setattr("repro.use.fitting.LEAST_SAMPLES", LEAST_SAMPLES)
    monkeypatch.setattr(cache, "open_faces", lambda _: (_ for _ in ()).throw(DataError("gone")))
    assert "the dataset fer2013-" in why(trained) and "`repro data import`" in why(trained)
    (trained.folder / "predictions.npz").unlink()
    assert "no usable predictions" in why(trained)
    assert (trained.folder / RECORD_NAME).exists()


def why(trained: TrainedNetwork) -> str:
    found = temperature_of(trained)
    assert isinstance(found, Uncalibrated) and not (trained.place / NAME).exists()
    return found.why


USAGES = SplitByUsage(into={"train": ("Training",), "one": ("PublicTest",), "test": ("PrivateTest",)})


@pytest.mark.parametrize(
    ("steps", "split"),
    [
        ((USAGES,), "one"),
        ((USAGES, MergeSplits(splits=("train", "one"), into="train")), None),
        (
            (
                USAGES,
                CopySplit(from_split="one", into="two"),
                SplitFraction(from_split="train", fraction=0.5, into="train", rest="rest"),
            ),
            "one",
        ),
        ((SplitByUsage(into={"train": ("Training", "PublicTest"), "one": ("PublicTest",)}),), None),
        ((SplitByUsage(into={"train": ("Training",), "one": ("PublicTest", "PrivateTest")}),), None),
        ((USAGES, RenameSplit(from_split="train", into="one2"), RenameSplit(from_split="one", into="train")), None),
        ((), None),
    ],
)
def test_the_split_is_of_public_test_alone_and_not_trained_on(steps, split):
    assert held_out_split(steps) == split


@pytest.mark.parametrize(
    ("paper", "protocol", "split"),
    [
        ("teta2022", AS_PUBLISHED, None),
        ("chavan2020", AS_PUBLISHED, None),
        ("zhaqsylyq", AS_PUBLISHED, "validation"),
        ("onghena", AS_PUBLISHED, "public_test"),
        *(("teta2022", protocol, "validation") for protocol in (OFFICIAL, CLEAN, PLACEBO)),
        ("teta2022", TRAINED_ON_ALL, None),
    ],
)
def test_of_the_bundled_papers(paper, protocol, split):
    spec = find_paper(paper).resolve("default")
    assert held_out_split(under_protocol(spec, protocol).data.steps) == split
