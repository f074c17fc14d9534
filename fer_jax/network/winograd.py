"""Convolution with 3 x 3 kernels by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin & Gray 2016, arXiv:1509.09308).

A tile of 2 x 2 outputs depends on 4 x 4 pixels. Transformed, its 16 values are 16 separate products, summed over
channels: 16 multiplications per tile and pair of channels in place of 2 * 2 * 9 = 36. Along one axis:

    y = A^T [(G g) * (B^T d)]

    d: 4 pixels   B^T d = (d0 - d2,  d1 + d2,  d2 - d1,  d1 - d3)
    g: 3 weights  G g   = (g0,  (g0 + g1 + g2) / 2,  (g0 - g1 + g2) / 2,  g2)
    m: products   A^T m = (m0 + m1 + m2,  m1 - m2 - m3)

In two dimensions each transform is applied along the height and along the width. The transforms cost additions in
proportion to the channels, the products multiplications in proportion to their square, so this pays for wide layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network.convolution import product_in, product_out, varying_like
from fer_jax.network.pooling import AxisPadding, pad, window_positions

Transform = Callable[[Sequence[Array]], list[Array]]
_HEIGHT, _WIDTH = 1, 2


def _pixels(d: Sequence[Array]) -> list[Array]:  # B^T
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _pixels_transposed(v: Sequence[Array]) -> list[Array]:  # B
    return [v[0], v[1] - v[2] + v[3], v[1] + v[2] - v[0], -v[3]]


def _weights(g: Sequence[Array]) -> list[Array]:  # G
    return [g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]]


def _outputs(m: Sequence[Array]) -> list[Array]:  # A^T
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _outputs_transposed(y: Sequence[Array]) -> list[Array]:  # A
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]


Grid = list[list[Array]]  # [place along the height][place along the width]


def _both_axes(transform: Transform, grid: Grid) -> Grid:
    """`transform` along the width, then along the height."""
    rows = [transform(row) for row in grid]
    columns = [transform(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def convolve_winograd(x: Array, kernel: Array, padding: AxisPadding) -> Array:
    """Convolution of stride 1 with a 3 x 3 kernel; both axes are padded alike.

    In float32 its rounding error is a few times that of a direct convolution.

    Args:
        x: (channels, height, width, batch).
        kernel: (3, 3, channels, filters).

    Returns:
        (filters, height out, width out, batch).
    """
    before, after = padding
    height, width = (x.shape[axis] + before + after - 2 for axis in (_HEIGHT, _WIDTH))
    # An odd number of outputs is computed as an even number and cut.
    x = pad(pad(x, _HEIGHT, before, after + height % 2), _WIDTH, before, after + width % 2)
    grid = _both_axes(_weights, [[kernel[i, j] for j in range(3)] for i in range(3)])
    weights = [varying_like(weight, x) for row in grid for weight in row]
    return _convolve_tiles(x, weights)[:, :height, :width]


@jax.custom_vjp
def _convolve_tiles(x: Array, weights: list[Array]) -> Array:
    """An even map from a padded one, with the 16 transformed weights, each (channels, filters)."""
    return _convolve_tiles_forward(x, weights)[0]


def _convolve_tiles_forward(x: Array, weights: list[Array]) -> tuple[Array, tuple[list[Array], list[Array]]]:
    channels, height, width, batch = x.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    x = lax.optimization_barrier(x)
    # Along the width first, for all rows of the map: every row serves two rows of tiles.
    strips = lax.optimization_barrier(_pixels([window_positions(x, _WIDTH, j, columns, 2) for j in range(4)]))
    tiles = [_pixels([window_positions(strip, _HEIGHT, i, rows, 2) for i in range(4)]) for strip in strips]
    pixels = [tiles[j][i].reshape(channels, -1) for i in range(4) for j in range(4)]
    products = [
        product_in(weight, v).reshape(-1, rows, columns, batch) for weight, v in zip(weights, pixels, strict=True)
    ]
    outputs = _both_axes(_outputs, [products[4 * i : 4 * i + 4] for i in range(4)])
    return _interleave(lax.optimization_barrier(outputs)), (pixels, weights)


def _convolve_tiles_backward(residuals: tuple[list[Array], list[Array]], cotangent: Array) -> tuple[Array, list[Array]]:
    pixels, weights = residuals
    # Sixteen transforms read it. Its producer (batch norm, say) must not be computed again in each.
    cotangent = lax.optimization_barrier(cotangent)
    filters, height, width, batch = cotangent.shape
    rows, columns = height // 2, width // 2
    outputs = [
        [window_positions(window_positions(cotangent, _HEIGHT, i, rows, 2), _WIDTH, j, columns, 2) for j in (0, 1)]
        for i in (0, 1)
    ]
    grid = _both_axes(_outputs_transposed, outputs)
    products = lax.optimization_barrier([product.reshape(filters, -1) for row in grid for product in row])
    d_weights = [product_out(v, product) for v, product in zip(pixels, products, strict=True)]
    d_pixels = [
        (weight @ product).reshape(-1, rows, columns, batch) for weight, product in zip(weights, products, strict=True)
    ]
    by_column = [[d_pixels[4 * i + j] for i in range(4)] for j in range(4)]
    strips = [_overlap(_pixels_transposed(column), _HEIGHT) for column in by_column]  # [j][even or odd row]
    quarters = [_overlap(_pixels_transposed([strip[parity] for strip in strips]), _WIDTH) for parity in (0, 1)]
    return _interleave(lax.optimization_barrier(quarters)), d_weights


def _overlap(d: Sequence[Array], axis: int) -> list[Array]:
    """Sums of overlapping tiles along one axis: pixel 2 t + i of the map is pixel i of tile t and i + 2 of tile t - 1.
    Returns the even pixels and the odd ones."""
    return [pad(d[i], axis, 0, 1) + pad(d[i + 2], axis, 1, 0) for i in (0, 1)]


def _interleave(quarters: Grid) -> Array:
    """A map from its pixels at even and odd rows and columns."""
    channels, rows, columns, batch = quarters[0][0].shape
    shape = (channels, rows, 2, columns, 2, batch)

    def select(axis: int, even: Array, odd: Array) -> Array:
        return jnp.where(lax.broadcasted_iota(jnp.int32, shape, axis) == 0, even, odd)

    spread = [[lax.broadcast_in_dim(q, shape, (0, 1, 3, 5)) for q in row] for row in quarters]
    mixed = select(2, select(4, *spread[0]), select(4, *spread[1]))
    return mixed.reshape(channels, 2 * rows, 2 * columns, batch)


_convolve_tiles.defvjp(_convolve_tiles_forward, _convolve_tiles_backward)
