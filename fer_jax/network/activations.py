"""Functions of single values, by the names that specs use."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

# GELU exactly, as Keras and PyTorch compute it by default; JAX's own default is an approximation.
ACTIVATIONS = {
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "swish": jax.nn.swish,
}
