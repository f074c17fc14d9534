"""The vocabulary of networks: one frozen struct per layer, and the arithmetic of layer shapes. No JAX here.

A network is a list of layers. Each layer gets a name: its kind and its ordinal within that kind (``conv1``, ``conv2``,
``dense1``). A spec's overrides and the parameter tree use the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

Padding = Literal["same", "valid"]
PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Init(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a kernel or a bias is initialised.

    glorot_uniform: U(-l, l), l = sqrt(6 / (fan_in + fan_out)) (Keras' default for kernels; Glorot & Bengio 2010).
    he_normal: truncated normal, standard deviation sqrt(2 / fan_in) (He et al. 2015).
    normal, truncated_normal: mean 0, standard deviation `scale` (truncated at two `scale`, as TensorFlow does, and
        not rescaled after the cut).
    fan_in_normal: N(0, 1) * scale / sqrt(fan_in).
    pooled_fan_normal: N(0, 1) * scale / sqrt(fan_in + fan_out / pool_area), fans including the kernel's area (the
        Theano tutorials' rule for a convolution followed by pooling).
    constant: `scale` everywhere.
    """

    kind: Literal[
        "glorot_uniform",
        "he_normal",
        "normal",
        "truncated_normal",
        "fan_in_normal",
        "pooled_fan_normal",
        "constant",
    ]
    scale: float = 1.0
    pool_area: PositiveInt = 4


GLOROT = Init(kind="glorot_uniform")
ZEROS = Init(kind="constant", scale=0.0)


class LayerStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="layer"):
    """What all layers share."""


class Conv(LayerStruct, frozen=True, kw_only=True, tag="conv"):
    """2-D convolution (cross-correlation) with a square kernel; `same` pads as TensorFlow does."""

    filters: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: Padding = "valid"
    bias: bool = True
    kernel_init: Init = GLOROT
    bias_init: Init = ZEROS


class MaxPool(LayerStruct, frozen=True, kw_only=True, tag="max_pool"):
    """Maximum over square windows. `valid` drops an incomplete window at the border. Of equal maxima the first in
    row-major order takes the gradient. `stride` 0 means the window's size."""

    window: PositiveInt
    stride: Annotated[int, msgspec.Meta(ge=0)] = 0
    padding: Padding = "valid"


class Activation(LayerStruct, frozen=True, kw_only=True, tag="activation"):
    """Elementwise function; `softmax` only as the last layer."""

    function: Literal["relu", "elu", "tanh", "sigmoid", "softmax"]


class BatchNorm(LayerStruct, frozen=True, kw_only=True, tag="batch_norm"):
    """Ioffe & Szegedy 2015, with scale and offset. Defaults are Keras': new average = momentum * old + (1 - momentum)
    * batch, biased batch variance in both."""

    momentum: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.99
    epsilon: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-3


class Dropout(LayerStruct, frozen=True, kw_only=True, tag="dropout"):
    """Inverted dropout: in training each unit is dropped with probability `rate`, the others divided by 1 - rate."""

    rate: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]


class Flatten(LayerStruct, frozen=True, kw_only=True, tag="flatten"):
    """(height, width, channels) to one vector, channels innermost."""


class Dense(LayerStruct, frozen=True, kw_only=True, tag="dense"):
    """Fully connected layer."""

    units: PositiveInt
    bias: bool = True
    kernel_init: Init = GLOROT
    bias_init: Init = ZEROS


Layer = Conv | MaxPool | Activation | BatchNorm | Dropout | Flatten | Dense

Shape = tuple[int, ...]  # (height, width, channels) before Flatten, (features,) after


class LayerError(ValueError):
    """A layer does not fit the map that it receives. `index` is its place in the list, counted from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def ordinal_names(kinds: Iterable[str]) -> tuple[str, ...]:
    """Each kind with its ordinal among its kind: ("conv", "dense", "conv") -> ("conv1", "dense1", "conv2")."""
    seen: dict[str, int] = {}
    names = []
    for kind in kinds:
        seen[kind] = seen.get(kind, 0) + 1
        names.append(f"{kind}{seen[kind]}")
    return tuple(names)


def layer_names(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """Names by kind and ordinal: conv1, activation1, max_pool1, conv2, ..."""
    return ordinal_names(str(layer.__struct_config__.tag) for layer in layers)


def pool_stride(layer: MaxPool) -> int:
    return layer.stride or layer.window


def window_out(size: int, window: int, stride: int, padding: Padding) -> int:
    """Number of positions of a window along an axis of `size` pixels."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """TensorFlow's `same`: zeros before and after an axis; an odd number puts the extra zero after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _window_shape(index: int, layer: Conv | MaxPool, shape: Shape) -> Shape:
    kind = "kernel" if isinstance(layer, Conv) else "window"
    window = layer.kernel if isinstance(layer, Conv) else layer.window
    stride = layer.stride if isinstance(layer, Conv) else pool_stride(layer)
    if len(shape) != 3:
        raise LayerError(
            index, f"needs a map (height, width, channels) but gets {shape[0]} features; is it after flatten?"
        )
    height, width, channels = shape
    if layer.padding == "valid" and window > min(height, width):
        raise LayerError(index, f"a {kind} of {window} is larger than its {height} x {width} map")
    if layer.padding == "same" and window > 2 * min(height, width) + 1:
        raise LayerError(index, f"a {kind} of {window} reaches beyond its padded {height} x {width} map")
    out = layer.filters if isinstance(layer, Conv) else channels
    return (window_out(height, window, stride, layer.padding), window_out(width, window, stride, layer.padding), out)


def output_shapes(layers: tuple[Layer, ...], input_shape: Shape) -> tuple[Shape, ...]:
    """The shape after each layer, without the batch axis.

    Raises LayerError if a layer cannot take its input.
    """
    shape = input_shape
    shapes = []
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv | MaxPool):
            shape = _window_shape(index, layer, shape)
        elif isinstance(layer, Flatten):
            if len(shape) != 3:
                raise LayerError(index, "the input is flat already")
            shape = (shape[0] * shape[1] * shape[2],)
        elif isinstance(layer, Dense):
            if len(shape) != 1:
                raise LayerError(index, "a dense layer needs a flatten layer before it")
            shape = (layer.units,)
        elif isinstance(layer, Activation) and layer.function == "softmax" and index != len(layers) - 1:
            raise LayerError(index, "softmax is only known as the last layer")
        shapes.append(shape)
    return tuple(shapes)


def parameter_count(layers: tuple[Layer, ...], input_shape: Shape) -> tuple[int, int]:
    """(all, trainable) numbers in the network; running averages of batch norm are not trained."""
    total = trainable = 0
    before = input_shape
    for layer, after in zip(layers, output_shapes(layers, input_shape), strict=True):
        weights = statistics = 0
        if isinstance(layer, Conv):
            weights = layer.kernel**2 * before[-1] * layer.filters + layer.bias * layer.filters
        elif isinstance(layer, Dense):
            weights = before[0] * layer.units + layer.bias * layer.units
        elif isinstance(layer, BatchNorm):
            weights = statistics = 2 * before[-1]
        trainable += weights
        total += weights + statistics
        before = after
    return total, trainable
