"""Layers without a window: functions of single values, normalisations, dropout, dense layers. No JAX here."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.layer_struct import (
    GLOROT,
    ZEROS,
    Epsilon,
    Init,
    LayerStruct,
    PositiveInt,
    Rate,
    Shape,
    ShapeError,
    needs_map,
)


class Activation(LayerStruct, frozen=True, kw_only=True, tag="activation"):
    """Elementwise function; `softmax` only as the last layer.

    gelu: x times the normal distribution's probability of less than x (Hendrycks & Gimpel 2016), exactly and not by
    its approximation with tanh. swish: x sigmoid(x), also called SiLU (Ramachandran et al. 2017).
    """

    function: Literal["relu", "elu", "tanh", "sigmoid", "gelu", "swish", "softmax"]

    @property
    def passes_maximum(self) -> bool:
        return self.function in ("relu", "elu", "tanh", "sigmoid")


class LeakyRelu(LayerStruct, frozen=True, kw_only=True, tag="leaky_relu"):
    """x above zero, `slope` x below (Maas et al. 2013). The default is that of Keras; PyTorch's is 0.01."""

    slope: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.3

    @property
    def passes_maximum(self) -> bool:
        return True


class PRelu(LayerStruct, frozen=True, kw_only=True, tag="prelu"):
    """x above zero, a trained slope times x below (He et al. 2015): one slope per channel, which starts at `start` (the
    default is that of the paper and of PyTorch; Keras starts at 0)."""

    start: Annotated[float, msgspec.Meta(ge=-10.0, le=10.0)] = 0.25

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        return shape[-1], shape[-1]


class BatchNorm(LayerStruct, frozen=True, kw_only=True, tag="batch_norm"):
    """Ioffe & Szegedy 2015. Defaults are Keras': new average = momentum * old + (1 - momentum) * batch, biased batch
    variance in both.

    scale, center: whether it has a trained factor and a trained offset per channel.
    """

    later_fields: ClassVar[tuple[str, ...]] = ("scale", "center")

    momentum: Rate = 0.99
    epsilon: Epsilon = 1e-3
    scale: bool = True
    center: bool = True

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        weights = (self.scale + self.center) * shape[-1]
        return weights + 2 * shape[-1], weights


class LayerNorm(LayerStruct, frozen=True, kw_only=True, tag="layer_norm"):
    """Each place of a map is normalised over its channels, features over all of them, with a factor and an offset per
    channel (Ba et al. 2016). The default is that of Keras, which normalises the last axis too; PyTorch's is 1e-5."""

    epsilon: Epsilon = 1e-3

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        return 2 * shape[-1], 2 * shape[-1]


class GroupNorm(LayerStruct, frozen=True, kw_only=True, tag="group_norm"):
    """Each image is normalised over its places and each of `groups` parts of its channels, with a factor and an offset
    per channel (Wu & He 2018). Defaults are Keras'; PyTorch's epsilon is 1e-5."""

    groups: PositiveInt = 32
    epsilon: Epsilon = 1e-3

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] % self.groups:
            raise ShapeError(f"{counted(shape[-1], 'channel')} do not fall into {self.groups} equal groups")
        return shape

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        return 2 * shape[-1], 2 * shape[-1]


class Dropout(LayerStruct, frozen=True, kw_only=True, tag="dropout"):
    """Inverted dropout: in training each unit is dropped with probability `rate`, the others divided by 1 - rate."""

    rate: Rate

    @property
    def draws(self) -> bool:
        return self.rate > 0


class SpatialDropout(LayerStruct, frozen=True, kw_only=True, tag="spatial_dropout"):
    """Inverted dropout of whole channels of a map (Tompson et al. 2015)."""

    rate: Rate

    @property
    def draws(self) -> bool:
        return self.rate > 0

    def output_shape(self, shape: Shape) -> Shape:
        return needs_map(shape)


class StochasticDepth(LayerStruct, frozen=True, kw_only=True, tag="stochastic_depth"):
    """In training the whole map of an image is set to zero with probability `rate`, the others are divided by 1 - rate;
    as the last layer of a residual's body it leaves the shortcut alone (Huang et al. 2016, who multiply in evaluation
    instead)."""

    rate: Rate

    @property
    def draws(self) -> bool:
        return self.rate > 0


