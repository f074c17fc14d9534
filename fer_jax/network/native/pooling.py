"""Max pooling in C++ with windows that may overlap (``pooling.cc``), and its gradient; for CPU."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fer_jax.network.native import calls
from fer_jax.network.pooling import AxisPadding

_Pair = tuple[int, int]
_Padding = tuple[AxisPadding, AxisPadding]


def suits(x: Array, window: _Pair, strides: _Pair, padding: _Padding) -> bool:
    """Whether `max_pool` can take these: float32, small windows and strides, and pixels of the map in each window."""
    return x.dtype == jnp.float32 and calls.takes_windows((x.shape[1], x.shape[2]), window, strides, padding)


def max_pool(x: Array, window: _Pair, strides: _Pair, padding: _Padding) -> Array:
    """Maximum over windows; of equal values the first in row-major order takes the whole gradient.

    Args:
        x: (channels, height, width, batch), float32.
        window, strides, padding: of the height and of the width.
    """
    return _max_pool(x, window, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: Array, window: _Pair, strides: _Pair, padding: _Padding) -> Array:
    return _call(x, window, strides, padding, keep_places=False)[0]


def _call(x: Array, window: _Pair, strides: _Pair, padding: _Padding, *, keep_places: bool) -> tuple[Array, Array]:
    """(values, places): `places` is the position of each maximum in its window. It has one element if not kept."""
    shape = (x.shape[0], *calls.places_of((x.shape[1], x.shape[2]), window, strides, padding), x.shape[3])
    call = jax.ffi.ffi_call("fer_max_pool", calls.pooled(shape, keep_places), vmap_method="sequential")
    values, places = call(x, **attributes(window, strides, padding))
    return values, places


def gradient(
    cotangent: Array, places: Array, shape: tuple[int, ...], window: _Pair, strides: _Pair, padding: _Padding
) -> Array:
    """The cotangent of the map of this shape, float32. places: of each maximum in its window."""
    call = jax.ffi.ffi_call("fer_max_pool_gradient", jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")
    return call(cotangent, places, **attributes(window, strides, padding))


def attributes(window: _Pair, strides: _Pair, padding: _Padding) -> dict[str, np.int64]:
    sides = {"height": np.int64(window[0]), "width": np.int64(window[1])}
    return sides | calls.windows(strides, padding)


def _forward(x: Array, window: _Pair, strides: _Pair, padding: _Padding) -> tuple[Array, tuple[Array, Array]]:
    values, places = _call(x, window, strides, padding, keep_places=True)
    # The shape of x, as an array of no bytes: residuals are arrays.
    return values, (places, jnp.zeros((*x.shape, 0), jnp.float32))


def _backward(
    window: _Pair, strides: _Pair, padding: _Padding, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array]:
    places, like = residuals
    return (gradient(cotangent, places, like.shape[:-1], window, strides, padding),)


_max_pool.defvjp(_forward, _backward)
