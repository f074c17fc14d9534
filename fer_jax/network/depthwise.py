"""Depthwise convolution with the batch innermost: every channel by itself, in C++ or as sums of shifted maps."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.network.convolution import NOTHING_LAST, Last, varying_like
from fer_jax.network.native import strided
from fer_jax.network.pooling import AxisPadding, pad, window_positions

_Pair = tuple[int, int]


def convolve(
    x: Array,
    kernel: Array,
    strides: _Pair,
    dilations: _Pair,
    padding: tuple[AxisPadding, AxisPadding],
    last: Last = NOTHING_LAST,
) -> Array:
    """Each channel with its kernels, then `last`.

    Args:
        x: (channels, height, width, batch).
        kernel: (rows, columns, channels, multiplier).
        strides, dilations, padding: of the height and of the width.

    Returns:
        (channels * multiplier, height out, width out, batch); the outputs of a channel lie side by side.
    """
    rows, columns, channels, multiplier = kernel.shape
    if multiplier > 1:
        x = jnp.repeat(x, multiplier, 0)
    flat = varying_like(kernel.reshape(rows, columns, channels * multiplier), x)
    if dilations == (1, 1) and strided.suits(x, flat, strides, padding):
        return strided.convolve(x, flat, strides, padding, last)
    x = pad(pad(x, 1, *padding[0]), 2, *padding[1])
    return last.of(_valid(x, flat, strides, dilations))


def _sum_of_shifts(x: Array, kernel: Array, strides: _Pair, dilations: _Pair) -> Array:
    reach = [(kernel.shape[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    counts = [(x.shape[axis + 1] - reach[axis]) // strides[axis] + 1 for axis in (0, 1)]
    terms = []
    for i in range(kernel.shape[0]):
        row = window_positions(x, 1, i * dilations[0], counts[0], strides[0])
        for j in range(kernel.shape[1]):
            shifted = window_positions(row, 2, j * dilations[1], counts[1], strides[1])
            terms.append(shifted * kernel[i, j][:, None, None, None])
    return functools.reduce(jnp.add, terms)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _valid(x: Array, kernel: Array, strides: _Pair, dilations: _Pair) -> Array:
    """Without padding; kernel: (rows, columns, channels)."""
    return _sum_of_shifts(x, kernel, strides, dilations)


def _forward(x: Array, kernel: Array, strides: _Pair, dilations: _Pair) -> tuple[Array, tuple[Array, Array]]:
    return _sum_of_shifts(x, kernel, strides, dilations), (x, kernel)


def _backward(
    strides: _Pair, dilations: _Pair, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = residuals
    # With respect to the map it is a depthwise convolution again: of the cotangent, spread out by the strides, with the
    # kernel turned round.
    spread = cotangent
    for axis in (1, 2):
        reach = (kernel.shape[axis - 1] - 1) * dilations[axis - 1]
        inner = (cotangent.shape[axis] - 1) * strides[axis - 1] + 1
        spread = pad(spread, axis, reach, x.shape[axis] - inner, between=strides[axis - 1] - 1)
    d_x = _sum_of_shifts(spread, kernel[::-1, ::-1], (1, 1), dilations)
    rows = []
    for i in range(kernel.shape[0]):
        row = window_positions(x, 1, i * dilations[0], cotangent.shape[1], strides[0])
        rows.append(
            [
                jnp.sum(
                    window_positions(row, 2, j * dilations[1], cotangent.shape[2], strides[1]) * cotangent, (1, 2, 3)
                )
                for j in range(kernel.shape[1])
            ]
        )
    return d_x, jnp.stack([jnp.stack(row) for row in rows])


_valid.defvjp(_forward, _backward)
