"""Random steps against SciPy, Pillow and formulas, for given numbers; and what they do for drawn ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from conftest import QUICK
from PIL import Image, ImageEnhance

from fer_jax.train.augment import affine_map, draw_count, middle, transformed
from fer_jax.vocabulary.augmentations import (
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    RandomResizedCrop,
)

RNG = np.random.default_rng(8)
IMAGES = RNG.integers(0, 256, (40, 14, 18)).astype(np.uint8)
SQUARES = RNG.integers(0, 256, (40, 16, 16)).astype(np.uint8)


def drawn(step, rows=40, seed=1):
    return np.random.default_rng(seed).random((rows, draw_count(step))).astype(np.float32)


def after(step, images=SQUARES, u=None):
    u = drawn(step, len(images)) if u is None else u
    # As one program: operation by operation takes ten times as long to compile.
    program = jax.jit(partial(transformed, step), compiler_options=QUICK)
    return np.asarray(program(jnp.asarray(images, jnp.float32), jnp.asarray(u)))


# --- crops ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 3])
def test_random_crop_cuts_at_every_place_equally_often(padding):
    step = RandomCrop(size=14, padding=padding, fill=7.0)
    images = np.repeat(SQUARES[:1], 4000, axis=0)
    found = after(step, images)
    padded = np.pad(SQUARES[0].astype(np.float32), padding, constant_values=7)
    places = 2 * padding + 3
    cuts = [padded[y : y + 14, x : x + 14] for y in range(places) for x in range(places)]
    which = np.array([[np.array_equal(one, cut) for cut in cuts] for one in found[:200]])
    assert (which.sum(1) == 1).all(), "each is one of the squares"
    u = drawn(step, 4000)
    expected = [cuts[int(a * places) * places + int(b * places)] for a, b in u[:50, :2]]
    np.testing.assert_array_equal(found[:50], expected)
    counts = np.bincount((np.floor(u[:, 0] * places) * places + np.floor(u[:, 1] * places)).astype(int))
    assert len(counts) == places**2 and np.abs(counts - 4000 / places**2).max() < 5 * (4000 / places**2) ** 0.5


@pytest.mark.parametrize(("size_in", "size", "start"), [(48, 44, 2), (48, 48, 0), (7, 4, 2), (9, 4, 2)])
def test_the_middle_is_that_of_torchvision(size_in, size, start):
    """CenterCrop: int(round((height - size) / 2)); Python rounds 2.5 and 1.5 to 2."""
    images = np.arange(2 * size_in**2, dtype=np.float32).reshape(2, size_in, size_in)
    expected = images[:, start : start + size, start : start + size]
    np.testing.assert_array_equal(middle(jnp.asarray(images), size), expected)


def rectangles(step, u, height, width, area, ratio):
    """(rows, columns) of each sample by torchvision's rule, the first of ten that fits; None if none does."""
    out = []
    for row in u.astype(np.float64):
        share = area[0] + (area[1] - area[0]) * row[:10]
        aspect = np.exp(np.log(ratio[0]) + (np.log(ratio[1]) - np.log(ratio[0])) * row[10:20])
        long, short = (
            np.rint(np.sqrt(share * height * width * aspect)),
            np.rint(np.sqrt(share * height * width / aspect)),
        )
        out.append(list(zip(long.astype(int), short.astype(int), strict=True)))
    return out


@pytest.mark.parametrize("scale", [(0.3, 1.0), (1.3, 1.6)])
def test_random_resized_crop_is_that_of_pillow(scale):
    """A crop, resized by Pillow's bilinear filter, which rounds twice. Areas above 1 never fit: the whole image."""
    step = RandomResizedCrop(size=9, scale=scale)
    u = drawn(step)
    for image, row, found, tries in zip(
        SQUARES, u, after(step, u=u), rectangles(step, u, 16, 16, scale, step.ratio), strict=True
    ):
        width, height = next(((w, h) for w, h in tries if w <= 16 and h <= 16), (16, 16))
        assert scale[0] < 1 or (width, height) == (16, 16)
        top, left = int(row[20] * (16 - height + 1)), int(row[21] * (16 - width + 1))
        cut = Image.fromarray(image).crop((left, top, left + width, top + height))
        expected = np.asarray(cut.resize((9, 9), Image.Resampling.BILINEAR), np.float64)
        assert np.abs(found - expected).max() < 1.01


