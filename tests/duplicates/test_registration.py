"""The registration of two images: known crops are measured, and the score is a correlation over what both show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fer_jax.data.synthetic import draw_faces
from fer_jax.duplicates.registration import coarse_match, fine_match

FACES = draw_faces(10, {"Training": (6,) * 7}).images


def crop(image: np.ndarray, scale: float, dy: float, dx: float) -> np.ndarray:
    """The part of the image of `scale` times its size whose centre is at (dy, dx) from the centre of the image."""
    half, (y, x) = 24 * scale, (24 + dy, 24 + dx)
    box = (x - half, y - half, x + half, y + half)
    return np.asarray(Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC, box))


def registered(one: np.ndarray, other: np.ndarray, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores and maps of the pairs one[k], other[k]."""
    images, n = np.concatenate([one, other]), len(one)
    a, b, turned = np.arange(n), np.arange(n, 2 * n), np.full(n, mirrored)
    return fine_match(images, a, b, turned, coarse_match(images, a, b, turned)[1])


@pytest.mark.parametrize(("scale", "dy", "dx"), [(0.95, 0.5, -1.0), (0.85, 2, -3), (0.85, -3.5, 3.5), (0.75, 3, 2)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_crop_that_was_made_is_the_map_that_is_found(scale: float, dy: float, dx: float, mirrored: bool) -> None:
    crops = np.stack([crop(image, scale, dy, dx) for image in FACES])
    score, maps = registered(crops[:, :, ::-1] if mirrored else crops, FACES, mirrored)
    if mirrored:  # the map leads into the mirrored image
        maps = maps * (1, 1, 1, -1)
    right = (np.abs(maps - (scale, dy, scale, dx)) < (0.02, 0.3, 0.02, 0.3)).all(1)
    assert right.mean() >= 0.9 and np.median(score) > 0.94, (maps[~right], np.sort(score))


def test_from_the_other_side_the_map_is_the_inverse() -> None:
    crops = np.stack([crop(image, 0.85, 2, -3) for image in FACES])
    score, maps = registered(FACES, crops)
    expected = (1 / 0.85, -2 / 0.85, 1 / 0.85, 3 / 0.85)
    right = (np.abs(maps - expected) < (0.03, 0.4, 0.03, 0.4)).all(1)
    assert right.mean() >= 0.9 and np.median(score) > 0.95, (maps[~right], np.sort(score))


def test_the_score_is_near_the_plain_correlation_of_details() -> None:
    """Of one image and the same with noise: a and its derivatives explain what a alone does, and no noise. The blocks
    that are left out may be ones that fit better than others, which costs up to 0.02."""
    noisy = np.clip(FACES + np.random.default_rng(0).normal(0, 6, FACES.shape), 0, 255).astype(np.uint8)
    score, maps = registered(FACES, noisy)
    np.testing.assert_allclose(maps, np.tile((1, 0, 1, 0), (len(maps), 1)), atol=0.3)

    def details(image: np.ndarray) -> np.ndarray:
        one = np.ones_like(image, float)
        narrow, wide = (
            gaussian_filter(image.astype(float), d, mode="constant", truncate=20)
            / gaussian_filter(one, d, mode="constant", truncate=20)
            for d in (0.7, 2)
        )
        return narrow - wide

    plain = [np.corrcoef(details(a).ravel(), details(b).ravel())[0, 1] for a, b in zip(FACES, noisy, strict=True)]
    assert (score > np.array(plain) - 0.02).all() and (score < 0.9999).all()
    assert np.median(score - plain) < 0.05, "of noise nothing is explained that is not there"


@pytest.mark.parametrize("edge", range(4))
def test_a_caption_along_an_edge_is_left_out_and_a_mouth_is_not(edge: int) -> None:
    captioned = FACES.copy()
    letters = np.where(np.random.default_rng(edge).random((7, 48)) < 0.35, 255, 0)
    for image in captioned:
        np.rot90(image, edge)[:7] = letters
    score, _ = registered(FACES, captioned)
    assert np.median(score) > 0.97 and (score > 0.9).mean() > 0.9, np.sort(score)
    changed = FACES.copy()
    changed[:, 28:42, 14:34] = np.roll(FACES, 1, axis=0)[:, 28:42, 14:34]  # the mouth of another face
    score, _ = registered(FACES, changed)
    assert np.median(score) < 0.91, np.sort(score)


def test_images_without_details_have_no_score() -> None:
    flat = np.full((3, 48, 48), 90, np.uint8)
    flat[2] += np.arange(48, dtype=np.uint8)  # a slope
    for one, other in ((flat, FACES[:3]), (FACES[:3], flat), (flat, flat)):
        score, maps = registered(one, other)
        assert (score == 0).all() and np.isfinite(maps).all()
    none = np.zeros(0, int)
    score, maps = fine_match(FACES, none, none, none == 1, np.zeros((0, 4), np.float32))
    assert score.shape == (0,) and maps.shape == (0, 4) and coarse_match(FACES, none, none, none == 1)[0].shape == (0,)
