"""Image operations against OpenCV, pixel by pixel."""

import math

import cv2
import numpy as np
import pytest

from fer_jax.data import images

# OpenCV 5 interpolates at the exact position, the versions before it at the nearest 1/32 pixel.
OPENCV_POSITIONS = "exact" if int(cv2.__version__.split(".")[0]) >= 5 else "1/32"


def _pictures(size: int) -> dict[str, np.ndarray]:
    """uint8 stacks (N, size, size); more than one block of them for noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:size, 0:size]
    noise = rng.integers(0, 256, (images.BLOCK + 3, size, size), dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(image, (7, 7), 1.5) for image in noise[:20]])
    return {
        "noise": noise,
        "smooth noise": smooth,
        "gradient": ((x + 2 * y) * 255 // (3 * (size - 1))).astype(np.uint8)[None],
        "checkerboard": (((x + y) % 2) * 255).astype(np.uint8)[None],
        "coarse checkerboard": (((x // 5 + y // 5) % 2) * 255).astype(np.uint8)[None],
        "constant": np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, size, size)),
    }


def _opencv_area(stack: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in stack])


@pytest.mark.parametrize(("before", "after"), [(48, 28), (48, 24), (48, 48), (30, 7), (48, 47), (48, 16)])
def test_resize_area_is_opencv_inter_area(before, after):
    for name, stack in _pictures(before).items():
        ours = images.resize_area(stack, after)
        assert ours.shape == (len(stack), after, after) and ours.dtype == np.float64
        reference = _opencv_area(stack.astype(np.float64), after)
        np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-9, err_msg=name)
        # What int() makes of both: a sum that an optimised OpenCV build adds up in another order may differ by one.
        assert np.abs(ours.astype(int) - reference.astype(int)).max() <= 1, name
        rounded = np.rint(ours).astype(int)
        assert np.abs(rounded - _opencv_area(stack, after).astype(int)).max() <= 1, name


def test_resize_area_by_hand():
    # 3 -> 2: each output pixel covers one and a half input pixels, so weights 2/3 and 1/3 along each axis.
    image = np.array([[9, 0, 0], [0, 0, 0], [0, 0, 90]], np.uint8)[None]
    np.testing.assert_allclose(images.resize_area(image, 2)[0], [[4.0, 0.0], [0.0, 40.0]], atol=1e-5)


def test_resize_area_keeps_the_mean_and_the_identity():
    noise = _pictures(48)["noise"]
    np.testing.assert_array_equal(images.resize_area(noise, 48), noise)
    means = images.resize_area(noise, 28).mean(axis=(1, 2))
    np.testing.assert_allclose(means, noise.mean(axis=(1, 2)), rtol=1e-6)


def test_resize_area_of_white_falls_below_white():
    """Single-precision weights: truncation of 48 -> 28 darkens a flat region by one level, in OpenCV as here."""
    white = np.full((1, 48, 48), 255, np.uint8)
    truncated = images.resize_area(white, 28).astype(np.uint8)
    np.testing.assert_array_equal(truncated, _opencv_area(white.astype(np.float64), 28).astype(np.uint8))
    assert (truncated == 254).mean() > 0.9


@pytest.mark.parametrize("size", [0, 49])
def test_resize_area_refuses_to_enlarge(size):
    with pytest.raises(ValueError, match="area interpolation cannot make"):
        images.resize_area(np.zeros((1, 48, 48), np.uint8), size)


def test_resize_area_and_rotate_take_no_rows():
    nothing = np.zeros((0, 48, 48), np.uint8)
    assert images.resize_area(nothing, 28).shape == (0, 28, 28)
    assert images.rotate(nothing, 10).shape == (0, 48, 48)


@pytest.mark.parametrize("degrees", [10, -10, 45, 180, 0])
@pytest.mark.parametrize("size", [48, 28])
def test_rotate_is_opencv_warp_affine(degrees, size):
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), degrees, 1.0)
    for name, stack in _pictures(size).items():
        reference = np.stack([cv2.warpAffine(image, matrix, image.shape) for image in stack])
        ours = images.rotate(stack, degrees, positions=OPENCV_POSITIONS)
        assert ours.dtype == np.uint8
        assert np.abs(ours.astype(int) - reference.astype(int)).max() <= 1, name


def test_rotate_about_another_center():
    noise = _pictures(48)["noise"][:5]
    matrix = cv2.getRotationMatrix2D((10.0, 30.5), 10, 1.0)
    reference = np.stack([cv2.warpAffine(image, matrix, image.shape) for image in noise])
    ours = images.rotate(noise, 10, (10.0, 30.5), positions=OPENCV_POSITIONS)
    assert np.abs(ours.astype(int) - reference.astype(int)).max() <= 1
    assert np.abs(images.rotate(noise, 10).astype(int) - reference.astype(int)).max() > 50


def test_rotate_quarter_turn_is_counter_clockwise():
    noise = _pictures(48)["noise"][:5]
    # About the middle of the pixel grid a quarter turn moves pixels onto pixels.
    np.testing.assert_array_equal(images.rotate(noise, 90, (23.5, 23.5)), np.rot90(noise, axes=(1, 2)))


def _fixed_point_rotation(image: np.ndarray, degrees: float) -> np.ndarray:
    """OpenCV 2 to 4's warpAffine for one small uint8 image, in integers, pixel by pixel."""
    height, width = image.shape
    x0, y0 = width / 2, height / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            fixed_x = (round(cos * x * 1024) + round((-sin * y + x0 - cos * x0 + sin * y0) * 1024) + 16) >> 5
            fixed_y = (round(sin * x * 1024) + round((cos * y + y0 - sin * x0 - cos * y0) * 1024) + 16) >> 5
            total = 0
            for row, row_weight in ((fixed_y >> 5, 32 - (fixed_y & 31)), ((fixed_y >> 5) + 1, fixed_y & 31)):
                for column, weight in ((fixed_x >> 5, 32 - (fixed_x & 31)), ((fixed_x >> 5) + 1, fixed_x & 31)):
                    if 0 <= row < height and 0 <= column < width:
                        total += int(image[row, column]) * row_weight * weight
            out[y, x] = (total + 512) >> 10
    return out


@pytest.mark.parametrize("degrees", [10, -10, 45])
def test_rotate_in_steps_of_a_thirty_second_pixel(degrees):
    noise = _pictures(17)["noise"][:3]
    reference = np.stack([_fixed_point_rotation(image, degrees) for image in noise])
    ours = images.rotate(noise, degrees, positions="1/32")
    np.testing.assert_array_equal(ours, reference)
    difference = np.abs(ours.astype(int) - images.rotate(noise, degrees).astype(int))
    assert 1 < difference.max() <= 8


def test_flip_horizontal():
    noise = _pictures(48)["noise"][:5]
    np.testing.assert_array_equal(images.flip_horizontal(noise), np.stack([cv2.flip(image, 1) for image in noise]))


def test_equalised_histograms_are_those_of_opencv():
    random = np.random.default_rng(0)
    stack = np.concatenate(
        [
            random.integers(30, 90, (20, 48, 48)),
            random.normal(100, 30, (20, 48, 48)).clip(0, 255),
            np.full((1, 48, 48), 7),
            np.arange(48 * 48).reshape(1, 48, 48) % 2 * 200,
        ]
    ).astype(np.uint8)
    expected = np.stack([cv2.equalizeHist(image) for image in stack])
    np.testing.assert_array_equal(images.equalise_histogram(stack), expected)
