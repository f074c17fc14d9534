"""Convolution and dense layers that are fast on CPU, with custom gradients.

Maps are laid out CHWN, the batch innermost: (channels, height, width, batch). Every copy, shift and comparison then
runs over long contiguous vectors, and every convolution becomes a few large matrix products, which XLA does fast on
CPU. XLA's own convolutions leave the fast path there as soon as gradients or `lax.scan` are involved. Kernels are
HWIO: (height, width, channels in, channels out). All functions keep the dtype of their inputs.

`lax.optimization_barrier` marks what must be written to memory once. Otherwise XLA would fuse the producer into each of
its consumers and compute it again in every one. XLA's CPU compiler drops barriers before it fuses, unless an option
forbids it: see `supported_compiler_options`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network.pooling import AxisPadding, first_maximum, pad, window_positions

# The pass that is switched off here removes optimization barriers. It runs before fusion.
COMPILER_OPTIONS = {"xla_disable_hlo_passes": "cse_barrier_expander"}


@functools.cache
def supported_compiler_options() -> dict[str, str]:
    """`COMPILER_OPTIONS` if this version of XLA accepts them, else {}: the results are the same, only slower."""
    try:
        jax.jit(lambda x: lax.optimization_barrier(x) + 1, compiler_options=dict(COMPILER_OPTIONS))(0.0)
    except (RuntimeError, ValueError, TypeError):
        return {}
    return dict(COMPILER_OPTIONS)


def varying_like(parameter: Array, x: Array) -> Array:
    """`parameter` marked as different on each device wherever `x` is.

    Under `shard_map` a custom gradient must come out typed like its parameter; the mark makes JAX add up the devices'
    shares of the gradient behind our back. Outside `shard_map` this does nothing.
    """
    missing = tuple(jax.typeof(x).manual_axis_type.varying - jax.typeof(parameter).manual_axis_type.varying)
    return lax.pcast(parameter, missing, to="varying") if missing else parameter


def _joined(parts: Sequence[Array]) -> Array:
    """Concatenation along axis 0, written once. Without the inner barrier XLA finds the part of each element by a chain
    of comparisons: ten times slower than copying part after part."""
    return lax.optimization_barrier(jnp.concatenate(lax.optimization_barrier(list(parts)), 0))


def product_in(a: Array, b: Array) -> Array:
    """a^T b: the products of columns."""
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def product_out(a: Array, b: Array) -> Array:
    """a b^T: the products of rows."""
    return lax.dot_general(a, b, (((1,), (1,)), ((), ())))


class Last(NamedTuple):
    """What a convolution's step does to its sums of products, (filters, height, width, batch), in this order.

    bias: (filters,), or none. added: a map of the same shape, as of a shortcut, or none. rectify: whether a ReLU
    comes at the end.
    """

    bias: Array | None = None
    added: Array | None = None
    rectify: bool = False

    def of(self, y: Array) -> Array:
        """The finished map."""
        y = y if self.bias is None else y + self.bias[:, None, None, None]
        y = y if self.added is None else y + self.added.astype(y.dtype)
        return jax.nn.relu(y) if self.rectify else y


NOTHING_LAST = Last()


# --- convolution with all patches written out: for few channels, or strides ------------------------------------------


def convolve_patches(
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    padding: tuple[AxisPadding, AxisPadding],
    dilations: tuple[int, int] = (1, 1),
) -> Array:
    """Convolution as one matrix product with all patches.

    It writes every pixel as often as the kernel has places, which pays only while the channels are few (a network's
    first layer). JAX derives the gradient.

    Args:
        x: (channels, height, width, batch).
        kernel: (rows, columns, channels, filters).
        strides, padding, dilations: of the height and of the width.

    Returns:
        (filters, height out, width out, batch).
    """
    height, width, channels, filters = kernel.shape
    x = pad(pad(x, 1, *padding[0]), 2, *padding[1])
    batch = x.shape[-1]
    rows, columns = (
        (x.shape[axis + 1] - (kernel.shape[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1 for axis in (0, 1)
    )
    # Two stages of k copies each instead of one of k * k.
    shifted = _joined([window_positions(x, 2, j * dilations[1], columns, strides[1])[None] for j in range(width)])
    patches = _joined([window_positions(shifted, 2, i * dilations[0], rows, strides[0])[None] for i in range(height)])
    patches = patches.reshape(height * width * channels, rows * columns * batch)
    y = product_in(kernel.reshape(height * width * channels, filters), patches)
    return y.reshape(filters, rows, columns, batch)


# --- separable gathering: for many channels --------------------------------------------------------------------------
#
#   y[o, h, w] = sum over i, j, c of K[i, j, c, o] x[c, h + i - p, w + j - p]
#
# splits into a gathering along the width, one matrix product, and k shifted sums along the height:
#
#   a[(j, c), r, w] = x[c, r, w + j - p]                            k copies of the map instead of k * k
#   z[(i, o), r, w] = sum over j, c of K[i, j, c, o] a[(j, c), r, w]
#   y[o, h, w]      = sum over i of z[(i, o), h + i - p, w]
#
# Backwards, one stack of k shifted copies of the cotangent, G[(i, o), r, w] = g[o, r - i + p, w], gives both
#
#   dK[(i, o), (j, c)] = sum over r, w of G[(i, o), r, w] a[(j, c), r, w]    and    da = K^T G.


def convolve_separable(x: Array, kernel: Array, padding: AxisPadding) -> Array:
    """Convolution of stride 1 with patches along the width only; both axes are padded alike.

    Shapes as in `convolve_patches`.
    """
    size, _, channels, filters = kernel.shape
    matrix = kernel.transpose(0, 3, 1, 2).reshape(size * filters, size * channels)  # [(i, o), (j, c)]
    return _separable(x, varying_like(matrix, x), size, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _separable(x: Array, matrix: Array, size: int, padding: AxisPadding) -> Array:
    return _separable_forward(x, matrix, size, padding)[0]


def _separable_forward(x: Array, matrix: Array, size: int, padding: AxisPadding) -> tuple[Array, tuple[Array, Array]]:
    before, after = padding
    padded = pad(x, 2, before, after)
    width = padded.shape[2] - size + 1
    gathered = _joined([window_positions(padded, 2, j, width) for j in range(size)])
    partial = (matrix @ gathered.reshape(gathered.shape[0], -1)).reshape(size, -1, *gathered.shape[1:])
    # Row r of partial i belongs to row r - i + before of y: cut and pad each partial so that they line up, then add.
    shifted = [pad(partial[i], 1, before - i, after - (size - 1 - i)) for i in range(size)]
    return functools.reduce(jnp.add, shifted), (gathered, matrix)


def _separable_backward(
    size: int, padding: AxisPadding, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    gathered, matrix = residuals
    before, after = padding
    height = gathered.shape[1]
    # Row r of copy i is row r - i + before of the cotangent, zero beyond its ends.
    lead, trail = max(size - 1 - before, 0), max(size - 1 - after, 0)
    # `size` copies read it. Its producer (batch norm, say) must not be computed again in each copy.
    padded = pad(lax.optimization_barrier(cotangent), 1, lead, trail)
    stacked = _joined([window_positions(padded, 1, lead + before - i, height) for i in range(size)])
    flat = stacked.reshape(stacked.shape[0], -1)
    d_matrix = product_out(flat, gathered.reshape(gathered.shape[0], -1))
    d_gathered = product_in(matrix, flat).reshape(size, -1, *gathered.shape[1:])
    # Column w of copy j came from column w + j - before of x.
    shifted = [pad(d_gathered[j], 2, j - before, size - 1 - j - after) for j in range(size)]
    return functools.reduce(jnp.add, shifted), d_matrix


_separable.defvjp(_separable_forward, _separable_backward)


# --- convolution and pooling in one -----------------------------------------------------------------------------------


def convolve_and_pool(x: Array, kernel: Array, padding: AxisPadding, window: int) -> Array:
    """Convolution of stride 1, then the maximum over windows that touch but do not overlap.

    This is a convolution of stride s with s * s copies of the kernel, each shifted by one of the s * s places in the
    window. It yields the window's values side by side. All share one patch of (k + s - 1)^2 pixels, 36 for k = 5 and
    s = 2, while separate patches would write s^2 k^2 = 100. For few channels, like `convolve_patches`.

    Returns:
        (filters, height // window, width // window, batch) of the convolution's height and width.
    """
    size, _, channels, filters = kernel.shape
    places = [(a, b) for a in range(window) for b in range(window)]
    shifted = [pad(pad(kernel, 0, a, window - 1 - a), 1, b, window - 1 - b) for a, b in places]
    patch = size + window - 1
    stacked = jnp.stack(shifted, 3).reshape(patch, patch, channels, len(places) * filters)
    y = convolve_patches(x, stacked, (window, window), (padding, padding))
    return first_maximum(y.reshape(len(places), filters, *y.shape[1:]))


# --- dense layers and activations -------------------------------------------------------------------------------------


def dense(x: Array, kernel: Array) -> Array:
    """(features, batch) times a kernel of (features, units): (units, batch)."""
    return _dense(x, varying_like(kernel, x))


@jax.custom_vjp
def _dense(x: Array, kernel: Array) -> Array:
    # kernel^T x as written takes four times as long: the kernel is large, and its columns would be read one by one.
    return (lax.optimization_barrier(x.T) @ kernel).T


def _dense_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _dense(x, kernel), (x, kernel)


def _dense_backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    return kernel @ cotangent, product_out(x, cotangent)


_dense.defvjp(_dense_forward, _dense_backward)


@jax.custom_vjp
def elu(x: Array) -> Array:
    """x above zero, e^x - 1 below (Clevert et al. 2016). Keeps y only, because for x < 0 the slope e^x is y + 1."""
    return jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0)))


def _elu_forward(x: Array) -> tuple[Array, Array]:
    y = lax.optimization_barrier(elu(x))
    return y, y


def _elu_backward(y: Array, cotangent: Array) -> tuple[Array]:
    return (jnp.where(y > 0, cotangent, cotangent * (y + 1)),)


elu.defvjp(_elu_forward, _elu_backward)
