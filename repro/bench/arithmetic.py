"""How many multiply-adds a network costs per image, from the shapes of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from fer_jax.vocabulary.layers import Layer, output_shapes

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
    shape = (image_size, image_size, 1)
    shapes = (shape, *output_shapes(layers, shape))
    costs = [layer.multiply_adds(before) for layer, before in zip(layers, shapes, strict=False)]
    first = next((cost for cost in costs if cost), 0)
    return MultiplyAdds(predict=sum(costs), train=3 * sum(costs) - first)


def flops_per_s(images_per_s: float, multiply_adds_per_image: int) -> float:
    """Floating-point operations per second at a rate of images."""
    return images_per_s * multiply_adds_per_image * FLOPS_PER_MULTIPLY_ADD
