"""Flax modules as a user of the suite writes them, for the tests of own layers."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp


class Gate(nn.Module):
    """Each channel times a trained factor, and noise in training."""

    start: float = 1.0

    @nn.compact
    def __call__(self, x, train):
        factor = self.param("factor", nn.initializers.constant(self.start), (x.shape[-1],))
        average = self.variable("batch_stats", "average", jnp.zeros, (x.shape[-1],))
        if train and not self.is_initializing():
            average.value = 0.9 * average.value + 0.1 * x.mean(tuple(range(x.ndim - 1)))
        return x * factor


class Halves(nn.Module):
    """Half the channels, by a dense layer at each place."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(x.shape[-1] // 2)(x)


def not_a_module():
    return None
