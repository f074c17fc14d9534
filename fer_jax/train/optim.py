"""Update rules by their settings, as the original frameworks compute them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fer_jax.vocabulary.settings import Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RmsProp, Sgd


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


class NadamState(NamedTuple):
    """product: of the momenta mu_1 to mu_count."""

    count: Array
    product: Array
    mean: optax.Updates
    square: optax.Updates


def scale_by_nadam(settings: Nadam) -> optax.GradientTransformation:
    """Adam with Nesterov's momentum and the schedule of momenta of Dozat 2016 (`settings.Nadam` has the formula), which
    ``optax.nadam`` leaves out."""
    b1, b2 = settings.b1, settings.b2

    def momentum(t: Array) -> Array:
        return b1 * (1 - 0.5 * 0.96 ** (t * settings.momentum_decay))

    def init(params: optax.Params) -> NadamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return NadamState(jnp.zeros((), jnp.int32), jnp.ones(()), zeros, jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, NadamState]:
        del params
        assert isinstance(state, NadamState)
        count = state.count + 1
        t = count.astype(jnp.float32)
        product = state.product * momentum(t)
        of_mean = momentum(t + 1) / (1 - product * momentum(t + 1))
        of_gradient = (1 - momentum(t)) / (1 - product)
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mean, updates)
        square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.square, updates)
        direction = jax.tree.map(
            lambda m, g, v: (of_mean * m + of_gradient * g) / (jnp.sqrt(v / (1 - b2**t)) + settings.epsilon),
            *(mean, updates, square),
        )
        return direction, NadamState(count, product, mean, square)

    return optax.GradientTransformation(init, update)


def scale_by_root_of_sum(initial: float, epsilon: float) -> optax.GradientTransformation:
    """Adagrad with epsilon beside the root, as PyTorch has it; ``optax.scale_by_rss`` has it below."""

    def init(params: optax.Params) -> optax.Params:
        return jax.tree.map(lambda p: jnp.full_like(p, initial), params)

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        del params
        total = jax.tree.map(lambda c, g: c + g * g, state, updates)
        return jax.tree.map(lambda g, c: g / (jnp.sqrt(c) + epsilon), updates, total), total

    return optax.GradientTransformation(init, update)


def clip_each_norm(limit: float) -> optax.GradientTransformation:
    """Each array's gradient scaled down to a Euclidean norm: tf.clip_by_norm, Keras' `clipnorm`."""

    def clipped(gradient: Array) -> Array:
        norm = jnp.sqrt(jnp.sum(jnp.square(gradient)))
        return gradient * (limit / jnp.maximum(norm, limit))

    return optax.stateless(lambda updates, params: jax.tree.map(clipped, updates))


def kernels_of(params: optax.Params) -> Any:
    """A tree of the same structure, true for kernels."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: getattr(path[-1], "key", "") == "kernel", params)


def make_optimizer(
    settings: Optimizer, learning_rate: float | Array, accumulate: int = 1
) -> optax.GradientTransformation:
    """The update rule. The rate may be a traced value, because it is applied before momentum is summed, as in Keras, or
    behind everything. No state depends on it, so it can change from update to update.

    accumulate: batches of an update; see `settings.Training`.
    """
    of = kernels_of if settings.weight_decay_of == "kernels" else None
    decay, decoupled = settings.weight_decay, settings.weight_decay_form == "decoupled"
    parts = _clipping(settings)
    if decay and not decoupled:
        parts.append(optax.add_decayed_weights(decay, of))
    parts += _rule(settings, optax.scale(-learning_rate))  # pyright: ignore[reportArgumentType]
    if decay and decoupled:
        parts.append(optax.add_decayed_weights(-learning_rate * decay, of))  # pyright: ignore[reportArgumentType]
    rule = optax.chain(*parts)
    if accumulate == 1:
        return rule
    return optax.MultiSteps(rule, every_k_schedule=accumulate).gradient_transformation()


def _clipping(settings: Optimizer) -> list[optax.GradientTransformation]:
    if settings.clip_value:
        return [optax.clip(settings.clip_value)]
    if settings.clip_norm:
        return [clip_each_norm(settings.clip_norm)]
    return [optax.clip_by_global_norm(settings.clip_global_norm)] if settings.clip_global_norm else []


def _rule(settings: Optimizer, rate: optax.GradientTransformation) -> list[optax.GradientTransformation]:
    """From gradients to changes of the parameters. rate: multiplies by the negative learning rate."""
    match settings:
        case Adam() | AdamW():
            if settings.epsilon_hat:
                return [scale_by_adam_epsilon_hat(settings.b1, settings.b2, settings.epsilon), rate]
            return [optax.scale_by_adam(settings.b1, settings.b2, settings.epsilon), rate]
        case Nadam():
            return [scale_by_nadam(settings), rate]
        case Adagrad(epsilon_in_root=True):
            return [optax.scale_by_rss(settings.initial_accumulator, settings.epsilon), rate]
        case Adagrad():
            return [scale_by_root_of_sum(settings.initial_accumulator, settings.epsilon), rate]
        case Lion():
            return [optax.scale_by_lion(settings.b1, settings.b2), rate]
        case RmsProp():
            scale = optax.scale_by_rms(
                *(settings.decay, settings.epsilon),
                initial_scale=settings.initial_accumulator,
                eps_in_sqrt=settings.epsilon_in_root,
            )
            return [scale, *_with_momentum(settings, rate, nesterov=False)]
        case Sgd():
            return _with_momentum(settings, rate, nesterov=settings.nesterov)


def _with_momentum(
    settings: Sgd | RmsProp, rate: optax.GradientTransformation, *, nesterov: bool
) -> list[optax.GradientTransformation]:
    velocity = [optax.trace(settings.momentum, nesterov)] if settings.momentum else []
    return [rate, *velocity] if settings.rate_in_velocity else [*velocity, rate]
