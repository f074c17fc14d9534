"""Descriptors agree for an image and its copies, and disagree for different images."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from PIL import Image

from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates import descriptors
from fer_jax.duplicates.descriptors import SIZE, describe, resized

FACES = draw_faces(31, {"Training": (36,) * 7}).images
WHOLE, MIDDLE, UPPER_LEFT, UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT = range(6)


@pytest.fixture(scope="module")
def changed() -> dict[str, np.ndarray]:
    """The faces after each planted change."""
    random = np.random.default_rng(5)
    return {kind: np.stack([change(x, random) for x in FACES]) for kind, change in planted.CHANGES.items()}


HARD = ("shifted_far", "cropped_and_captioned")  # here the first in rank is a copy less often


def test_the_second_descriptors_are_those_of_the_mirrored_images() -> None:
    mean, basis = descriptors._discriminant(FACES)
    part = np.pad(FACES, ((0, -len(FACES) % descriptors.PART), (0, 0), (0, 0)))[: descriptors.PART]
    flipped = np.asarray(descriptors._projected(descriptors._features(part[:, :, ::-1]), mean, basis))
    _, mirrored = describe(FACES)
    assert mirrored.shape == (6, len(FACES), descriptors.DESCRIPTOR)
    np.testing.assert_allclose(mirrored, flipped[:, : len(FACES)], atol=2e-4)


def test_lengths_are_one_and_light_changes_nothing() -> None:
    as_is, mirrored = describe(np.concatenate([FACES // 2 + 30, FACES // 2 + 90]))
    for windows in (as_is, mirrored):
        np.testing.assert_allclose(np.linalg.norm(windows, axis=2), 1, atol=1e-5)
        np.testing.assert_allclose(windows[:, : len(FACES)], windows[:, len(FACES) :], atol=1e-5)


def test_a_copy_is_nearer_than_other_images(changed: dict[str, np.ndarray]) -> None:
    n = len(FACES)
    kinds = sorted(set(changed) - {"same"})
    # One discriminant for all: fitting it is what takes time.
    as_is, mirrored = describe(np.concatenate([FACES, *(changed[kind] for kind in kinds)]))
    pairs = [(WHOLE, WHOLE), *((MIDDLE, corner) for corner in (UPPER_LEFT, UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT))]
    for at, kind in enumerate(kinds, 1):
        copies = slice(at * n, (at + 1) * n)
        products = [as_is[r, :n] @ windows[c, copies].T for windows in (as_is, mirrored) for r, c in pairs]
        best = np.max(products, 0)
        first = (best <= np.diag(best)[:, None]).all(1)
        assert first.mean() >= (0.8 if kind in HARD else 0.95), (kind, first.mean())


def test_a_corner_of_an_image_is_the_middle_of_its_shifted_copy() -> None:
    moved = np.pad(FACES, ((0, 0), (3, 0), (3, 0)), mode="edge")[:, :SIZE, :SIZE]
    as_is, _ = describe(np.concatenate([FACES, moved]))
    n = len(FACES)
    at_place = (as_is[MIDDLE, n:] * as_is[UPPER_LEFT, :n]).sum(1)
    elsewhere = (as_is[MIDDLE, n:] * as_is[LOWER_RIGHT, :n]).sum(1)
    assert (at_place > 0.95).all() and (at_place > elsewhere).all()


def test_images_of_other_sizes_are_resized() -> None:
    assert resized(FACES) is FACES
    large = np.repeat(np.repeat(FACES[:3], 2, 1), 3, 2)
    small = resized(large)
    assert small.shape == (3, SIZE, SIZE) and small.dtype == np.uint8
    pillow = [np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for image in large]
    np.testing.assert_allclose(small, np.stack(pillow), atol=1)
    assert resized(np.zeros((0, 20, 30), np.uint8)).shape == (0, SIZE, SIZE)


def test_few_images_have_descriptors_too() -> None:
    for n in (1, 2):
        as_is, _ = describe(FACES[:n])
        assert as_is.shape == (6, n, descriptors.DESCRIPTOR) and np.isfinite(as_is).all()
