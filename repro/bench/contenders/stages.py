"""A layer list as the rivals read it: names, shapes, what the network ends in. No framework, and no JAX, here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_jax.layers import Activation, Layer, Shape, layer_names, output_shapes
from fer_jax.network import Network

Output = Literal["softmax", "sigmoid"]

# tf.keras.backend.epsilon(), by which Keras' categorical_crossentropy clips probabilities (see `settings.Loss`).
PROBABILITY_CLIP = 1e-7


@dataclass(frozen=True)
class NamedLayer:
    """A layer under its name in the parameter tree; `before` and `after` are shapes without the batch axis, (height,
    width, channels) or (features,)."""

    name: str
    layer: Layer
    before: Shape
    after: Shape


def hidden_stages(network: Network) -> tuple[NamedLayer, ...]:
    """The layers up to the logits: a softmax or sigmoid at the end is left to loss and prediction."""
    start = (network.image_size, network.image_size, 1)
    after = output_shapes(network.layers, start)
    stages = map(NamedLayer, layer_names(network.layers), network.layers, (start, *after), after)
    ends = isinstance(last := network.layers[-1], Activation) and last.function in ("softmax", "sigmoid")
    return tuple(stages)[: -1 if ends else None]


def output(network: Network) -> Output:
    """What turns logits into the network's output; logits that nothing follows are taken as those of a softmax."""
    last = network.layers[-1]
    return "sigmoid" if isinstance(last, Activation) and last.function == "sigmoid" else "softmax"
