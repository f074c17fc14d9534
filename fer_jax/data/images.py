"""Operations on stacks of gray images, as OpenCV defines them. Pure NumPy, deterministic on every machine.

Axes: N images, H rows, W columns. Internally the image index is the last axis, so that every operation runs over many
images at once and one block stays in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

BLOCK = 128  # images at a time: 48 x 48 x 128 x 8 bytes = 2.4 MB
Taps = tuple[np.ndarray, np.ndarray]  # the source pixels of an output pixel: indices and weights, both (taps, pixels)


def _blocks(images_NHW: np.ndarray, dtype: type[np.floating]) -> Iterator[tuple[slice, np.ndarray]]:
    """Pieces of the stack as (H, W, block) arrays, each with the rows that it came from."""
    for start in range(0, len(images_NHW), BLOCK):
        rows = slice(start, min(start + BLOCK, len(images_NHW)))
        yield rows, images_NHW[rows].transpose(1, 2, 0).astype(dtype, order="C")


def _area_taps(size_in: int, size_out: int) -> Taps:
    """The pixels that one output pixel covers along an axis: their indices and weights, both (taps, size_out).

    Output pixel d covers [d * scale, (d + 1) * scale), scale = size_in / size_out; a pixel weighs as much as it is
    covered. Weights are single precision because OpenCV's are (computeResizeAreaTab in resize.cpp): a white region
    then comes out of 48 -> 28 as 254.99998 nearly everywhere, and truncation makes 254 of it.
    """
    scale = size_in / size_out
    taps: list[list[tuple[int, float]]] = []
    for d in range(size_out):
        start, stop = d * scale, d * scale + scale
        cell = min(scale, size_in - start)
        last = min(math.floor(stop), size_in - 1)
        first = min(math.ceil(start), last)
        covered = [(first - 1, (first - start) / cell)] if first - start > 1e-3 else []
        covered += [(i, 1.0 / cell) for i in range(first, last)]
        if stop - last > 1e-3:
            covered.append((last, min(stop - last, 1.0, cell) / cell))
        taps.append(covered)
    most = max(len(covered) for covered in taps)
    padded = np.array([covered + [(0, 0.0)] * (most - len(covered)) for covered in taps])  # (size_out, taps, 2)
    return padded[:, :, 0].astype(np.intp).T, padded[:, :, 1].astype(np.float32).T.astype(np.float64)


def area_sums(height: int, width: int, size: int) -> tuple[Taps, Taps, float]:
    """The taps that `resize_area` adds up along the height and along the width, and the factor for the sums.

    Raises ValueError if the size is below 1 or larger than the images: enlarging is another operation.
    """
    if not 1 <= size <= min(height, width):
        raise ValueError(f"area interpolation cannot make {size} x {size} pixels of {height} x {width}")
    row_taps, column_taps = _area_taps(height, size), _area_taps(width, size)
    if height % size or width % size:
        return row_taps, column_taps, 1.0
    # OpenCV adds up whole pixels and multiplies once, instead of weighting twice.
    factor = float(np.float32(1.0 / ((height // size) * (width // size))))
    return (row_taps[0], np.ones_like(row_taps[1])), (column_taps[0], np.ones_like(column_taps[1])), factor


def _weighted_sum(pixels: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over taps of weights[t, d] * pixels[indices[t, d]], along the first axis, in the order of the taps."""
    total = np.zeros((indices.shape[1], *pixels.shape[1:]), pixels.dtype)
    covered = np.empty_like(total)
    for index, weight in zip(indices, weights.astype(pixels.dtype), strict=True):
        np.take(pixels, index, axis=0, out=covered, mode="clip")  # without a mode, NumPy buffers `out`
        covered *= weight.reshape(-1, *[1] * (pixels.ndim - 1))
        total += covered
    return total


def resize_area(images_NHW: np.ndarray, size: int) -> np.ndarray:
    """Shrink uint8 images to size x size: each output pixel is the mean of the area that it covers. float64 (N, s, s).

    This is cv2.resize(..., interpolation=cv2.INTER_AREA) on float64 input: the same sums in the same order. On uint8
    input OpenCV computes in single precision and rounds to the nearest integer; np.rint of this result equals that
    except for ties (values that end in .5). A size that divides H and W takes the plain mean of whole pixels.

    Raises ValueError if the size is below 1 or larger than the images: enlarging is another operation.
    """
    n, height, width = images_NHW.shape
    row_taps, column_taps, factor = area_sums(height, width, size)
    out = np.empty((n, size, size))
    for rows, pixels_HWN in _blocks(images_NHW, np.float64):
        narrow_WHN = _weighted_sum(pixels_HWN.transpose(1, 0, 2), *column_taps)
        out[rows] = (_weighted_sum(narrow_WHN.transpose(1, 0, 2), *row_taps) * factor).transpose(2, 0, 1)
    return out


