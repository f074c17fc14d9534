"""Random steps on a batch of images on the device. `fer_jax.vocabulary.augmentations` names the source of each.

Each sample has its own uniform numbers in [0, 1), `u_Bn`; a step is a pure function of the images and of these. So the
order of the batch, the number of devices and what happened before do not matter.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.vocabulary.augmentations import (
    DrawnStep,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    RandomResizedCrop,
)

TRIES = 10  # of a rectangle that must fit into the image, as in torchvision
_DRAWS = {
    RandomCrop: 2,
    RandomResizedCrop: 2 * TRIES + 2,
    RandomAffine: 6,
    RandomJitter: 3,
    RandomErasing: 2 * TRIES + 2,
}
_IS_CHANGED = 1  # the last number of every sample, compared with the step's probability


def draw_count(step: DrawnStep) -> int:
    """Uniform numbers that the step takes for a sample."""
    return _DRAWS[type(step)] + _IS_CHANGED


def transformed(step: DrawnStep, images_BHW: Array, u_Bn: Array) -> Array:
    """The images, float32, after the step. u_Bn: (B, draw_count(step)). A crop changes their size."""
    match step:
        case RandomCrop():
            return random_crop(step, images_BHW, u_Bn)
        case RandomResizedCrop():
            return random_resized_crop(step, images_BHW, u_Bn)
        case RandomAffine():
            changed = random_affine(step, images_BHW, u_Bn)
        case RandomJitter():
            changed = random_jitter(step, images_BHW, u_Bn)
        case RandomErasing():
            changed = random_erasing(step, images_BHW, u_Bn)
    if step.probability == 1.0:
        return changed
    return jnp.where(u_Bn[:, -1, None, None] < step.probability, changed, images_BHW)


def between(u: Array, low: float | Array, high: float | Array) -> Array:
    return low + (high - low) * u


def whole_below(u: Array, count: int | Array) -> Array:
    """Whole numbers 0 to count - 1, equally often."""
    return jnp.minimum(jnp.floor(u * count), count - 1).astype(jnp.int32)


# --- crops ----------------------------------------------------------------------------------------------------------


def random_crop(step: RandomCrop, images_BHW: Array, u_Bn: Array) -> Array:
    margin = step.padding
    padded = jnp.pad(images_BHW, ((0, 0), (margin, margin), (margin, margin)), constant_values=step.fill)
    _, height, width = padded.shape
    top, left = whole_below(u_Bn[:, 0], height - step.size + 1), whole_below(u_Bn[:, 1], width - step.size + 1)

    def cut(image: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(image, (top, left), (step.size, step.size))

    return jax.vmap(cut)(padded, top, left)


def middle(images_BHW: Array, size: int) -> Array:
    """torchvision's CenterCrop."""
    top, left = (round((length - size) / 2) for length in images_BHW.shape[1:])
    return images_BHW[:, top : top + size, left : left + size]


def _fitting(heights: Array, widths: Array, fits: Array) -> tuple[Array, Array, Array]:
    """Of each sample's tries, (B, TRIES), the first that fits: height, width, and whether there is one."""
    first = jnp.argmax(fits, axis=1)[:, None]
    height, width = (jnp.take_along_axis(lengths, first, axis=1)[:, 0] for lengths in (heights, widths))
    return height, width, fits.any(axis=1)


def _rectangles(u_Bn: Array, area: tuple[float, float], ratio: tuple[float, float], pixels: int) -> tuple[Array, Array]:
    """(long, short) sides in pixels, before rounding, (B, TRIES): sqrt(area * ratio) and sqrt(area / ratio)."""
    share = between(u_Bn[:, :TRIES], *area) * pixels
    aspect = jnp.exp(between(u_Bn[:, TRIES : 2 * TRIES], math.log(ratio[0]), math.log(ratio[1])))
    return jnp.sqrt(share * aspect), jnp.sqrt(share / aspect)


