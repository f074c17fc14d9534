"""Pooling on any device and in either layout: the height and the width are the axes 1 and 2 in both.

The gradient of a maximum goes to the first maximum of each window. The index of the maximum is kept instead of the
map, and the gradient is a comparison with it. `jnp.max` splits the gradient among equals; Keras, TensorFlow and PyTorch
do not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fer_jax.vocabulary.layers import AvgPool, MaxPool

AxisPadding = tuple[int, int]  # how many places before and after an axis


def window_positions(x: Array, axis: int, start: int, count: int, stride: int = 1) -> Array:
    """`count` positions along one axis, `stride` apart."""
    return lax.slice_in_dim(x, start, start + (count - 1) * stride + 1, stride, axis)


def pad(x: Array, axis: int, before: int, after: int, between: int = 0, value: float = 0.0) -> Array:
    """Padded along one axis; negative numbers cut off."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (before, after, between)
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def _maximum_and_index(candidates: Sequence[Array]) -> tuple[Array, Array]:
    """The elementwise maximum and the number of the first candidate that reaches it."""
    largest = functools.reduce(jnp.maximum, candidates)
    # The index has the maps' own dtype so that all vectors in the loop are equally wide.
    index = jnp.zeros_like(largest)
    for number in reversed(range(len(candidates))):
        index = jnp.where(candidates[number] == largest, jnp.asarray(number, largest.dtype), index)
    return lax.optimization_barrier((largest, index))


@jax.custom_vjp
def first_maximum(candidates: Array) -> Array:
    """Maximum over axis 0; the first of equals takes the gradient."""
    return _maximum_and_index(list(candidates))[0]


def _first_maximum_forward(candidates: Array) -> tuple[Array, tuple[Array, int]]:
    largest, index = _maximum_and_index([candidates[i] for i in range(candidates.shape[0])])
    return largest, (index, candidates.shape[0])


def _first_maximum_backward(residuals: tuple[Array, int], cotangent: Array) -> tuple[Array]:
    index, count = residuals
    numbers = lax.broadcasted_iota(index.dtype, (count,) + (1,) * index.ndim, 0)
    return (jnp.where(index[None] == numbers, cotangent[None], jnp.zeros((), cotangent.dtype)),)


first_maximum.defvjp(_first_maximum_forward, _first_maximum_backward)

# Windows up to this size are compared place by place (window^2 slices), larger ones by columns, then by rows.
_DIRECT_WINDOW = 3


def max_pool_layer(x: Array, layer: MaxPool) -> Array:
    return max_pool(x, layer.sides, layer.strides, layer.pads(x.shape[1:3]))


