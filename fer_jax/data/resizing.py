"""Bilinear and bicubic resizing of gray images, as OpenCV, Pillow and TensorFlow define them. Pure NumPy.

All three take pixel centres: output pixel d lies at (d + 0.5) * scale - 0.5 of the input, scale = size_in / size_out.
They differ in the rest:

opencv: the pixel at the border is repeated; bicubic has a = -0.75 (resize.cpp); no filter when shrinking.
pillow: what lies outside is left out, and the weights of the rest are raised to sum to one; bicubic has a = -0.5; when
    shrinking the kernel is widened by the scale; levels are rounded between the two axes (Resample.c).
tensorflow: bilinear as OpenCV; bicubic has a = -0.5, and leaves out what lies outside (resize_bicubic_op.cc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Method = Literal["bilinear", "bicubic"]
Form = Literal["opencv", "pillow", "tensorflow"]
_PILLOW_ONE = 2.0**22  # its weights are multiples of 1 / this


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(a: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keys 1981, with its free parameter."""

    def kernel(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x**2 + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

    return kernel


def axis_weights(size_in: int, size_out: int, method: Method, form: Form) -> np.ndarray:
    """Weights of the input pixels of an axis in its output pixels, float64 (size_out, size_in); each row sums to 1."""
    kernel = _triangle if method == "bilinear" else _cubic(-0.75 if form == "opencv" else -0.5)
    reach = 1.0 if method == "bilinear" else 2.0
    scale = size_in / size_out
    widening = max(scale, 1.0) if form == "pillow" else 1.0
    repeats = form == "opencv" or (form == "tensorflow" and method == "bilinear")
    centre = (np.arange(size_out) + 0.5) * scale - 0.5
    furthest = int(np.ceil(reach * widening)) + 1
    weights = np.zeros((size_out, size_in))
    for offset in range(-furthest, furthest + 1):
        source = np.floor(centre).astype(np.intp) + offset
        share = kernel((source - centre) / widening)
        kept = np.ones(size_out, bool) if repeats else (source >= 0) & (source < size_in)
        np.add.at(weights, (np.flatnonzero(kept), np.clip(source, 0, size_in - 1)[kept]), share[kept])
    return weights / weights.sum(1, keepdims=True)


def resize(images_NHW: np.ndarray, size: int, method: Method, form: Form) -> np.ndarray:
    """uint8 images as float64 (N, size, size), not yet rounded. Bicubic values may lie outside 0 to 255."""
    if (method, form) == ("bilinear", "opencv"):
        return _opencv_bilinear(images_NHW, size)
    height, width = images_NHW.shape[1:]
    rows, columns = axis_weights(height, size, method, form), axis_weights(width, size, method, form)
    if form == "pillow":  # as integers; float64 holds their products exactly
        rows, columns = (np.floor(weights * _PILLOW_ONE + 0.5) for weights in (rows, columns))
    narrow = images_NHW.astype(np.float64) @ columns.T
    return _level(rows @ _level(narrow)) if form == "pillow" else rows @ narrow


def _level(sums: np.ndarray) -> np.ndarray:
    """Pillow's rounding of sums of levels times integer weights."""
    return np.clip(np.floor((sums + _PILLOW_ONE / 2) / _PILLOW_ONE), 0, 255)


def _opencv_bilinear(images_NHW: np.ndarray, size: int) -> np.ndarray:
    """cv2.resize with INTER_LINEAR computes uint8 images in integers: weights in 1/2048, four bits are dropped between
    the axes, and the two rows are rounded down one by one (VResizeLinearVec_32s8u in resize.cpp). About every eighth
    level differs by one from the exact value."""
    height, width = images_NHW.shape[1:]
    (upper, lower), (of_upper, of_lower) = _two_taps(height, size)
    (left, right), (of_left, of_right) = _two_taps(width, size)
    levels = images_NHW.astype(np.int64)
    narrow = (levels[:, :, left] * of_left + levels[:, :, right] * of_right) >> 4
    above, below = (narrow[:, rows] * share[:, None] for rows, share in ((upper, of_upper), (lower, of_lower)))
    return (((above >> 16) + (below >> 16) + 2) >> 2).astype(np.float64)


def _two_taps(size_in: int, size_out: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The two pixels that an output pixel lies between, and their weights in 1/2048."""
    centre = ((np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5).astype(np.float32)
    first = np.floor(centre).astype(np.intp)
    share = centre - first
    second = np.rint(share * 2048).astype(np.int64)
    taps = np.clip(first, 0, size_in - 1), np.clip(first + 1, 0, size_in - 1)
    return taps, (np.rint((1 - share) * 2048).astype(np.int64), second)