def random_resized_crop(step: RandomResizedCrop, images_BHW: Array, u_Bn: Array) -> Array:
    _, height, width = images_BHW.shape
    widths, heights = (jnp.rint(side) for side in _rectangles(u_Bn, step.scale, step.ratio, height * width))
    fits = (widths >= 1) & (heights >= 1) & (widths <= width) & (heights <= height)
    cut_height, cut_width, found = _fitting(heights, widths, fits)
    cut_height, cut_width = jnp.where(found, cut_height, height), jnp.where(found, cut_width, width)
    top = whole_below(u_Bn[:, 2 * TRIES], (height - cut_height + 1).astype(jnp.int32))
    left = whole_below(u_Bn[:, 2 * TRIES + 1], (width - cut_width + 1).astype(jnp.int32))
    rows = _resizing_weights(top, cut_height, height, step.size)
    columns = _resizing_weights(left, cut_width, width, step.size)
    return jnp.einsum("bih,bhw,bjw->bij", rows, images_BHW, columns, precision="highest")


def _resizing_weights(start_B: Array, length_B: Array, size_in: int, size_out: int) -> Array:
    """Pillow's bilinear filter from a stretch of an axis, (B, size_out, size_in); each row sums to one."""
    scale = (length_B / size_out)[:, None, None]
    start, length = start_B[:, None, None], length_B[:, None, None]
    centre = start + (jnp.arange(size_out)[:, None] + 0.5) * scale - 0.5
    pixel = jnp.arange(size_in)
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(pixel - centre) / jnp.maximum(scale, 1.0))
    weights = jnp.where((pixel >= start) & (pixel < start + length), weights, 0.0)
    return weights / weights.sum(-1, keepdims=True)


# --- affine maps ----------------------------------------------------------------------------------------------------


def random_affine(step: RandomAffine, images_BHW: Array, u_Bn: Array) -> Array:
    _, height, width = images_BHW.shape
    map_B22, shift_B2 = affine_map(step, u_Bn, height, width)
    middle_xy = jnp.array([(width - 1) / 2, (height - 1) / 2])
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    out = jnp.stack([x, y]).reshape(2, -1) - middle_xy[:, None]
    source = jnp.einsum("bij,jp->bip", map_B22, out, precision="highest") + (shift_B2 + middle_xy)[:, :, None]
    return sampled(step, images_BHW, *(source[:, axis].reshape(-1, height, width) for axis in (1, 0)))


def affine_map(step: RandomAffine, u_Bn: Array, height: int, width: int) -> tuple[Array, Array]:
    """From places of the output to places of the input, (x, y) about the middle: source = A place + t. A (B, 2, 2),
    t (B, 2).

    Keras: A = R S Z, t = R (shift), with rotation R, shear S = [[1, -sin], [0, cos]] and zoom Z (apply_affine_transform
    of its ImageDataGenerator). torchvision turns the map from input to output round, scale R [[1, -tan], [0, 1]]
    (_get_inverse_affine_matrix).
    """
    turn = jnp.deg2rad(between(u_Bn[:, 0], -step.rotation, step.rotation))
    shift = jnp.stack(
        [
            between(u_Bn[:, 1], -step.shift_x, step.shift_x) * width,
            between(u_Bn[:, 2], -step.shift_y, step.shift_y) * height,
        ],
        axis=-1,
    )
    zoom_x, zoom_y = (between(u_Bn[:, k], *step.zoom) for k in (3, 4))
    slant = jnp.deg2rad(between(u_Bn[:, 5], -step.shear, step.shear))
    one, zero = jnp.ones_like(turn), jnp.zeros_like(turn)
    rotation = _matrix(jnp.cos(turn), -jnp.sin(turn), jnp.sin(turn), jnp.cos(turn))
    if step.form == "keras":
        sheared = jnp.matmul(rotation, _matrix(one, -jnp.sin(slant), zero, jnp.cos(slant)), precision="highest")
        zoomed = sheared * jnp.stack([zoom_x, zoom_y], axis=-1)[:, None, :]
        return zoomed, jnp.einsum("bij,bj->bi", rotation, shift, precision="highest")
    back = jnp.matmul(_matrix(one, jnp.tan(slant), zero, one), rotation.transpose(0, 2, 1), precision="highest")
    back = back / zoom_x[:, None, None]
    return back, -jnp.einsum("bij,bj->bi", back, jnp.rint(shift), precision="highest")


