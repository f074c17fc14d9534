"""How many multiply-adds a network costs per image, from the shapes of its layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fer_jax.vocabulary.layers import Conv, Dense, Layer, output_shapes

FLOPS_PER_MULTIPLY_ADD = 2


@dataclass(frozen=True)
class MultiplyAdds:
    """Per image, of convolutions and dense layers only, by the direct algorithm, including the padding's zeros.

    train: forward, gradient of the weights, and gradient of each layer's input (not needed for the first layer).
    A faster algorithm (Winograd) needs fewer, so a rate computed with these can exceed the machine's.
    """

    predict: int
    train: int


def multiply_adds(layers: tuple[Layer, ...], image_size: int) -> MultiplyAdds:
    """Raises LayerError if a layer cannot take its input's shape."""
    before: tuple[int, ...] = (image_size, image_size, 1)
    costs = []
    for layer, after in zip(layers, output_shapes(layers, before), strict=True):
        if isinstance(layer, Conv):
            costs.append(math.prod(after) * layer.kernel**2 * before[-1])
        elif isinstance(layer, Dense):
            costs.append(before[0] * layer.units)
        before = after
    forward = sum(costs)
    return MultiplyAdds(predict=forward, train=3 * forward - (costs[0] if costs else 0))


def flops_per_s(images_per_s: float, multiply_adds_per_image: int) -> float:
    """Floating-point operations per second at a rate of images."""
    return images_per_s * multiply_adds_per_image * FLOPS_PER_MULTIPLY_ADD
