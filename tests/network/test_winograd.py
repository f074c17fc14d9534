"""Winograd's convolution is the convolution: exactly in float64, nearly in float32."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from conftest import QUICK
from hypothesis import given, settings
from jax import lax

from fer_jax.network.winograd import convolve_winograd


def reference(x, kernel, padding):
    return lax.conv_general_dilated(x, kernel, (1, 1), (padding, padding), dimension_numbers=("CHWN", "HWIO", "CHWN"))


def value_and_gradients(function, x, kernel, padding, dtype):
    with jax.enable_x64(dtype == np.float64):

        @functools.partial(jax.jit, compiler_options=QUICK)
        def all_three(x, kernel):
            value, pull = jax.vjp(lambda x, kernel: function(x, kernel, padding), x, kernel)
            return value, *pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))

        return [np.asarray(a) for a in all_three(jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))]


def maps(channels, height, width, batch, filters):
    rng = np.random.default_rng(0)
    return rng.normal(size=(channels, height, width, batch)), rng.normal(size=(3, 3, channels, filters))


@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    height=st.integers(3, 9), width=st.integers(3, 9), channels=st.integers(1, 3), batch=st.integers(1, 3),
    filters=st.integers(1, 4), before=st.integers(0, 2), after=st.integers(0, 2),
)  # fmt: skip
def test_convolve_winograd(height, width, channels, batch, filters, before, after):
    x, kernel = maps(channels, height, width, batch, filters)
    ours = value_and_gradients(convolve_winograd, x, kernel, (before, after), np.float64)
    expected = value_and_gradients(reference, x, kernel, (before, after), np.float64)
    for a, b in zip(ours, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_float32_error_is_small_on_a_wide_layer():
    x, kernel = maps(128, 12, 12, 4, 96)
    ours = value_and_gradients(convolve_winograd, x, kernel, (1, 1), np.float32)
    expected = value_and_gradients(reference, x, kernel, (1, 1), np.float64)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(b).max(), rtol=0)
