"""Convolution and then max pooling with windows that may overlap, in one call in C++ (``overlapping.cc``); for CPU."""

from __future__ import annotations

import functools

import jax
import numpy as np
from jax import Array

from fer_jax.network.convolution import NOTHING_LAST, Last
from fer_jax.network.native import calls, convolution, pooling
from fer_jax.network.pooling import AxisPadding
from fer_jax.vocabulary.layers import MaxPool

# With more channels in, a convolution by minimal filtering saves more than its map costs.
_MOST_CHANNELS = 4


def suits(x: Array, kernel: Array, padding: AxisPadding, pool: MaxPool) -> bool:
    """Whether `convolve` can take these, and is the faster way."""
    if x.shape[0] > _MOST_CHANNELS or not convolution.suits(x, kernel, padding, 1):
        return False
    sides = _map_sides(x, kernel, padding)
    return min(sides) > 0 and calls.takes_windows(sides, pool.sides, pool.strides, pool.pads(sides))


def convolve(x: Array, kernel: Array, padding: AxisPadding, pool: MaxPool, last: Last = NOTHING_LAST) -> Array:
    """Convolution of stride 1, then the maximum over each window, then `last`. The first of equal maxima takes the
    gradient.

    Args:
        x: (channels, height, width, batch), float32.
        kernel: (k, k, channels, filters), float32.
        padding: before and after, of the height and of the width; less than k each.
        last: float32, of the shape that is returned.

    Returns:
        (filters, rows of windows, columns of windows, batch).
    """
    calls.require()
    return _convolve(x, kernel, *calls.added_last(kernel, last), padding, pool, last.rectify)


def _map_sides(x: Array, kernel: Array, padding: AxisPadding) -> tuple[int, int]:
    grown = sum(padding) - kernel.shape[0] + 1
    return x.shape[1] + grown, x.shape[2] + grown


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _convolve(
    x: Array, kernel: Array, bias: Array, added: Array, padding: AxisPadding, pool: MaxPool, rectify: bool
) -> Array:
    return _call(x, kernel, (bias, added), padding, pool, rectify, keep_places=False)[0]


def _call(
    x: Array,
    kernel: Array,
    last: tuple[Array, Array],
    padding: AxisPadding,
    pool: MaxPool,
    rectify: bool,
    *,
    keep_places: bool,
) -> tuple[Array, Array]:
    """(values, places): `places` is the position of each maximum in its window. It has one element if not kept."""
    sides = _map_sides(x, kernel, padding)
    shape = (kernel.shape[3], *calls.places_of(sides, pool.sides, pool.strides, pool.pads(sides)), x.shape[3])
    call = jax.ffi.ffi_call("fer_pooled_convolve", calls.pooled(shape, keep_places), vmap_method="sequential")
    values, places = call(x, kernel, *last, **_attributes(sides, padding, pool), rectify=np.int64(rectify))
    return values, places


def _attributes(sides: tuple[int, int], padding: AxisPadding, pool: MaxPool) -> dict[str, np.int64]:
    return {
        "before": np.int64(padding[0]),
        "after": np.int64(padding[1]),
        **pooling.attributes(pool.sides, pool.strides, pool.pads(sides)),
    }


def _forward(
    x: Array, kernel: Array, bias: Array, added: Array, padding: AxisPadding, pool: MaxPool, rectify: bool
) -> tuple[Array, tuple[Array, ...]]:
    y, places = _call(x, kernel, (bias, added), padding, pool, rectify, keep_places=True)
    return y, (x, kernel, places, y, added)


def _backward(
    padding: AxisPadding, pool: MaxPool, rectify: bool, residuals: tuple[Array, ...], cotangent: Array
) -> tuple[Array, ...]:
    x, kernel, places, y, added = residuals
    cotangent, of_last = calls.last_gradients(cotangent, y, added, rectify)
    sides = _map_sides(x, kernel, padding)
    # A first layer needs no gradient of its input; XLA then leaves these two calls out.
    map_shape = (kernel.shape[3], *sides, x.shape[3])
    of_map = pooling.gradient(cotangent, places, map_shape, pool.sides, pool.strides, pool.pads(sides))
    of_x = convolution.input_gradient(of_map, kernel, x.shape, padding)
    name = "fer_pooled_kernel_gradient"
    of_kernel = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(kernel.shape, kernel.dtype), vmap_method="sequential")
    return of_x, of_kernel(x, cotangent, places, **_attributes(sides, padding, pool)), *of_last


_convolve.defvjp(_forward, _backward)
