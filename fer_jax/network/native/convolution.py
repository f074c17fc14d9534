"""Convolution and max pooling of a map in C++, and its gradients; for CPU.

Three ways to convolve: directly (``convolution.cc``), and by minimal filtering along one axis (``strips.cc``) or along
both (``winograd.cc``).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fer_jax.network.convolution import NOTHING_LAST, Last
from fer_jax.network.native import calls
from fer_jax.network.native.calls import DIRECT, POOLING_WINDOWS, STRIPS, WINOGRAD
from fer_jax.network.pooling import AxisPadding

KERNEL_SIZES = (1, 3, 5, 7)

# The three ways to convolve; the first suitable one is used. The two with minimal filtering save products. The numbers,
# by kernel size, say from how many channels, in and out, their transforms pay: for maps (forward, and the gradient of
# the input) and for the gradient of the kernel.
_CHANNELS_FROM = {WINOGRAD: {3: 16}, STRIPS: {3: 2, 5: 2}}
_GRADIENT_CHANNELS_FROM = {WINOGRAD: {3: 32}, STRIPS: {3: 2, 5: 2}}
# The pooling windows that fit into a strip's or tile's output, by the kernel's size.
_WINDOWS = {3: (1, 2, 3), 5: (1, 2)}


def suits(x: Array, kernel: Array, padding: AxisPadding, window: int) -> bool:
    """Whether `convolve` can take these: float32, loops written for this kernel size and window, and no more padding
    than a kernel at the border needs."""
    size = kernel.shape[0]
    known = size in KERNEL_SIZES and window in POOLING_WINDOWS and 0 <= min(padding) <= max(padding) < size
    return x.dtype == kernel.dtype == jnp.float32 and known and calls.available()


def convolve(x: Array, kernel: Array, padding: AxisPadding, window: int = 1, last: Last = NOTHING_LAST) -> Array:
    """Convolution of stride 1, then the maximum over windows that touch but do not overlap (1: none), then `last`.

    The first of equal maxima takes the gradient. An incomplete window at the border is left out.

    Args:
        x: (channels, height, width, batch), float32.
        kernel: (k, k, channels, filters), float32.
        padding: before and after, of the height and of the width; less than k each.
        last: float32, of the shape that is returned.

    Returns:
        (filters, height // window, width // window, batch) of the convolution's height and width.
    """
    calls.require()
    return _convolve(x, kernel, *calls.added_last(kernel, last), padding, window, last.rectify)


def _way(kernel: Array, channels_from: dict[str, dict[int, int]], window: int = 1) -> str:
    """The way that suits a kernel and the pooling after it."""
    size, _, *channels = kernel.shape
    if window in _WINDOWS.get(size, ()):
        for way, least in channels_from.items():
            if size in least and min(channels) >= least[size]:
                return way
    return DIRECT


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _convolve(
    x: Array, kernel: Array, bias: Array, added: Array, padding: AxisPadding, window: int, rectify: bool
) -> Array:
    return _call(x, kernel, (bias, added), padding, window, rectify, keep_places=False)[0]


def _call(
    x: Array,
    kernel: Array,
    last: tuple[Array, Array],
    padding: AxisPadding,
    window: int,
    rectify: bool,
    *,
    keep_places: bool,
) -> tuple[Array, Array]:
    """(values, places): `places` is the position of each maximum in its window. It has one element if not kept."""
    size, _, channels, filters = kernel.shape
    grown = sum(padding) - size + 1
    shape = (filters, (x.shape[1] + grown) // window, (x.shape[2] + grown) // window, x.shape[3])
    assert channels == x.shape[0] and min(shape) > 0
    target = f"{_way(kernel, _CHANNELS_FROM, window)}_convolve"
    call = jax.ffi.ffi_call(target, calls.pooled(shape, keep_places and window > 1), vmap_method="sequential")
    values, places = call(x, kernel, *last, **_attributes(padding, window), rectify=np.int64(rectify))
    return values, places


def _attributes(padding: AxisPadding, window: int) -> dict[str, np.int64]:
    return {"before": np.int64(padding[0]), "after": np.int64(padding[1]), "window": np.int64(window)}


def _forward(
    x: Array, kernel: Array, bias: Array, added: Array, padding: AxisPadding, window: int, rectify: bool
) -> tuple[Array, tuple[Array, ...]]:
    y, places = _call(x, kernel, (bias, added), padding, window, rectify, keep_places=True)
    return y, (x, kernel, places, y, added)


def _backward(
    padding: AxisPadding, window: int, rectify: bool, residuals: tuple[Array, ...], cotangent: Array
) -> tuple[Array, ...]:
    x, kernel, places, y, added = residuals
    cotangent, of_last = calls.last_gradients(cotangent, y, added, rectify)
    attributes = _attributes(padding, window)
    name = f"{_way(kernel, _GRADIENT_CHANNELS_FROM)}_kernel_gradient"
    of_kernel = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(kernel.shape, kernel.dtype), vmap_method="sequential")
    of_x = _input_gradient(cotangent, places, kernel, x.shape, padding, window)
    return of_x, of_kernel(x, cotangent, places, **attributes), *of_last


def input_gradient(cotangent: Array, kernel: Array, shape: tuple[int, ...], padding: AxisPadding) -> Array:
    """The gradient of the input of this shape, float32, where nothing was pooled."""
    return _input_gradient(cotangent, jnp.zeros(1, jnp.uint8), kernel, shape, padding, 1)


def _input_gradient(
    cotangent: Array, places: Array, kernel: Array, shape: tuple[int, ...], padding: AxisPadding, window: int
) -> Array:
    name = f"{_way(kernel, _CHANNELS_FROM)}_input_gradient"
    call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(shape, cotangent.dtype), vmap_method="sequential")
    return call(cotangent, places, kernel, **_attributes(padding, window))


_convolve.defvjp(_forward, _backward)
