"""Bilinear and bicubic resizing against Pillow, OpenCV, and values that TensorFlow 2.21 gave."""

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax.data.resizing import axis_weights, resize

IMAGES = np.random.default_rng(3).integers(0, 256, (6, 48, 48)).astype(np.uint8)
SIZES = (64, 96, 44, 40)


def levels(images, size, method, form):
    return np.clip(np.floor(resize(images, size, method, form) + 0.5), 0, 255)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("method", "kind"), [("bilinear", "INTER_LINEAR"), ("bicubic", "INTER_CUBIC")])
def test_opencv(method, kind, size):
    expected = np.stack([cv2.resize(i, (size, size), interpolation=getattr(cv2, kind)) for i in IMAGES])
    found = levels(IMAGES, size, method, "opencv")
    if method == "bilinear":
        np.testing.assert_array_equal(found, expected)
    else:
        assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 0.02
        exact = [cv2.resize(i.astype(np.float64), (size, size), interpolation=getattr(cv2, kind)) for i in IMAGES]
        np.testing.assert_allclose(resize(IMAGES, size, method, "opencv"), exact, atol=1e-3)


@pytest.mark.parametrize("size", [*SIZES, 17])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_pillow(method, size):
    """Also where it shrinks to a third, with the widened kernel."""
    kind = Image.Resampling[method.upper()]
    expected = np.stack([np.asarray(Image.fromarray(i).resize((size, size), kind), np.float64) for i in IMAGES])
    np.testing.assert_array_equal(levels(IMAGES, size, method, "pillow"), expected)


# tf.image.resize(SMALL[..., None], (5, 5), method=...), its first three rows, to six digits.
SMALL = np.array([[[10, 200, 30], [40, 250, 60], [0, 80, 255]]], np.uint8)
TENSORFLOW = {
    "bilinear": [
        [10.0, 86.0, 200.0, 98.0, 30.0],
        [22.0, 101.2, 220.0, 113.2, 42.0],
        [40.0, 124.0, 250.0, 136.0, 60.0],
    ],
    "bicubic": [
        [-6.50154, 81.4858, 196.224, 95.3585, 15.009],
        [7.00882, 102.242, 225.182, 108.806, 17.1873],
        [24.1396, 122.27, 250.0, 136.143, 45.6501],
    ],
}


@pytest.mark.parametrize("method", TENSORFLOW)
def test_tensorflow(method):
    """Its bicubic weights come from a table of 1,024 places."""
    found = resize(SMALL, 5, method, "tensorflow")[0, :3]
    np.testing.assert_allclose(found, TENSORFLOW[method], atol=1e-4 if method == "bilinear" else 0.2)


def test_every_row_of_weights_sums_to_one_and_the_same_size_changes_nothing():
    for form in ("opencv", "pillow", "tensorflow"):
        for method in ("bilinear", "bicubic"):
            np.testing.assert_allclose(axis_weights(48, 31, method, form).sum(1), 1)
            np.testing.assert_array_equal(levels(IMAGES, 48, method, form), IMAGES)