def _matrix(a: Array, b: Array, c: Array, d: Array) -> Array:
    return jnp.stack([jnp.stack([a, b], axis=-1), jnp.stack([c, d], axis=-1)], axis=-2)


def sampled(step: RandomAffine, images_BHW: Array, y: Array, x: Array) -> Array:
    """The gray levels at places (B, H, W) in pixels, as scipy.ndimage reads them with these modes at order 0 or 1."""
    batch, height, width = images_BHW.shape
    half = 0.5 if step.interpolation == "nearest" else 0.0  # how far a pixel reaches beyond its centre
    outside = (y < -half) | (y > height - 1 + half) | (x < -half) | (x > width - 1 + half)
    if step.fill == "reflect":
        y, x = _mirrored(y, height), _mirrored(x, width)
    flat = images_BHW.reshape(batch, -1)

    def pixels(rows: Array, columns: Array) -> Array:
        place = jnp.clip(rows, 0, height - 1) * width + jnp.clip(columns, 0, width - 1)
        return jnp.take_along_axis(flat, place.astype(jnp.int32).reshape(batch, -1), axis=1).reshape(rows.shape)

    if step.interpolation == "nearest":
        levels = pixels(jnp.floor(y + 0.5), jnp.floor(x + 0.5))
    else:
        y, x = jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)
        top, left = jnp.floor(y), jnp.floor(x)
        lower, right = y - top, x - left
        upper_row = pixels(top, left) * (1 - right) + pixels(top, left + 1) * right
        lower_row = pixels(top + 1, left) * (1 - right) + pixels(top + 1, left + 1) * right
        levels = upper_row * (1 - lower) + lower_row * lower
    return jnp.where(outside, step.fill_value, levels) if step.fill == "constant" else levels


def _mirrored(place: Array, length: int) -> Array:
    """Places beyond the image seen in mirrors at its borders, which lie half a pixel beyond the last centres."""
    folded = jnp.mod(place + 0.5, 2 * length)
    return jnp.where(folded > length, 2 * length - folded, folded) - 0.5


# --- gray levels ----------------------------------------------------------------------------------------------------


def random_jitter(step: RandomJitter, images_BHW: Array, u_Bn: Array) -> Array:
    brightness, contrast = (
        between(u_Bn[:, k, None, None], *limits) for k, limits in enumerate((step.brightness, step.contrast))
    )

    def brighter(images: Array) -> Array:
        return jnp.clip(images * brightness, 0, 255)

    def sharper(images: Array) -> Array:
        mean = images.mean(axis=(1, 2), keepdims=True)
        return jnp.clip(mean + (images - mean) * contrast, 0, 255)

    if step.contrast == (1.0, 1.0):
        return brighter(images_BHW)
    if step.brightness == (1.0, 1.0):
        return sharper(images_BHW)
    first = u_Bn[:, 2, None, None] < 0.5
    return jnp.where(first, sharper(brighter(images_BHW)), brighter(sharper(images_BHW)))


def random_erasing(step: RandomErasing, images_BHW: Array, u_Bn: Array) -> Array:
    _, height, width = images_BHW.shape
    heights, widths = (jnp.rint(side) for side in _rectangles(u_Bn, step.area, step.ratio, height * width))
    own_height, own_width, found = _fitting(heights, widths, (heights < height) & (widths < width))
    top = whole_below(u_Bn[:, 2 * TRIES], (height - own_height + 1).astype(jnp.int32))
    left = whole_below(u_Bn[:, 2 * TRIES + 1], (width - own_width + 1).astype(jnp.int32))
    inside = _inside(top, own_height, height)[:, :, None] & _inside(left, own_width, width)[:, None, :]
    return jnp.where(inside & found[:, None, None], step.value, images_BHW)


def _inside(start_B: Array, length_B: Array, size: int) -> Array:
    """Which pixels of an axis lie in a stretch, bool (B, size)."""
    pixel = jnp.arange(size)
    return (pixel >= start_B[:, None]) & (pixel < (start_B + length_B)[:, None])
