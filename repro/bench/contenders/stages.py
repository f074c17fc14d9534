"""A layer list as the rivals read it: names, shapes, and the network's output. No framework, and no JAX, here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import Activation, Layer, MaxPool, Shape, layer_names, output_shapes
from fer_jax.vocabulary.network import Network

Output = Literal["softmax", "sigmoid"]

# tf.keras.backend.epsilon(): Keras' categorical_crossentropy clips probabilities by it (see `settings.Loss`).
PROBABILITY_CLIP = 1e-7


@dataclass(frozen=True)
class NamedLayer:
    """A layer with its name in the parameter tree. `before` and `after` are shapes without the batch axis: (height,
    width, channels) or (features,)."""

    name: str
    layer: Layer
    before: Shape
    after: Shape


def input_shape(network: Network) -> Shape:
    return network.image_size, network.image_size, 1


def hidden_stages(network: Network) -> tuple[NamedLayer, ...]:
    """The layers up to the logits: a softmax or sigmoid at the end is left to loss and prediction."""
    layers = network.layers
    ends = isinstance(last := layers[-1], Activation) and last.function in ("softmax", "sigmoid")
    return list_stages(layers[:-1] if ends else layers, input_shape(network))


def list_stages(layers: tuple[Layer, ...], shape: Shape, prefix: str = "") -> tuple[NamedLayer, ...]:
    """One list of layers, in the order in which a rival applies them. prefix: of the names.

    An activation directly before a pooling layer moves behind it, as in this suite's own backend for CPUs, if it rises
    monotonically: the result is the same for a quarter of the work. Otherwise the rivals would be slower than
    necessary.
    """
    after = output_shapes(layers, shape)
    stages = list(map(NamedLayer, layer_names(layers, prefix), layers, (shape, *after), after))
    for place in range(len(stages) - 1):
        activation, pool = stages[place : place + 2]
        if activation.layer.passes_maximum and isinstance(pool.layer, MaxPool):
            stages[place : place + 2] = pool, replace(activation, before=pool.after, after=pool.after)
    return tuple(stages)


class NoRival(UserError):
    """A layer that no other framework can build."""


def no_rival(stage: NamedLayer) -> NoRival:
    return NoRival(f"{stage.name} is a module of your own: there is nothing to compare it with in other frameworks")


def output(network: Network) -> Output:
    """The function that turns logits into the network's output. Without a final activation, softmax is assumed."""
    last = network.layers[-1]
    return "sigmoid" if isinstance(last, Activation) and last.function == "sigmoid" else "softmax"
