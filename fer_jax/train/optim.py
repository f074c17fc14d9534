"""Optimizers and losses by their settings, as the original frameworks compute them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fer_jax.vocabulary.settings import Adam, Loss, Optimizer, RmsProp, Sgd

KERAS_CLIP = 1e-7  # tf.keras.backend.epsilon(), by which categorical_crossentropy clips probabilities


class AdamState(NamedTuple):
    count: Array
    mean: optax.Updates
    square: optax.Updates


def scale_by_adam_epsilon_hat(b1: float, b2: float, epsilon: float) -> optax.GradientTransformation:
    """Adam with epsilon beside the root of the *uncorrected* second moment (Kingma & Ba 2015, end of section 2), which
    is what TensorFlow and Keras compute; ``optax.scale_by_adam`` adds it to the corrected one."""

    def init(params: optax.Params) -> AdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        del params
        assert isinstance(state, AdamState)
        count = state.count + 1
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mean, updates)
        square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.square, updates)
        t = count.astype(jnp.float32)
        correction = jnp.sqrt(1 - b2**t) / (1 - b1**t)
        direction = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + epsilon), mean, square)
        return direction, AdamState(count, mean, square)

    return optax.GradientTransformation(init, update)


def make_optimizer(settings: Optimizer, learning_rate: float | Array) -> optax.GradientTransformation:
    """The update rule. The rate may be a traced value, because it is applied before momentum is summed, as in the
    papers' tools. No state depends on it, so it can change from epoch to epoch."""
    if isinstance(settings, Adam):
        if settings.epsilon_hat:
            scale = scale_by_adam_epsilon_hat(settings.b1, settings.b2, settings.epsilon)
        else:
            scale = optax.scale_by_adam(settings.b1, settings.b2, settings.epsilon)
        return optax.chain(scale, optax.scale(-learning_rate))  # pyright: ignore[reportArgumentType]
    if isinstance(settings, RmsProp):
        parts = [
            optax.scale_by_rms(
                settings.decay, settings.epsilon, initial_scale=settings.initial_accumulator, eps_in_sqrt=True
            )
        ]
        nesterov = False
    else:
        assert isinstance(settings, Sgd)
        parts = []
        nesterov = settings.nesterov
    parts.append(optax.scale(-learning_rate))  # pyright: ignore[reportArgumentType]
    if settings.momentum:
        parts.append(optax.trace(settings.momentum, nesterov))
    return optax.chain(*parts)


def probabilities(logits_BK: Array, output: str, temperature: float = 1.0) -> Array:
    """The network's outputs as class weights that sum to one. output: softmax, sigmoid, or linear (treated as logits of
    a softmax). temperature: their logarithms are divided by it."""
    if temperature != 1.0:
        logarithms_BK = jax.nn.log_sigmoid(logits_BK) if output == "sigmoid" else logits_BK
        return jax.nn.softmax(logarithms_BK / temperature)
    if output == "sigmoid":
        p = jax.nn.sigmoid(logits_BK)
        return p / p.sum(-1, keepdims=True)
    return jax.nn.softmax(logits_BK)


def example_losses(loss: Loss, logits_BK: Array, labels_B: Array, output: str) -> Array:
    """Loss of each example, shape (B,), without L2. See ``settings.Loss`` for the formulas."""
    if loss.kind == "mean_squared_error":
        outputs = jax.nn.sigmoid(logits_BK) if output == "sigmoid" else jax.nn.softmax(logits_BK)
        return jnp.mean((outputs - jax.nn.one_hot(labels_B, logits_BK.shape[-1])) ** 2, axis=-1)
    if output == "sigmoid":
        p = jnp.clip(probabilities(logits_BK, output), KERAS_CLIP, 1 - KERAS_CLIP)
        return -jnp.log(jnp.take_along_axis(p, labels_B[:, None], axis=-1)[:, 0])
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits_BK, labels_B)


def l2_penalty(loss: Loss, params: optax.Params) -> Array:
    """l2 * sum of squares of the kernels, and of everything else if `l2_biases`."""
    total = jnp.zeros(())
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if loss.l2_biases or getattr(path[-1], "key", "") == "kernel":
            total = total + jnp.sum(jnp.square(leaf))
    return loss.l2 * total