# --- affine maps ----------------------------------------------------------------------------------------------------

RANGES = {"rotation": 40.0, "shift_x": 0.2, "shift_y": 0.1, "zoom": (0.7, 1.4), "shear": 20.0}


def parameters(step, u, height, width):
    """Of one sample: radians, shifts in pixels, zooms, radians."""
    angle, dx, dy, zx, zy, shear = (
        low + (high - low) * x
        for x, (low, high) in zip(
            u.astype(np.float64),
            [(-40, 40), (-0.2, 0.2), (-0.1, 0.1), (0.7, 1.4), (0.7, 1.4), (-20, 20)],
            strict=False,
        )
    )
    return np.deg2rad(angle), dx * width, dy * height, zx, zy, np.deg2rad(shear)


def keras_matrix(angle, dx, dy, zx, zy, shear):
    """apply_affine_transform of Keras' ImageDataGenerator: rotation . shift . shear . zoom, in (x, y)."""
    rotate = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    shift = [[1, 0, dx], [0, 1, dy], [0, 0, 1]]
    slant = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    zoom = [[zx, 0, 0], [0, zy, 0], [0, 0, 1]]
    return np.linalg.multi_dot([np.array(one) for one in (rotate, shift, slant, zoom)])


def torchvision_matrix(angle, dx, dy, scale, _, shear):
    """RandomAffine documents the map from input to output as shift . rotation . scale . shear; the program inverts."""
    rotate = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    shift = [[1, 0, np.rint(dx)], [0, 1, np.rint(dy)], [0, 0, 1]]
    slant = [[1, -np.tan(shear), 0], [0, 1, 0], [0, 0, 1]]
    forward = np.linalg.multi_dot([np.array(one) for one in (shift, rotate, np.diag([scale, scale, 1]), slant)])
    return np.linalg.inv(forward)


def by_scipy(image, matrix, fill, order):
    """scipy.ndimage.affine_transform with a map of (x, y) about the middle of the image."""
    height, width = image.shape
    swapped = matrix[[1, 0, 2]][:, [1, 0, 2]]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = swapped[:2, 2] + centre - swapped[:2, :2] @ centre
    return scipy.ndimage.affine_transform(
        image.astype(np.float64), swapped[:2, :2], offset, order=order, mode=fill, cval=99.0
    )


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
@pytest.mark.parametrize(("form", "matrix"), [("keras", keras_matrix), ("torchvision", torchvision_matrix)])
def test_random_affine_is_that_of_scipy(form, matrix, fill):
    step = RandomAffine(**RANGES, form=form, fill=fill, fill_value=99.0)
    u = drawn(step)
    found = after(step, IMAGES, u)
    for image, row, one in zip(IMAGES, u, found, strict=True):
        expected = by_scipy(image, matrix(*parameters(step, row, 14, 18)), fill, order=1)
        different = np.abs(one - expected) > 0.05
        # A place that falls on the border of the image to within float32 may be inside or outside.
        assert different.mean() <= (0.01 if fill == "constant" else 0)


def test_the_nearest_pixel_is_that_of_scipy():
    step = RandomAffine(**RANGES, interpolation="nearest")
    u = drawn(step)
    found = after(step, IMAGES, u)
    expected = [
        by_scipy(i, keras_matrix(*parameters(step, r, 14, 18)), "nearest", 0) for i, r in zip(IMAGES, u, strict=True)
    ]
    assert (np.abs(found - np.array(expected)) > 0.05).mean() < 2e-3, "but for places between two pixels"


def test_without_ranges_nothing_moves():
    np.testing.assert_allclose(after(RandomAffine(), IMAGES), IMAGES, atol=1e-3)
    np.testing.assert_array_equal(after(RandomAffine(form="torchvision", interpolation="nearest"), IMAGES), IMAGES)


