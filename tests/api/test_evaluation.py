"""`repro.evaluate`: predictions in a file, to an object that a notebook shows."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_tiny_faces

import repro
from fer_jax.data.faces import concatenate
from fer_jax.duplicates.search import Pairs
from fer_jax.vocabulary.errors import UserError
from repro.evaluation import subsets
from repro.runs.dataset import Dataset


@pytest.fixture
def data(monkeypatch):
    """Training 20, PublicTest 20, PrivateTest 40; nothing is a copy of anything."""
    none = np.zeros(0, np.int32)
    pairs = Pairs(
        none, none, none == 1, none.astype(np.float32), none == 1, none.astype(np.int16), none.astype(np.int16)
    )
    monkeypatch.setattr(subsets, "duplicates_of", lambda faces: pairs)
    faces = concatenate([draw_tiny_faces(n, size=48, usage=usage) for usage, n in enumerate((20, 20, 40))])
    return Dataset(faces.changed(origin=np.arange(80, dtype=np.int32)), "mine")


def test_predictions_of_a_file(data, tmp_path):
    label = data.faces.labels[40:]
    answered = np.where(np.arange(40) < 30, label, (label + 1) % 7)
    np.savez(tmp_path / "mine.npz", predicted=answered)
    found = repro.evaluate(tmp_path / "mine.npz", data, claim="75%", results=tmp_path / "results")
    assert (found.accuracy, found.clean_accuracy) == (0.75, 0.75)
    assert "75.0 %" in repr(found) and "<table>" in found._repr_html_()
    assert (tmp_path / "results" / "evaluations" / "mine.npz" / "evaluation.json").is_file()
    assert found.plot_reliability() is None, "answers without probabilities"


def test_a_mistake_is_one_message(data, tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.onnx"):
        repro.evaluate(tmp_path / "nowhere.onnx", data)
