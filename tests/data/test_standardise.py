"""Statistics that a network's input is standardised with, against NumPy on the samples themselves."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_tiny_faces

from fer_jax.data.faces import Faces, concatenate
from fer_jax.data.steps import apply_steps, network_input
from fer_jax.vocabulary.augmentations import Standardise
from fer_jax.vocabulary.step_kinds import Resize, SplitByUsage

BY_USAGE = SplitByUsage(into={"train": ("Training",), "test": ("PrivateTest",)})


@pytest.fixture
def faces() -> Faces:
    return concatenate([draw_tiny_faces(70, size=6), draw_tiny_faces(70, size=6, usage=2)])


def test_standardise_by_the_samples_of_a_split(faces):
    """After resizing, of the split as it is then; the same whatever is done to other splits."""
    prepared = apply_steps(faces, (BY_USAGE, Resize(size=3), Standardise()), 0)
    pixels = prepared.splits["train"].images.astype(np.float64)
    assert prepared.is_measured
    assert prepared.subtract == pytest.approx(pixels.mean(), rel=1e-12)
    assert prepared.divide == pytest.approx(pixels.std() + 1e-6, rel=1e-12)
    own = apply_steps(faces, (BY_USAGE, Standardise(of="image")), 0)
    assert (own.subtract, own.divide, own.is_measured, own.pipeline.standardise) == (0.0, 1.0, False, "keras")


@pytest.mark.parametrize("first", [(), (Standardise(of="image"),)], ids=["alone", "after each image"])
def test_standardise_each_pixel_over_the_samples_of_a_split(faces, first):
    """As `X -= X.mean(axis=0); X /= X.std(axis=0)`; a place that is the same in all images gives 0."""
    faces.images[:, :2, :2] = 7
    prepared = apply_steps(faces, (BY_USAGE, Resize(size=3), *first, Standardise(of="pixels")), 0)
    x = prepared.splits["train"].images.astype(np.float64)
    if first:
        x = (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 1e-6)
    assert prepared.is_measured and np.shape(prepared.subtract) == np.shape(prepared.divide) == (3, 3)
    np.testing.assert_allclose(prepared.subtract, x.mean(0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(prepared.divide, x.std(0) + 1e-6, rtol=1e-6)
    made = network_input(prepared.splits["train"].images, prepared)
    assert first or not made[:, 0, 0].any()
    np.testing.assert_allclose(made, (x - x.mean(0)) / (x.std(0) + 1e-6), atol=1e-5)
