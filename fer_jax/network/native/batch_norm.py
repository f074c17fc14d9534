"""Batch normalisation of a map with the pooling and the ReLU after it, in C++ (``batch_norm.cc``); for CPU.

XLA reads and writes the map about ten times for batch norm, pooling and their gradient. The code here reads it twice
for the values and twice for the gradient, and writes only the pooled map and the gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fer_jax.network.batch_norm import Rows, factor_and_offset, statistics
from fer_jax.network.native import calls


def suits(x: Array, window: int) -> bool:
    """Whether the functions here can take a map: float32, four axes, and a known window."""
    return x.ndim == 4 and x.dtype == jnp.float32 and window in calls.POOLING_WINDOWS and calls.available()


def normalise(x: Array, factor: Array, offset: Array, window: int, rectify: bool = False) -> Array:
    """factor x + offset per channel, then the maximum over windows that touch but do not overlap (1: none), and a ReLU
    if `rectify`.

    For evaluation: it has no gradient.

    Args:
        x: (channels, height, width, batch), float32.
        factor, offset: (channels,).

    Returns:
        (channels, height // window, width // window, batch).
    """
    return _normalise(x, factor, offset, window, rectify, keep_places=False)[0]


def normalise_batch(
    x: Array, scale: Array, bias: Array, epsilon: float, rows: Rows, window: int, rectify: bool = False
) -> tuple[Array, Array, Array]:
    """Batch norm in training, then pooling and ReLU as in `normalise`; the first of equal maxima takes the gradient.

    Args:
        x: (channels, height, width, batch), float32.
        scale, bias: (channels,).

    Returns:
        The pooled map, and mean and biased variance per channel over the rows of weight 1. No gradient flows through
        mean and variance except the map's own.
    """
    weight_B = jnp.ones(x.shape[-1], x.dtype) if rows.weight_B is None else rows.weight_B
    return _normalise_batch(x, scale, bias, weight_B, rows.shift, _Step(epsilon, window, rectify, rows.axis_name))


class _Step(NamedTuple):
    """What is the same in every call of a step."""

    epsilon: float
    window: int
    rectify: bool
    axis: str | None

    @property
    def attributes(self) -> dict[str, np.int64]:
        return {"window": np.int64(self.window), "rectify": np.int64(self.rectify)}


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _normalise_batch(
    x: Array, scale: Array, bias: Array, weight_B: Array, shift: Array, step: _Step
) -> tuple[Array, Array, Array]:
    return _forward(x, scale, bias, weight_B, shift, step)[0]


def _forward(
    x: Array, scale: Array, bias: Array, weight_B: Array, shift: Array, step: _Step
) -> tuple[tuple[Array, Array, Array], tuple[Array, ...]]:
    total, of_squares = _sums("fer_moments", x.shape[0])(x, shift, weight_B)
    count = jnp.sum(weight_B) * (x.shape[1] * x.shape[2])
    mean, var, count = statistics(total, of_squares, count, Rows(weight_B, shift, step.axis))
    factor, offset = factor_and_offset(scale, bias, mean, var, step.epsilon)
    y, places = _normalise(x, factor, offset, step.window, step.rectify, keep_places=True)
    return (y, mean, var), (x, places, mean, lax.rsqrt(var + step.epsilon), scale, weight_B, count, offset)


def _backward(
    step: _Step,
    residuals: tuple[Array, ...],
    cotangents: tuple[Array, Array, Array],
) -> tuple[Array, ...]:
    """Let g be the normalised map's cotangent, u the normalised map before scale and bias, and n rows times pixels:

    d bias = sum g, d scale = sum g u, dx = scale / deviation (g - d bias / n - u d scale / n)

    (Ioffe & Szegedy 2015, section 3). The sums in dx are over all devices, as the statistics are. The step itself adds
    up those of scale and bias.
    """
    x, places, mean, inverse, scale, weight_B, count, offset = residuals
    cotangent = cotangents[0]
    factor = scale * inverse
    sums = _sums("fer_normalise_sums", x.shape[0])
    of_g, of_g_x = sums(x, mean, cotangent, places, factor, offset, **step.attributes)
    own = of_g, of_g_x * inverse
    d_bias, d_scale = own if step.axis is None else lax.psum(own, step.axis)
    constant, slope = -factor * d_bias / count, -factor * inverse * d_scale / count
    of_x = jax.ffi.ffi_call("fer_normalise_gradient", jax.ShapeDtypeStruct(x.shape, x.dtype), vmap_method="sequential")
    dx = of_x(x, mean, weight_B, cotangent, places, factor, offset, constant, slope, **step.attributes)
    return dx, own[1], own[0], jnp.zeros_like(weight_B), jnp.zeros_like(mean)


_normalise_batch.defvjp(_forward, _backward)


def _sums(target: str, channels: int) -> Callable[..., Array]:
    """A call that gives two sums per channel."""
    return jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((2, channels), jnp.float32), vmap_method="sequential")


def _normalise(
    x: Array, factor: Array, offset: Array, window: int, rectify: bool, *, keep_places: bool
) -> tuple[Array, Array]:
    """(values, places): `places` is the position of each maximum in its window. It has one element if not kept."""
    channels, height, width, batch = x.shape
    shape = (channels, height // window, width // window, batch)
    outputs = calls.pooled(shape, keep_places and window > 1)
    call = jax.ffi.ffi_call("fer_normalise", outputs, vmap_method="sequential")
    values, places = call(x, factor, offset, window=np.int64(window), rectify=np.int64(rectify))
    return values, places
