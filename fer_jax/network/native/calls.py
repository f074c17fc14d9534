"""The C++ library made known to JAX: the names of its calls, and what they have in common."""

from __future__ import annotations

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fer_jax.network.convolution import Last
from fer_jax.network.native.compiler import NativeError
from fer_jax.network.native.library import library, switched_off
from fer_jax.network.pooling import AxisPadding

# The ways to convolve, by the names of their calls: those of stride 1, and those of any strides.
DIRECT, STRIPS, WINOGRAD = "fer", "fer_strips", "fer_winograd"
DEPTHWISE, STRIDED = "fer_depthwise", "fer_strided"
POOLING_WINDOWS = (1, 2, 3)
# Windows of any strides: their largest area, whose places are numbered in a byte, and their largest stride.
_MOST_PLACES, _MOST_STEPS = 256, 8

_TARGETS = [
    *(
        f"{way}_{name}"
        for way in (DIRECT, STRIPS, WINOGRAD, DEPTHWISE, STRIDED)
        for name in ("convolve", "input_gradient", "kernel_gradient")
    ),
    *("fer_pooled_convolve", "fer_pooled_kernel_gradient"),
    *("fer_max_pool", "fer_max_pool_gradient"),
    *("fer_moments", "fer_normalise", "fer_normalise_sums", "fer_normalise_gradient"),
]


@functools.cache
def available() -> bool:
    """Whether the library can be used. The first call waits until it is compiled or loaded, and warns if it cannot be,
    or cannot be kept. Without a warning it is only switched off."""
    if switched_off():
        return False
    try:
        loaded = library()
        for target in _TARGETS:
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(loaded.library, target)), platform="cpu")
    except NativeError as error:
        warnings.warn(f"convolutions run in pure JAX, more slowly: {error}", stacklevel=2)
        return False
    if loaded.note:
        warnings.warn(loaded.note, stacklevel=2)
    return True


def require() -> None:
    """Raises NativeError if the library cannot be used."""
    if not available():
        raise NativeError("the native library is not available here")


def pooled(shape: tuple[int, ...], keep_places: bool) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The outputs of a call with pooling: the values, and their places in the windows, or one element instead."""
    values = jax.ShapeDtypeStruct(shape, jnp.float32)
    return values, jax.ShapeDtypeStruct(shape if keep_places else (1,), jnp.uint8)


def added_last(kernel: Array, last: Last) -> tuple[Array, Array]:
    """What a convolution's call adds last: a bias per filter of a kernel (..., filters), zeros if there is none; and
    a map, one element if there is none."""
    bias = jnp.zeros(kernel.shape[-1], jnp.float32) if last.bias is None else last.bias
    return bias, jnp.zeros(1, jnp.float32) if last.added is None else last.added


def last_gradients(cotangent: Array, y: Array, added: Array, rectify: bool) -> tuple[Array, tuple[Array, Array]]:
    """The cotangent of the sums of products, from that of a call's outcome y, and the gradients of the bias and of the
    map that it added last."""
    if rectify:
        cotangent = jnp.where(y > 0, cotangent, jnp.zeros((), cotangent.dtype))
    return cotangent, (jnp.sum(cotangent, (1, 2, 3)), cotangent if added.ndim == 4 else jnp.zeros_like(added))


def takes_windows(
    map_sides: tuple[int, int],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[AxisPadding, AxisPadding],
) -> bool:
    """Whether the calls with strides take windows of these sides: each must hold a pixel of the map."""
    small = window[0] * window[1] <= _MOST_PLACES and max(strides) <= _MOST_STEPS
    inside = all(
        0 <= min(pair) <= max(pair) < size and length + sum(pair) >= size
        for length, size, pair in zip(map_sides, window, padding, strict=True)
    )
    return small and inside and available()


def places_of(
    map_sides: tuple[int, int],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[AxisPadding, AxisPadding],
) -> tuple[int, int]:
    """How many windows lie along the height and along the width."""
    rows, columns = (
        (length + sum(pair) - size) // stride + 1
        for length, size, stride, pair in zip(map_sides, window, strides, padding, strict=True)
    )
    return rows, columns


def windows(strides: tuple[int, int], padding: tuple[AxisPadding, AxisPadding]) -> dict[str, np.int64]:
    """The attributes of a call with strides."""
    numbers = {"top": padding[0][0], "left": padding[1][0], "down": strides[0], "across": strides[1]}
    return {name: np.int64(number) for name, number in numbers.items()}