def _bilinear_taps(source_x: np.ndarray, source_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four pixels around each position (H, W) of an H x W image: flat indices and weights, both (4, H * W).

    A pixel outside the image has weight 0, which makes it black.
    """
    height, width = source_x.shape
    left, top = np.floor(source_x).astype(np.intp), np.floor(source_y).astype(np.intp)
    right_share, lower_share = source_x - left, source_y - top
    indices, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = top + dy, left + dx
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        share = (lower_share if dy else 1 - lower_share) * (right_share if dx else 1 - right_share)
        indices.append(np.where(inside, row * width + column, 0).ravel())
        weights.append(np.where(inside, share, 0.0).ravel())
    return np.array(indices), np.array(weights)


def flip_horizontal(images_NHW: np.ndarray) -> np.ndarray:
    """Mirror left and right, like cv2.flip(image, 1)."""
    return np.ascontiguousarray(images_NHW[:, :, ::-1])


def rotate(
    images_NHW: np.ndarray,
    degrees: float,
    center: tuple[float, float] | None = None,
    positions: Literal["exact", "1/32"] = "exact",
) -> np.ndarray:
    """Rotate uint8 images counter-clockwise about `center` = (x, y) in pixels; uint8 (N, H, W), black outside.

    The default center is (W / 2, H / 2), half a pixel right of and below the middle of the image, as in the common
    idiom ``tuple(np.array(image.shape) / 2)``. The result is that of cv2.warpAffine with the matrix of
    cv2.getRotationMatrix2D(center, degrees, 1.0), bilinear, constant border 0, within one gray level:

    positions "exact": as in OpenCV 5, which interpolates at the exact position.
    positions "1/32": as in OpenCV 2 to 4, which round the position to 1/32 pixel. Differs from "exact" by up to seven
        gray levels at hard edges.
    """
    height, width = images_NHW.shape[1:]
    x0, y0 = center if center is not None else (width / 2, height / 2)
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    # The source position of each output pixel: the inverse rotation about the center (the y axis points down).
    x_terms = (cos * x, -sin * y + (x0 - cos * x0 + sin * y0))
    y_terms = (sin * x, cos * y + (y0 - sin * x0 - cos * y0))
    if positions == "1/32":  # OpenCV rounds each term to 1/1024 pixel, then their sum to 1/32
        source_x, source_y = (
            np.floor((np.rint(a * 1024) + np.rint(b * 1024) + 16) / 32) / 32 for a, b in (x_terms, y_terms)
        )
    else:
        source_x, source_y = x_terms[0] + x_terms[1], y_terms[0] + y_terms[1]
    indices, weights = _bilinear_taps(source_x, source_y)
    out = np.empty_like(images_NHW)
    for rows, pixels_HWN in _blocks(images_NHW, np.float32):
        flat = _weighted_sum(pixels_HWN.reshape(height * width, -1), indices, weights)
        out[rows] = np.floor(flat + 0.5).astype(np.uint8).T.reshape(-1, height, width)
    return out


def equalise_histogram(images_NHW: np.ndarray) -> np.ndarray:
    """Each uint8 image with its gray levels spread over 0 to 255, so that they are about equally frequent: uint8, as
    cv2.equalizeHist computes it (histogram.cpp): level v becomes round(255 * (pixels of level v and below, without
    those of the lowest level) / (all pixels without those of the lowest level)), in single precision. An image of one
    level stays as it is."""
    out = np.empty_like(images_NHW)
    for row, image in enumerate(images_NHW):
        counts = np.bincount(image.reshape(-1), minlength=256)
        lowest = int(np.flatnonzero(counts)[0])
        rest = image.size - counts[lowest]
        counts[: lowest + 1] = 0
        levels = np.rint(np.cumsum(counts).astype(np.float32) * np.float32(255.0 / max(rest, 1))).astype(np.uint8)
        out[row] = levels[image] if rest else image
    return out
