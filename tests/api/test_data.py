"""`repro.load_data`, `audit_arrays` and `audit_split`."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_tiny_faces

import repro
from fer_jax.data.faces import concatenate
from fer_jax.duplicates.search import Pairs
from fer_jax.vocabulary.errors import UserError
from repro.api import data as module
from repro.runs.dataset import Dataset


def draw(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (n, *shape), dtype=np.uint8)


def test_copies_between_two_arrays_are_found():
    train, test = draw(20, 32, 32, 3), draw(8, 32, 32, 3, seed=1)
    test[2], test[5] = train[7], train[3][:, ::-1]
    found = repro.audit_arrays(train, test)
    assert found.leaked.tolist() == [2, 5] and found.share == 0.25
    assert found.to_frame().to_dict("list") == {
        "train": [3, 7],
        "test": [5, 2],
        "exact": [False, True],
        "mirrored": [True, False],
        "score": [pytest.approx(found.score[0]), 1.0],
    }
    assert "2 of 8 test images (25.0 %) are also among the 20 training images." in repr(found)
    assert "<table>" in found._repr_html_()


def test_images_of_two_sizes_are_never_exact():
    small = draw(6, 24, 24)
    found = repro.audit_arrays(np.repeat(np.repeat(small, 2, 1), 2, 2), small)
    assert found.leaked.tolist() == [*range(6)] and not found.exact.any()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 9, 9)), "x_test: uint8 pixels from 0 to 255 are needed, not float64"),
        (np.zeros((2, 9), np.uint8), r"x_test: shape \(N, H, W\)"),
        (np.zeros((2, 9, 9, 4), np.uint8), r"x_test: shape \(N, H, W\)"),
        (np.zeros((2, 9, 5), np.uint8), "x_test: images of at least 8 x 8"),
    ],
)
def test_other_arrays_are_refused(images, message):
    with pytest.raises(UserError, match=message):
        repro.audit_arrays(draw(2, 9, 9), images)


@pytest.fixture
def dataset(monkeypatch):
    """Twelve samples: 0 to 5 Training, 6 to 8 PublicTest, 9 to 11 PrivateTest; 1 and 6 are copies, and 6 and 10."""
    faces = concatenate([draw_tiny_faces(n, usage=usage) for usage, n in enumerate((6, 3, 3))])
    a, b = np.array([1, 6], np.int32), np.array([6, 10], np.int32)
    shift = np.zeros(2, np.int16)
    pairs = Pairs(a, b, np.array([True, False]), np.array([1, 0.95], np.float32), np.array([False, True]), shift, shift)
    monkeypatch.setattr(module, "duplicates_of", lambda faces: pairs)
    return Dataset(faces, "mine")


def test_official_splits_by_name(dataset):
    found = repro.audit_split(dataset, "Training", "PublicTest")
    assert (found.n_train, found.n_test, found.leaked.tolist()) == (6, 3, [0])
    assert (found.train.tolist(), found.test.tolist(), found.exact.tolist()) == ([1], [0], [True])


def test_a_copy_of_a_copy_counts(dataset):
    found = repro.audit_split(dataset, "Training", "PrivateTest")
    assert found.leaked.tolist() == [1] and len(found.to_frame()) == 0


def test_rows_and_a_sample_in_both(dataset):
    found = repro.audit_split(dataset.faces, [6, 0, 4], [4, 10])
    assert found.leaked.tolist() == [0, 1]
    assert found.to_frame()[["train", "test", "exact"]].to_numpy().tolist() == [[2, 0, True], [0, 1, False]]
    mask = np.arange(12) < 6
    assert repro.audit_split(dataset, mask, ~mask).n_train == 6


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("Test", "train: no split 'Test'; accepted: Training, PublicTest, PrivateTest"),
        ([12], "train: samples from 0 to 11 are needed"),
        ([-1], "train: samples from 0 to 11 are needed"),
        ([0.5], "train: samples from 0 to 11 are needed"),
        ([1, 1], "train: a row is named twice"),
    ],
)
def test_rows_that_are_none_are_refused(dataset, train, message):
    with pytest.raises(UserError, match=message):
        repro.audit_split(dataset, train, "PrivateTest")


def test_load_data_reads_a_path(tmp_path):
    faces = draw_tiny_faces(5, size=48)
    np.savez(tmp_path / "x.npz", images=faces.images, labels=faces.labels)
    data = repro.load_data(tmp_path / "x.npz")
    assert len(data.faces) == 5
    assert "5 images of 48 x 48; Training 5, PublicTest 0, PrivateTest 0" in repr(data), "not a page of pixels"
