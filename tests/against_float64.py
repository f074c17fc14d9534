"""A routine in float32 held against another in float64: its value, and the gradients of all its arguments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from conftest import QUICK


def value_and_gradients(function, arguments, dtype: type[np.floating] = np.float32):
    """[value, a gradient for each argument], for a cotangent that differs from place to place."""
    with jax.enable_x64(dtype == np.float64):

        @functools.partial(jax.jit, compiler_options=QUICK)
        def all_of(*arguments):
            value, pull = jax.vjp(function, *arguments)
            return value, *pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))

        return [np.asarray(a) for a in all_of(*(jnp.asarray(a, dtype) for a in arguments))]


def assert_alike(ours, plain, arguments, error):
    """error: allowed, as a share of the largest value, or of 1 if that is less."""
    found, expected = (value_and_gradients(f, arguments, t) for f, t in ((ours, np.float32), (plain, np.float64)))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=error * max(1.0, float(np.abs(b).max())))
