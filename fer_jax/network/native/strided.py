"""Convolution with any strides in C++, of all channels (``strided.cc``) or of each (``depthwise.cc``); for CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

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


def convolve(x: Array, kernel: Array, strides: _Pair, padding: _Padding) -> Array:
    """Convolution of all channels, or of each by itself.

    Args:
        x: (channels, height, width, batch), float32.
        kernel: (rows, columns, channels, filters), or (rows, columns, channels) for each channel by itself.
        strides, padding: of the height and of the width.

    Returns:
        (filters or channels, height out, width out, batch).
    """
    return _convolve(x, kernel, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: Array, kernel: Array, strides: _Pair, padding: _Padding) -> Array:
    rows, columns = calls.places_of((x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1]), strides, padding)
    assert x.shape[0] == kernel.shape[2]
    return _call(kernel, "convolve", (kernel.shape[-1], rows, columns, x.shape[3]), strides, padding)(x, kernel)


def _call(kernel: Array, name: str, shape: tuple[int, ...], strides: _Pair, padding: _Padding) -> Callable[..., Array]:
    way = STRIDED if kernel.ndim == 4 else DEPTHWISE
    call = jax.ffi.ffi_call(f"{way}_{name}", jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")
    return functools.partial(call, **calls.windows(strides, padding))


def _forward(x: Array, kernel: Array, strides: _Pair, padding: _Padding) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel, strides, padding), (x, kernel)


def _backward(
    strides: _Pair, padding: _Padding, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = residuals
    of_x = _call(kernel, "input_gradient", x.shape, strides, padding)
    of_kernel = _call(kernel, "kernel_gradient", kernel.shape, strides, padding)
    return of_x(cotangent, kernel), of_kernel(x, cotangent)


_convolve.defvjp(_forward, _backward)
