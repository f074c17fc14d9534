"""Losses by their settings, as the original frameworks compute them; `settings.Loss` has the formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fer_jax.vocabulary.settings import Loss

KERAS_CLIP = 1e-7  # tf.keras.backend.epsilon(), by which categorical_crossentropy clips probabilities


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
    """Loss of each example, shape (B,), without L2 and without class weights."""
    classes = logits_BK.shape[-1]
    if loss.kind == "mean_squared_error":
        outputs = jax.nn.sigmoid(logits_BK) if output == "sigmoid" else jax.nn.softmax(logits_BK)
        return jnp.mean((outputs - jax.nn.one_hot(labels_B, classes)) ** 2, axis=-1)
    if loss.kind == "squared_hinge":
        side = 2.0 * jax.nn.one_hot(labels_B, classes) - 1.0
        losses_BK = jnp.square(jnp.maximum(0.0, 1.0 - side * logits_BK))
        return losses_BK.sum(-1) if loss.over_classes == "sum" else losses_BK.mean(-1)
    if loss.kind == "cross_entropy" and not loss.label_smoothing:
        if output == "sigmoid":
            p = jnp.clip(probabilities(logits_BK, output), KERAS_CLIP, 1 - KERAS_CLIP)
            return -jnp.log(jnp.take_along_axis(p, labels_B[:, None], axis=-1)[:, 0])
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits_BK, labels_B)
    costs_BK = _class_costs(loss, logits_BK, output)
    own = jnp.take_along_axis(costs_BK, labels_B[:, None], axis=-1)[:, 0]
    return (1 - loss.label_smoothing) * own + loss.label_smoothing * costs_BK.mean(-1)


def target_losses(loss: Loss, logits_BK: Array, targets_BK: Array, output: str) -> Array:
    """Loss of each example, shape (B,), whose target is a share of each class: the mean of what each class would cost
    as its label, weighted by the shares. Of `cross_entropy` and `focal`, without L2."""
    costs_BK = _class_costs(loss, logits_BK, output)
    own = (targets_BK * costs_BK).sum(-1)
    return (1 - loss.label_smoothing) * own + loss.label_smoothing * costs_BK.mean(-1)


def _class_costs(loss: Loss, logits_BK: Array, output: str) -> Array:
    """What an example costs if class k is its label: -log p, for the focal loss times (1 - p)^gamma."""
    if output == "sigmoid":
        log_p = jnp.log(jnp.clip(probabilities(logits_BK, output), KERAS_CLIP, 1 - KERAS_CLIP))
    else:
        log_p = jax.nn.log_softmax(logits_BK)
    if loss.kind == "cross_entropy":
        return -log_p
    # Far from 1 - p = 0, where its derivative would be without bound for gamma below 1.
    return -((jnp.maximum(-jnp.expm1(log_p), KERAS_CLIP)) ** loss.gamma) * log_p


def class_weights(loss: Loss, labels_N: Array, classes: int) -> Array | None:
    """The factor of each class, (classes,); None if all samples count alike. labels_N: of all training samples."""
    if loss.class_weights is None:
        return None
    if loss.class_weights != "balanced":
        return jnp.asarray(loss.class_weights, jnp.float32)
    count = jnp.zeros(classes, jnp.float32).at[labels_N].add(1.0)
    present = (count > 0).sum()
    return jnp.where(count > 0, len(labels_N) / (present * jnp.maximum(count, 1.0)), 0.0)


def l2_penalty(loss: Loss, params: optax.Params) -> Array:
    """l2 * sum of squares of the kernels, and of everything else if `l2_biases`, of all layers or of those named."""
    total = jnp.zeros(())
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        layer, name = (getattr(path[place], "key", "") for place in (0, -1))
        if (loss.l2_biases or name == "kernel") and _is_of(layer, loss.l2_layers):
            total = total + jnp.sum(jnp.square(leaf))
    return loss.l2 * total


def _is_of(name: str, layers: tuple[str, ...]) -> bool:
    """Whether parameters of this name are of one of the layers: `residual1.body.conv1` is of `residual1`, and the two
    kernels of a separable convolution, `separable_conv1.depthwise` and `.pointwise`, are of it."""
    return not layers or any(f"{name}.".startswith(f"{layer}.") for layer in layers)
