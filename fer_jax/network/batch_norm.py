"""Batch normalisation (Ioffe & Szegedy 2015) in pure JAX, in either layout."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax


class Rows(NamedTuple):
    """What batch norm must know about a batch in training.

    weight_B: 1 for examples, 0 for rows that only fill up the batch; None if all are examples. shift: (channels,), a
    guess of the mean: the running average. axis_name: the `shard_map` axis over which the batch is spread, if any.
    """

    weight_B: Array | None
    shift: Array
    axis_name: str | None


def along(x: Array, vector: Array, axis: int) -> Array:
    """`vector` shaped so that it broadcasts along one axis of `x`."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return vector.reshape(shape)


def factor_and_offset(scale: Array, bias: Array, mean: Array, var: Array, epsilon: float) -> tuple[Array, Array]:
    """The factor and the offset of a map, per channel."""
    factor = scale * lax.rsqrt(var + epsilon)
    return factor, bias - mean * factor


def normalise(x: Array, factor: Array, offset: Array, axis: int) -> Array:
    """factor x + offset per channel, computed in float32 and returned in x's dtype."""
    return (_widened(x) * along(x, factor, axis) + along(x, offset, axis)).astype(x.dtype)


def normalise_batch(
    x: Array, scale: Array, bias: Array, epsilon: float, rows: Rows, *, channel_axis: int, batch_axis: int
) -> tuple[Array, Array, Array]:
    """Batch norm in training: the map, and mean and biased variance per channel over the rows of weight 1."""
    # A bfloat16 map is widened once. If each use widened it, the parts of its gradient, which nearly cancel, would each
    # be rounded before they are added up.
    given, x = x.dtype, _widened(x)
    shifted = x - along(x, lax.stop_gradient(rows.shift), channel_axis)
    count = jnp.asarray(x.size // x.shape[channel_axis], x.dtype)
    weighted = shifted
    if rows.weight_B is not None:
        weight = along(x, rows.weight_B.astype(x.dtype), batch_axis)
        weighted = shifted * weight
        count = jnp.sum(weight) * (count / weight.size)
    others = [i for i in range(x.ndim) if i != channel_axis % x.ndim]
    mean, var, _ = statistics(jnp.sum(weighted, others), jnp.sum(weighted * shifted, others), count, rows)
    factor, offset = factor_and_offset(scale, bias, mean, var, epsilon)
    return normalise(x, factor, offset, channel_axis).astype(given), mean, var


def statistics(total: Array, of_squares: Array, count: Array, rows: Rows) -> tuple[Array, Array, Array]:
    """Mean, biased variance and count over all devices, from this device's sums of x - shift and (x - shift)^2.

    The variance as E[(x - s)^2] - E[x - s]^2 needs one pass over the map. It is exact for any s, and with s near the
    mean the difference does not cancel.
    """
    sums = total, of_squares, count
    if rows.axis_name is not None:
        sums = lax.psum(sums, rows.axis_name)
    total, of_squares, count = sums
    offset = total / count
    return rows.shift + offset, jnp.maximum(of_squares / count - offset * offset, 0), count


def _widened(x: Array) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