def max_pool(
    x: Array, window: tuple[int, int], stride: tuple[int, int], padding: tuple[AxisPadding, AxisPadding]
) -> Array:
    """Maximum over windows; of equal values the first in row-major order takes the whole gradient.

    Works on (channels, height, width, batch) and on (batch, height, width, channels) alike. It needs no scatter and
    no `reduce_window`. The gradient of `reduce_window` (select-and-scatter) is slow on CPU, and XLA's deterministic
    mode on GPU refuses it.

    Args:
        window, stride: of the height and of the width.
        padding: places before and after the height and the width; they never win against a finite value.
    """
    if max(window) <= _DIRECT_WINDOW:
        return _max_pool(x, window, stride, padding)
    # The first maximum in row-major order lies in the first row that holds the maximum, at its first place there.
    # So take the first maximum within each row, then the first among the rows.
    x = _max_pool(x, (1, window[1]), (1, stride[1]), ((0, 0), padding[1]))
    return _max_pool(x, (window[0], 1), (stride[0], 1), (padding[0], (0, 0)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(
    x: Array, window: tuple[int, int], stride: tuple[int, int], padding: tuple[AxisPadding, AxisPadding]
) -> Array:
    return _max_pool_forward(x, window, stride, padding)[0]


def _max_pool_forward(
    x: Array, window: tuple[int, int], stride: tuple[int, int], padding: tuple[AxisPadding, AxisPadding]
) -> tuple[Array, tuple[Array, int, int]]:
    height, width = x.shape[1:3]
    for axis in (1, 2):
        if padding[axis - 1] != (0, 0):
            x = pad(x, axis, *padding[axis - 1], value=-jnp.inf)
    rows, columns = ((x.shape[axis] - window[axis - 1]) // stride[axis - 1] + 1 for axis in (1, 2))
    candidates = [
        window_positions(window_positions(x, 1, i, rows, stride[0]), 2, j, columns, stride[1])
        for i in range(window[0])
        for j in range(window[1])
    ]
    largest, index = _maximum_and_index(candidates)
    return largest, (index, height, width)


def _max_pool_backward(
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[AxisPadding, AxisPadding],
    residuals: tuple[Array, int, int],
    cotangent: Array,
) -> tuple[Array]:
    index, *sizes = residuals
    if window == stride:
        d_x = _spread(index, cotangent, window)
    else:  # Windows overlap or leave gaps: each place of the window gets its own map, and the maps are added.
        d_x = functools.reduce(jnp.add, _shifted_shares(index, cotangent, window, stride))
    for axis in (1, 2):  # Padding gets no gradient; positions outside every window get zero.
        before = padding[axis - 1][0]
        d_x = pad(d_x, axis, -before, sizes[axis - 1] + before - d_x.shape[axis])
    return (d_x,)


def _spread(index: Array, cotangent: Array, window: tuple[int, int]) -> Array:
    """Each cotangent at its place in its window, as one comparison of a broadcast."""
    first, rows, columns, last = index.shape
    place = jnp.arange(window[0] * window[1], dtype=index.dtype).reshape(1, 1, window[0], 1, window[1], 1)
    hit = index[:, :, None, :, None, :] == place
    spread = jnp.where(hit, cotangent[:, :, None, :, None, :], jnp.zeros((), cotangent.dtype))
    return spread.reshape(first, rows * window[0], columns * window[1], last)


def _shifted_shares(index: Array, cotangent: Array, window: tuple[int, int], stride: tuple[int, int]) -> list[Array]:
    """Per place (i, j) in the window, the cotangents whose maximum lay there, moved to that place."""
    shares = []
    for number in range(window[0] * window[1]):
        i, j = divmod(number, window[1])
        share = jnp.where(index == number, cotangent, jnp.zeros((), cotangent.dtype))
        share = pad(share, 1, i, window[0] - 1 - i, stride[0] - 1)
        shares.append(pad(share, 2, j, window[1] - 1 - j, stride[1] - 1))
    return shares


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


# --- means ------------------------------------------------------------------------------------------------------------


def avg_pool(x: Array, layer: AvgPool) -> Array:
    """Mean over windows, computed in float32 at least. See `AvgPool` for what the padding counts."""
    given, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
    pads, sizes = layer.pads(x.shape[1:3]), x.shape[1:3]
    padded = any(any(pair) for pair in pads)
    if layer.sides == layer.strides and not padded:
        return _mean_side_by_side(x, layer.sides).astype(given)
    counts = [np.full(1, side, np.float32) for side in layer.sides]
    for axis in (1, 2):
        window, stride, (before, after) = layer.sides[axis - 1], layer.strides[axis - 1], pads[axis - 1]
        count = (sizes[axis - 1] + before + after - window) // stride + 1
        if padded and not layer.count_padding:
            starts = np.arange(count) * stride - before
            inside = np.minimum(starts + window, sizes[axis - 1]) - np.maximum(starts, 0)
            counts[axis - 1] = inside.astype(np.float32)
        x = pad(x, axis, before, after)
        x = functools.reduce(jnp.add, [window_positions(x, axis, i, count, stride) for i in range(window)])
    factor = 1 / (counts[0][:, None] * counts[1])
    return (x * jnp.asarray(factor[None, :, :, None], x.dtype)).astype(given)


def _mean_side_by_side(x: Array, window: tuple[int, int]) -> Array:
    """Of windows that touch but do not overlap."""
    first, height, width, last = x.shape
    rows, columns = height // window[0], width // window[1]
    x = x[:, : rows * window[0], : columns * window[1]]
    return x.reshape(first, rows, window[0], columns, window[1], last).mean((2, 4))


def global_mean(x: Array) -> Array:
    """The mean of each channel: (batch, channels) or (channels, batch), as the layout has them."""
    return x.mean((1, 2), dtype=jnp.promote_types(x.dtype, jnp.float32)).astype(x.dtype)