class RepeatChannels(LayerStruct, frozen=True, kw_only=True, tag="repeat_channels"):
    """The one channel of a gray image `count` times, for networks that were made for colour images.

    subtract, divide: one number per channel, each channel is (x - subtract) / divide: torchvision's Normalize with the
        means and deviations of colour images. By default nothing is subtracted, and nothing divided.
    """

    later_fields: ClassVar[tuple[str, ...]] = ("subtract", "divide")

    count: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 3
    subtract: Annotated[tuple[float, ...], msgspec.Meta(max_length=1_000)] = ()
    divide: Annotated[tuple[Annotated[float, msgspec.Meta(gt=0.0)], ...], msgspec.Meta(max_length=1_000)] = ()

    def __post_init__(self) -> None:
        for name, values in (("subtract", self.subtract), ("divide", self.divide)):
            if len(values) not in (0, self.count):
                raise ValueError(f"`{name}` needs a number for each of {self.count} channels, not {len(values)}")

    @property
    def shifts(self) -> bool:
        """Whether the channels differ."""
        return bool(self.subtract or self.divide)

    @property
    def factor_and_offset(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of each channel: channel = factor * x + offset."""
        factors = tuple(1.0 / value for value in self.divide or (1.0,) * self.count)
        offsets = tuple(-a * b for a, b in zip(self.subtract or (0.0,) * self.count, factors, strict=True))
        return factors, offsets

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = needs_map(shape)
        if channels != 1:
            raise ShapeError(f"repeats the channel of a gray image, but its map has {channels}")
        return height, width, self.count


class PadChannels(LayerStruct, frozen=True, kw_only=True, tag="pad_channels"):
    """Channels of zeros up to `channels` of them: the shortcut without parameters of He et al. 2016 (option A), behind
    an avg_pool that brings the map to the body's size.

    side: `both` puts as many in front of the channels as behind them (of an odd number one more behind), `behind` all
        behind.
    """

    channels: PositiveInt
    side: Literal["both", "behind"] = "both"

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = needs_map(shape)
        if channels > self.channels:
            raise ShapeError(f"pads up to {counted(self.channels, 'channel')}, but its map has {channels}")
        return height, width, self.channels

    def pads(self, channels: int) -> tuple[int, int]:
        """Channels of zeros in front and behind."""
        missing = self.channels - channels
        front = missing // 2 if self.side == "both" else 0
        return front, missing - front


class Flatten(LayerStruct, frozen=True, kw_only=True, tag="flatten"):
    """(height, width, channels) to one vector, channels innermost."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError("the input is flat already")
        return (math.prod(shape),)


class Dense(LayerStruct, frozen=True, kw_only=True, tag="dense"):
    """Fully connected layer."""

    units: PositiveInt
    bias: bool = True
    kernel_init: Init = GLOROT
    bias_init: Init = ZEROS

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError("a dense layer needs a flatten layer before it, or a global_avg_pool")
        return (self.units,)

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        count = shape[0] * self.units + self.bias * self.units
        return count, count

    def multiply_adds(self, shape: Shape) -> int:
        return shape[0] * self.units


class SqueezeExcite(LayerStruct, frozen=True, kw_only=True, tag="squeeze_excite"):
    """Each channel times a weight from the means of all channels: a dense layer to a `ratio`-th of the channels, ReLU,
    a dense layer back, sigmoid (Hu et al. 2018). The parameters are those of the two dense layers:
    squeeze_excite1.reduce, squeeze_excite1.expand."""

    ratio: PositiveInt = 16
    bias: bool = True
    kernel_init: Init = GLOROT

    def output_shape(self, shape: Shape) -> Shape:
        return needs_map(shape)

    def parts(self, channels: int) -> tuple[Dense, Dense]:
        """The two dense layers, in their order."""
        few = max(channels // self.ratio, 1)
        reduce, expand = (Dense(units=n, bias=self.bias, kernel_init=self.kernel_init) for n in (few, channels))
        return reduce, expand

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        reduce, expand = self.parts(shape[-1])
        count = reduce.parameter_count((shape[-1],))[0] + expand.parameter_count((reduce.units,))[0]
        return count, count

    def multiply_adds(self, shape: Shape) -> int:
        reduce, expand = self.parts(shape[-1])
        return reduce.multiply_adds((shape[-1],)) + expand.multiply_adds((reduce.units,))
