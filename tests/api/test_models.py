"""`repro.load_model`: the network by name or path, as a function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from packed_networks import TinyPacked, tiny_packed

import repro
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.fer2013 import EMOTIONS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, make_tiny_paper) -> Iterator[TinyPacked]:
    with tiny_packed(tmp_path_factory.mktemp("packed"), make_tiny_paper) as packed:
        yield packed


def test_by_name_path_and_where_nothing_was_trained(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("repro.use.packaged.networks_folder", lambda: tiny.file.parent)
    faces = tiny.faces.images[:3]
    shipped = repro.load_model("tiny", results=tmp_path)
    assert shipped.trained.folder == tiny.file and "the network that comes with the suite: tiny" in repr(shipped)
    assert f"temperature {tiny.about.temperature.value:.2f}" in repr(shipped)
    found = shipped.predict(faces)
    assert found.shape == (3, len(shipped.emotions)) and shipped.emotions == EMOTIONS and shipped.size == 48
    for name in (tiny.file, str(tiny.file)):
        np.testing.assert_array_equal(repro.load_model(name).predict(faces), found)
    assert {repro.load_model(name, results=tiny.results).trained.folder for name in ("tiny", tiny.folder)} == {
        tiny.folder
    }
    session = onnxruntime.InferenceSession(str(shipped.export(tmp_path / "x.onnx")))
    np.testing.assert_allclose(np.asarray(session.run(None, {"faces": faces})[0]), found, atol=1e-5)


@pytest.mark.parametrize(
    ("faces", "told"),
    [
        (np.zeros((48, 48), np.uint8), r"uint8 \(N, 48, 48\), not uint8 of shape 48x48"),
        (np.zeros((1, 47, 48), np.uint8), "1x47x48"),
        (np.zeros((1, 48, 48)), "not float64"),
    ],
)
def test_what_is_no_face_is_refused(tiny, faces, told):
    with pytest.raises(UserError, match=told):
        repro.load_model(tiny.file).predict(faces)


def test_a_network_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserError, match="no trained network of fer_repro_small"):
        repro.load_model(results=tmp_path)
