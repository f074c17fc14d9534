"""The network of a layer list, as a Flax Linen module.

The parameter tree is named by `layers.every_layer`, for example ``params["conv1"]["kernel"]``,
``batch_stats["batch_norm1"]["mean"]`` and ``params["residual1.body.conv1"]["kernel"]``. Names, shapes and initial
values do not depend on the backend.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.network.application import Pass, apply_layers
from fer_jax.network.backends import Backend, NhwcBackend
from fer_jax.vocabulary.layers import Activation, Layer, Shape, output_shapes

Variables = dict[str, Any]


class Sequential(nn.Module):
    """The layers one after the other, up to the logits.

    Attributes:
        axis_name: the axis of a `shard_map` over which the batch is spread, if any. Batch norm then takes its
            statistics over all devices, and dropout masks are those of the whole batch.
        batch_size: rows of the whole batch before it was filled up for the devices. The masks depend on it. By default
            the number of rows given.
    """

    layers: tuple[Layer, ...]
    backend: Backend
    axis_name: str | None = None
    batch_size: int | None = None

    @nn.compact
    def __call__(self, images: Array, *, train: bool, weight_B: Array | None = None) -> Array:
        """Logits, (batch, classes). The loss applies a final softmax or sigmoid (see `output_activation`).

        Args:
            images: (batch, height, width, channels) or (batch, height, width), normalised.
            train: batch norm uses the batch's statistics and updates its averages (collection "batch_stats"), and
                dropout drops (random stream "dropout").
            weight_B: 1 for examples, 0 for rows that only fill up the batch, which batch norm ignores.
        """
        x = self.backend.arrange(images if images.ndim == 4 else images[..., None])
        given = Pass(self.backend, train, weight_B, self.axis_name, self.batch_size)
        return self.backend.to_logits(apply_layers(given, hidden_layers(self.layers), x))


OutputActivation = Literal["softmax", "sigmoid", "linear"]


def output_activation(layers: tuple[Layer, ...]) -> OutputActivation:
    """The function from logits to the network's output; "linear" if the list ends without softmax or sigmoid."""
    last = layers[-1] if layers else None
    if isinstance(last, Activation):
        if last.function == "softmax":
            return "softmax"
        if last.function == "sigmoid":
            return "sigmoid"
    return "linear"


def hidden_layers(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers up to the logits."""
    return layers if output_activation(layers) == "linear" else layers[:-1]


def build(
    layers: tuple[Layer, ...], *, backend: Backend, axis_name: str | None = None, batch_size: int | None = None
) -> Sequential:
    """The network of a layer list for one backend."""
    return Sequential(layers=tuple(layers), backend=backend, axis_name=axis_name, batch_size=batch_size)


def init_variables(layers: tuple[Layer, ...], input_shape_hwc: Shape, key: Array) -> Variables:
    """Fresh ``{"params": ..., "batch_stats": ...}`` for images of (height, width, channels); the same on every backend.

    Raises:
        layers.LayerError: a layer cannot take its input.
    """
    output_shapes(tuple(layers), input_shape_hwc)
    network = build(layers, backend=NhwcBackend())
    images = jnp.zeros((1, *input_shape_hwc))
    # Under jit the convolutions never run, because only the parameters are asked for.
    variables = jax.jit(lambda key: network.init(key, images, train=False))(key)
    return {"params": variables.get("params", {}), "batch_stats": variables.get("batch_stats", {})}
