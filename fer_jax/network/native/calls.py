"""The C++ library made known to JAX: the names of its calls, and what they have in common."""

from __future__ import annotations

import functools
import warnings

import jax
import jax.numpy as jnp

from fer_jax.network.native.compiler import NativeError
from fer_jax.network.native.library import library, switched_off

# The ways to convolve, by the names of their calls.
DIRECT, STRIPS, WINOGRAD = "fer", "fer_strips", "fer_winograd"
POOLING_WINDOWS = (1, 2, 3)

_TARGETS = [
    *(
        f"{way}_{name}"
        for way in (DIRECT, STRIPS, WINOGRAD)
        for name in ("convolve", "input_gradient", "kernel_gradient")
    ),
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


def pooled(shape: tuple[int, ...], keep_places: bool) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The outputs of a call with pooling: the values, and their places in the windows, or one element instead."""
    values = jax.ShapeDtypeStruct(shape, jnp.float32)
    return values, jax.ShapeDtypeStruct(shape if keep_places else (1,), jnp.uint8)