def test_torchvision_shifts_whole_pixels_to_the_right():
    """The last possible draw: + 0.25 * 16 = 4 pixels right, and 2 down."""
    step = RandomAffine(shift_x=0.25, shift_y=0.125, form="torchvision", fill="constant", interpolation="nearest")
    u = np.full((1, draw_count(step)), 1.0, np.float32)
    expected = np.zeros((16, 16), np.float32)
    expected[2:, 4:] = SQUARES[0][:-2, :-4]
    np.testing.assert_array_equal(after(step, SQUARES[:1], u)[0], expected)
    map_B22, _ = affine_map(RandomAffine(zoom=(2.0, 2.0), form="torchvision"), jnp.asarray(u), 16, 16)
    np.testing.assert_allclose(map_B22[0], np.eye(2) / 2, atol=1e-6)  # a zoom of 2 shows the image larger


# --- gray levels ----------------------------------------------------------------------------------------------------


def test_random_jitter_is_that_of_pillow():
    """ImageEnhance, which torchvision's ColorJitter uses, with its rounding after each and of the mean."""
    step = RandomJitter(brightness=(0.5, 1.5), contrast=(0.5, 1.5))
    u = drawn(step)
    assert 0.3 < (u[:, 2] < 0.5).mean() < 0.7, "both orders"
    for image, row, found in zip(SQUARES, u, after(step, u=u), strict=True):
        factors = [0.5 + float(x) for x in row[:2]]
        steps = [(ImageEnhance.Brightness, factors[0]), (ImageEnhance.Contrast, factors[1])]
        picture = Image.fromarray(image)
        for enhance, factor in steps if row[2] < 0.5 else steps[::-1]:
            picture = enhance(picture).enhance(factor)
        assert np.abs(found - np.asarray(picture, np.float64)).max() < 2.6


def test_jitter_of_one_kind_ends_in_the_range():
    bright = after(RandomJitter(brightness=(2.0, 2.0)))
    np.testing.assert_allclose(bright, np.minimum(SQUARES.astype(float) * 2, 255))
    flat = after(RandomJitter(contrast=(0.0, 0.0)))
    np.testing.assert_allclose(flat, np.broadcast_to(SQUARES.mean((1, 2), keepdims=True), flat.shape), rtol=1e-5)


def test_random_erasing_is_that_of_torchvision():
    step = RandomErasing(probability=1.0, value=-3.0)
    images, u = np.repeat(SQUARES[:1], 300, axis=0), drawn(step, 300)
    found = after(step, images, u)
    shares = []
    for row, one, tries in zip(u, found, rectangles(step, u, 16, 16, step.area, step.ratio), strict=True):
        height, width = next((h, w) for h, w in tries if h < 16 and w < 16)
        top, left = int(row[20] * (16 - height + 1)), int(row[21] * (16 - width + 1))
        expected = SQUARES[0].astype(np.float32)
        expected[top : top + height, left : left + width] = -3
        np.testing.assert_array_equal(one, expected)
        shares.append(height * width / 256)
    assert abs(np.mean(shares) - (0.02 + 0.33) / 2) < 0.02


@pytest.mark.parametrize("step", [RandomErasing(area=(0.3, 0.4)), RandomJitter(contrast=(0.2, 0.3), probability=0.25)])
def test_some_samples_stay_as_they_are(step):
    images = np.repeat(SQUARES[:1], 2000, axis=0)
    changed = (after(step, images) != images).any((1, 2))
    assert abs(changed.mean() - step.probability) < 4 * (step.probability * (1 - step.probability) / 2000) ** 0.5


@pytest.mark.parametrize(
    "step", [RandomCrop(size=12), RandomResizedCrop(size=12), RandomAffine(**RANGES), RandomErasing(), RandomJitter()]
)
def test_a_sample_does_not_depend_on_the_others(step):
    u = drawn(step)
    together = after(step, u=u)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(after(step, SQUARES[order], u[order]), together[order])
    alone = jax.jit(lambda x, v: transformed(step, x, v))(jnp.asarray(SQUARES[:1], jnp.float32), u[:1])
    np.testing.assert_allclose(alone[0], together[0], atol=2e-2)
