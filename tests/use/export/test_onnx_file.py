"""repro.use.export.onnx_file: what the file says of itself, and where it is written and where not."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from report_records import data, make_record, make_spec

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import Dense, Flatten
from fer_jax.vocabulary.network import Network
from repro import __version__
from repro.statistics.calibration import with_temperature
from repro.use.export.errors import ExportError
from repro.use.export.onnx_file import make_model, metadata, write_onnx
from repro.use.temperature import UNSURE_BELOW, FittedTemperature, Uncalibrated
from repro.use.trained import TrainedNetwork

LAYERS = (Flatten(), Dense(units=7))


def trained(**fields):
    loaded = make_spec()
    record = make_record(loaded, seed=3, accuracy=0.5312, reported_epoch=2, **fields)
    kernel = np.random.default_rng(0).normal(size=(16, 7)).astype(np.float32)
    variables = {"params": {"dense1": {"kernel": kernel, "bias": np.zeros(7, np.float32)}}, "batch_stats": {}}
    network = Network(LAYERS, loaded.resolve("default").training, 4, divide=255.0)
    return TrainedNetwork(Path("x"), Path("x/checkpoints"), record, 4, (), network, variables)


PLAIN = Uncalibrated("no samples")
FITTED = FittedTemperature(value=2.5, split="validation", n=300, ece=(0.3, 0.1), loss=(2, 1), network_sha256="")


def test_the_file_says_what_it_is():
    told = metadata(trained(), PLAIN)
    assert {key: told[key] for key in ("paper", "title", "variant", "protocol", "seed", "epoch", "status")} == {
        "paper": "someone2020",
        "title": "A network",
        "variant": "default",
        "protocol": "as-published",
        "seed": "3",
        "epoch": "2",
        "status": "done",
    }
    assert (told["data"], told["data_fingerprint"], told["synthetic"]) == ("fer2013", "ab12cd34ef", "false")
    assert (told["accuracy"], told["accuracy_split"], told["accuracy_rows"]) == ("0.5312", "test", "100")
    assert json.loads(told["labels"]) == list(EMOTIONS)
    assert told["suite_version"] == __version__
    assert "Apache-2.0" in told["licence"] and "FER-2013" in told["licence"]
    assert "2024/1689" in told["limits"]


@pytest.mark.parametrize(
    ("paper", "title"),
    [
        ({"title": "A \x1b[2J\u202enetwork\n" + "x" * 90_000}, "A \ufffd[2J\ufffdnetwork " + "x" * 285),
        ({"title": 3}, ""),
        ({}, ""),
        ("none", ""),
    ],
)
def test_the_title_in_a_record_of_a_stranger_is_bounded_and_printable(paper, title):
    assert metadata(trained(spec={"paper": paper}), PLAIN)["title"] == title


def test_a_network_of_synthetic_faces_says_so():
    network = trained(data=data(synthetic=True))
    told = metadata(network, PLAIN)
    assert (told["data"], told["synthetic"]) == ("synthetic", "true")
    assert "FER-2013" not in told["licence"] and "mean nothing" in told["licence"]
    assert "SYNTHETIC" in make_model(network, PLAIN).doc_string


def test_a_record_without_a_test_split_tells_its_validation_rows_or_nothing():
    network = trained()
    figures = {"validation": msgspec.structs.replace(network.record.metrics["test"], accuracy=0.25)}
    told = metadata(trained(metrics=figures), PLAIN)
    assert (told["accuracy"], told["accuracy_split"]) == ("0.25", "validation")
    assert "accuracy" not in metadata(trained(metrics={}), PLAIN)


def test_the_probabilities_are_calibrated_and_the_file_says_by_what(tmp_path):
    network, faces = trained(), np.random.default_rng(1).integers(0, 256, (9, 4, 4), np.uint8)
    told = metadata(network, FITTED)
    assert (told["temperature"], told["temperature_split"], told["temperature_rows"]) == ("2.5", "PublicTest", "300")
    assert float(told["unsure_below"]) == UNSURE_BELOW and "uncalibrated" not in told
    plain = metadata(network, PLAIN)
    assert (plain["temperature"], plain["uncalibrated"]) == ("1", "no samples") and "unsure_below" not in plain
    stated, calibrated = (
        onnxruntime.InferenceSession(make_model(network, one).SerializeToString()).run(None, {"faces": faces})[0]
        for one in (PLAIN, FITTED)
    )
    np.testing.assert_allclose(np.asarray(calibrated), with_temperature(np.asarray(stated, float), 2.5), atol=1e-6)
    assert np.abs(np.asarray(calibrated) - np.asarray(stated)).max() > 0.05


def test_what_is_written_is_read_by_the_runtime_with_its_metadata(tmp_path):
    path = tmp_path / "network.onnx"
    network = trained()
    write_onnx(path, network, PLAIN)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == metadata(network, PLAIN)
    (entry,), (leaving,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == ("faces", "tensor(uint8)", ["N", 4, 4])
    assert (leaving.name, leaving.type, leaving.shape) == ("probabilities", "tensor(float)", ["N", 7])
    model = onnx.load(path)
    assert (model.opset_import[0].version, model.ir_version) == (13, 7), "what ONNX Runtime 1.6 reads"


def test_the_same_network_gives_the_same_bytes_in_place_of_the_old_ones(tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    write_onnx(first, trained(), PLAIN)
    write_onnx(second, trained(data=data(synthetic=True)), PLAIN)
    assert first.read_bytes() != second.read_bytes()
    write_onnx(second, trained(), PLAIN)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.onnx", "second.onnx"], "nothing is left over"


def other_onnx(path):
    model = make_model(trained(), PLAIN)
    model.producer_name = "another tool"
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "prepare",
    [lambda path: path.write_text("a,b\n1,2\n"), lambda path: path.write_bytes(b""), other_onnx],
    ids=["text", "empty", "another tool's"],
)
def test_what_this_suite_did_not_write_is_left_alone(tmp_path, prepare):
    path = tmp_path / "data.csv"
    prepare(path)
    before = path.read_bytes()
    with pytest.raises(ExportError, match=r"data\.csv: exists and was not written by `repro export`"):
        write_onnx(path, trained(), PLAIN)
    assert path.read_bytes() == before


def test_a_folder_and_a_missing_folder_are_one_sentence(tmp_path):
    with pytest.raises(ExportError, match=r"a folder; name a file in it"):
        write_onnx(tmp_path, trained(), PLAIN)
    with pytest.raises(ExportError, match=r"there is no folder .*nowhere; make it first"):
        write_onnx(tmp_path / "nowhere" / "network.onnx", trained(), PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path, monkeypatch):
    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fer_jax.machine.atomic_write.os.replace", refuse)
    with pytest.raises(ExportError, match=r"network\.onnx: cannot be written: Permission denied"):
        write_onnx(tmp_path / "network.onnx", trained(), PLAIN)
