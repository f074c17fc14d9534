"""What a file is by its content, whatever its name says."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from repro.evaluation.errors import EvaluationError
from repro.evaluation.models.recognise import recognise


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return target.getvalue()


def npz() -> bytes:
    target = io.BytesIO()
    np.savez(target, a=np.zeros(1))
    return target.getvalue()


HDF5 = b"\x89HDF\r\n\x1a\n" + b"\0" * 100
CONTENT = {
    "csv": b"row,predicted\n0,happy\n",
    "npz": npz(),
    "onnx": b"\x08\x07\x12\x00" + bytes(range(256)),
    "keras": zipped("config.json", "metadata.json", "model.weights.h5"),
    "keras-hdf5": HDF5 + b"model_config",
    "tflite": b"\x20\0\0\0TFL3" + b"\0" * 50,
    "torchscript": zipped("net/data.pkl", "net/code/__torch__.py"),
    "torch-export": zipped("net/archive_format", "net/models/model.json"),
}
SUFFIX = {"torch-export": ".pt2", "torchscript": ".pt", "keras-hdf5": ".h5"}


def refused(path, words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as found:
        recognise(path)
    assert str(found.value).startswith(str(path)) and "\n" not in str(found.value)


@pytest.mark.parametrize("form", CONTENT)
def test_each_kind_is_known_by_its_content(tmp_path, form):
    path = tmp_path / f"net{SUFFIX.get(form, f'.{form}')}"
    path.write_bytes(CONTENT[form])
    assert recognise(path) == form


@pytest.mark.parametrize("form", CONTENT)
def test_a_name_that_says_something_else(tmp_path, form):
    path = tmp_path / ("net.tflite" if form != "tflite" else "net.onnx")
    path.write_bytes(CONTENT[form])
    refused(path, "but its content is")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"weights": 1}), "a pickle, which can run any program"),
        (zipped("net/data.pkl", "net/data/0"), "a pickle, which can run any program"),
        (HDF5, "without `model_config`"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "0 bytes"),
        (b"PK\x03\x04 cut", "a damaged zip"),
        (zipped("a.txt"), "a zip archive, not a network"),
        (b"\xff\xfe\x00\x01\x80", "not recognised"),
    ],
)
def test_what_is_never_opened(tmp_path, content, words):
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    refused(path, words)


def test_a_folder_and_nothing(tmp_path):
    refused(tmp_path, "a folder")
    refused(tmp_path / "none.onnx", "No such file")


def test_an_unknown_ending(tmp_path):
    path = tmp_path / "predictions.txt"
    path.write_bytes(CONTENT["csv"])
    refused(path, "ends in '.txt'")
