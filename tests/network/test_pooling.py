"""Maxima and their gradients against NumPy, window by window."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICK
from hypothesis import given, settings

from fer_jax.network import pooling
from fer_jax.vocabulary.layers import same_padding

sizes = st.integers(5, 11)


def value_and_gradient(function, x):
    """The value, and the gradient of its product with the cosines 1, cos 1, cos 2 ..., in float64."""
    with jax.enable_x64(True):

        @functools.partial(jax.jit, compiler_options=QUICK)
        def both(x):
            value, pull = jax.vjp(function, x)
            return value, pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))[0]

        return [np.asarray(a) for a in both(jnp.asarray(x, jnp.float64))]


def test_first_of_equals_takes_the_gradient():
    candidates = np.array([[1.0, 3.0, 0.0], [2.0, 3.0, 0.0], [2.0, 1.0, 0.0]])
    y, slope = value_and_gradient(pooling.first_maximum, candidates)
    assert y.tolist() == [2.0, 3.0, 0.0]
    assert (slope != 0).tolist() == [[False, True, True], [True, False, False], [False, False, False]]
    np.testing.assert_allclose(slope.sum(0), np.cos([0.0, 1.0, 2.0]))


def pool_by_loops(x, cotangent, window, stride, padding):
    """Maximum and gradient, window by window; `argmax` takes the first in row-major order."""
    padded = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-np.inf)
    y, d_padded = np.zeros_like(cotangent), np.zeros_like(padded)
    for c, h, w, n in np.ndindex(*y.shape):
        rows, columns = slice(h * stride, h * stride + window), slice(w * stride, w * stride + window)
        block = padded[c, rows, columns, n]
        y[c, h, w, n] = block.max()
        i, j = np.unravel_index(block.argmax(), block.shape)
        d_padded[c, h * stride + i, w * stride + j, n] += cotangent[c, h, w, n]
    (top, _), (left, _) = padding
    return y, d_padded[:, top : top + x.shape[1], left : left + x.shape[2]]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    height=sizes, width=sizes, window=st.integers(1, 5), stride=st.integers(1, 5), same=st.booleans(),
    values=st.sampled_from([2, 3, 1000]),
)  # fmt: skip
def test_max_pool(height, width, window, stride, same, values):
    """Few different values make many ties; windows overlap, tile the map, or leave gaps."""
    rows, columns = (same_padding(n, window, stride) if same else (0, 0) for n in (height, width))
    pads = (rows, columns)
    x = np.random.default_rng(height).integers(values, size=(2, height, width, 3)).astype(np.float64)
    y, d_x = value_and_gradient(lambda x: pooling.max_pool(x, (window, window), (stride, stride), pads), x)
    cotangent = np.cos(np.arange(y.size, dtype=np.float64)).reshape(y.shape)
    expected_y, expected_d_x = pool_by_loops(x, cotangent, window, stride, pads)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_allclose(d_x, expected_d_x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [2, 4])
def test_max_pool_does_not_hide_nan(window):
    x = jnp.zeros((1, 8, 8, 1)).at[0, 5, 2, 0].set(jnp.nan)
    y = np.asarray(pooling.max_pool(x, (window, window), (window, window), ((0, 0), (0, 0))))
    assert np.isnan(y[0, 5 // window, 2 // window, 0])
    assert np.isnan(y).sum() == 1
