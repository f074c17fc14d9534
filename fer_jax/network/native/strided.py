"""Convolution with any strides in C++, of all channels (``strided.cc``) or of each (``depthwise.cc``); for CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fer_jax.network.convolution import NOTHING_LAST, Last
from fer_jax.network.native import calls
from fer_jax.network.native.calls import DEPTHWISE, STRIDED
from fer_jax.network.pooling import AxisPadding

_Pair = tuple[int, int]
_Padding = tuple[AxisPadding, AxisPadding]
_DEPTHWISE_SIZES = (3, 5, 7)


def suits(x: Array, kernel: Array, strides: _Pair, padding: _Padding) -> bool:
    """Whether `convolve` can take these: float32, a small kernel, small strides, no more padding than the border needs.
    A kernel of three axes is a depthwise one, for which there are loops for some sizes only."""
    height, width = kernel.shape[:2]
    known = kernel.ndim == 4 or (height == width and height in _DEPTHWISE_SIZES)
    takes = known and x.dtype == kernel.dtype == jnp.float32
    return takes and calls.takes_windows((x.shape[1], x.shape[2]), (height, width), strides, padding)


def convolve(x: Array, kernel: Array, strides: _Pair, padding: _Padding, last: Last = NOTHING_LAST) -> Array:
    """Convolution of all channels, or of each by itself, then `last`.

    Args:
        x: (channels, height, width, batch), float32.
        kernel: (rows, columns, channels, filters), or (rows, columns, channels) for each channel by itself.
        strides, padding: of the height and of the width.
        last: float32, of the shape that is returned.

    Returns:
        (filters or channels, height out, width out, batch).
    """
    calls.require()
    return _convolve(x, kernel, *calls.added_last(kernel, last), strides, padding, last.rectify)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _convolve(
    x: Array, kernel: Array, bias: Array, added: Array, strides: _Pair, padding: _Padding, rectify: bool
) -> Array:
    rows, columns = calls.places_of((x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1]), strides, padding)
    assert x.shape[0] == kernel.shape[2]
    call = _call(kernel, "convolve", (kernel.shape[-1], rows, columns, x.shape[3]), strides, padding)
    return call(x, kernel, bias, added, rectify=np.int64(rectify))


def _call(kernel: Array, name: str, shape: tuple[int, ...], strides: _Pair, padding: _Padding) -> Callable[..., Array]:
    way = STRIDED if kernel.ndim == 4 else DEPTHWISE
    call = jax.ffi.ffi_call(f"{way}_{name}", jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")
    return functools.partial(call, **calls.windows(strides, padding))


def _forward(
    x: Array, kernel: Array, bias: Array, added: Array, strides: _Pair, padding: _Padding, rectify: bool
) -> tuple[Array, tuple[Array, ...]]:
    y: Array = _convolve(x, kernel, bias, added, strides, padding, rectify)
    return y, (x, kernel, y, added)


def _backward(
    strides: _Pair, padding: _Padding, rectify: bool, residuals: tuple[Array, ...], cotangent: Array
) -> tuple[Array, ...]:
    x, kernel, y, added = residuals
    cotangent, of_last = calls.last_gradients(cotangent, y, added, rectify)
    of_x = _call(kernel, "input_gradient", x.shape, strides, padding)
    of_kernel = _call(kernel, "kernel_gradient", kernel.shape, strides, padding)
    return of_x(cotangent, kernel), of_kernel(x, cotangent), *of_last


_convolve.defvjp(_forward, _backward)
