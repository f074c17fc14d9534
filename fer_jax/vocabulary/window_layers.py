"""Layers that move a window over a map: convolutions and poolings. No JAX here."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import msgspec

from fer_jax.vocabulary.layer_struct import (
    GLOROT,
    ZEROS,
    Init,
    LayerStruct,
    Length,
    LengthPair,
    Padding,
    Pair,
    PositiveInt,
    Shape,
    ShapeError,
    Sides,
    WindowStruct,
    both,
    needs_map,
)

_Few = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class _Convolution(WindowStruct, frozen=True, kw_only=True):
    """A convolution: its `kernel` moves by `stride`. The fields are those of each kind, in its own order."""

    @property
    def sides(self) -> Pair:
        return both(self.kernel)  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def strides(self) -> Pair:
        return both(self.stride)  # pyright: ignore[reportAttributeAccessIssue]


class Conv(_Convolution, frozen=True, kw_only=True, tag="conv"):
    """2-D convolution (cross-correlation); `same` pads as TensorFlow does, a number on each side as PyTorch does.

    groups: channels and filters fall into as many parts, and each part of the filters sees its part of the channels
    (Krizhevsky et al. 2012). dilation: how many pixels the kernel's places lie apart (Yu & Koltun 2016).
    """

    later_fields: ClassVar[tuple[str, ...]] = ("groups", "dilation")

    filters: PositiveInt
    kernel: Sides
    stride: Sides = 1
    padding: Padding = "valid"
    bias: bool = True
    kernel_init: Init = GLOROT
    bias_init: Init = ZEROS
    groups: PositiveInt = 1
    dilation: Sides = 1

    @property
    def dilations(self) -> Pair:
        return both(self.dilation)

    @property
    def is_plain(self) -> bool:
        """Whether the kernel is square and dense, and moves by one: what the fast routines for a CPU take."""
        square = self.sides[0] == self.sides[1] and self.dilations == self.strides == (1, 1)
        return square and self.groups == 1

    def output_shape(self, shape: Shape) -> Shape:
        rows, columns = self.places(shape, "kernel")
        for what, count in (("channels", shape[-1]), ("filters", self.filters)):
            if count % self.groups:
                raise ShapeError(f"{count} {what} do not fall into {self.groups} equal groups")
        return rows, columns, self.filters

    def kernel_shape(self, channels: int) -> tuple[int, int, int, int]:
        """(height, width, channels in of a group, filters)."""
        return (*self.sides, channels // self.groups, self.filters)

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        count = math.prod(self.kernel_shape(shape[-1])) + self.bias * self.filters
        return count, count

    def multiply_adds(self, shape: Shape) -> int:
        rows, columns, _ = self.output_shape(shape)
        return rows * columns * math.prod(self.kernel_shape(shape[-1]))


class DepthwiseConv(_Convolution, frozen=True, kw_only=True, tag="depthwise_conv"):
    """Each channel by itself is convolved with `multiplier` kernels (the outputs of a channel lie side by side). As
    many groups as channels, and the defaults of Keras."""

    kernel: Sides
    stride: Sides = 1
    padding: Padding = "valid"
    multiplier: _Few = 1
    bias: bool = True
    kernel_init: Init = GLOROT
    bias_init: Init = ZEROS
    dilation: Sides = 1

    @property
    def dilations(self) -> Pair:
        return both(self.dilation)

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.places(shape, "kernel"), shape[-1] * self.multiplier)

    def kernel_shape(self, channels: int) -> tuple[int, int, int, int]:
        """(height, width, channels, multiplier)."""
        return (*self.sides, channels, self.multiplier)

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        count = math.prod(self.kernel_shape(shape[-1])) + self.bias * shape[-1] * self.multiplier
        return count, count

    def multiply_adds(self, shape: Shape) -> int:
        return math.prod(self.output_shape(shape)) * math.prod(self.sides)


class SeparableConv(_Convolution, frozen=True, kw_only=True, tag="separable_conv"):
    """A depthwise convolution and a 1x1 convolution of what it makes (Chollet 2017), without anything in between; the
    bias is the second's. The parameters are those of the two: separable_conv1.depthwise, separable_conv1.pointwise."""

    filters: PositiveInt
    kernel: Sides
    stride: Sides = 1
    padding: Padding = "valid"
    multiplier: _Few = 1
    bias: bool = True
    depthwise_init: Init = GLOROT
    pointwise_init: Init = GLOROT
    bias_init: Init = ZEROS

    @property
    def parts(self) -> tuple[DepthwiseConv, Conv]:
        """The two convolutions, in their order."""
        depthwise = DepthwiseConv(
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            multiplier=self.multiplier,
            bias=False,
            kernel_init=self.depthwise_init,
        )
        pointwise = Conv(
            filters=self.filters, kernel=1, bias=self.bias, kernel_init=self.pointwise_init, bias_init=self.bias_init
        )
        return depthwise, pointwise

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.places(shape, "kernel"), self.filters)

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        depthwise, pointwise = self.parts
        count = depthwise.parameter_count(shape)[0] + pointwise.parameter_count(depthwise.output_shape(shape))[0]
        return count, count

    def multiply_adds(self, shape: Shape) -> int:
        depthwise, pointwise = self.parts
        return depthwise.multiply_adds(shape) + pointwise.multiply_adds(depthwise.output_shape(shape))


class _Pool(WindowStruct, frozen=True, kw_only=True):
    """A pooling; `stride` 0 means the window's size."""

    @property
    def sides(self) -> Pair:
        return both(self.window)  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def strides(self) -> Pair:
        down, across = both(self.stride)  # pyright: ignore[reportAttributeAccessIssue]
        return down or self.sides[0], across or self.sides[1]

    def output_shape(self, shape: Shape) -> Shape:
        places = self.places(shape, "window")
        if any(pad >= side for pads, side in zip(self.pads(shape), self.sides, strict=True) for pad in pads):
            raise ShapeError(f"a padding of {self.padding} would make windows that hold no pixel")
        return (*places, shape[-1])


class MaxPool(_Pool, frozen=True, kw_only=True, tag="max_pool"):
    """Maximum over windows. `valid` drops an incomplete window at the border. Of equal maxima the first in row-major
    order takes the gradient. `stride` 0 means the window's size. Padding never wins."""

    window: Sides
    stride: Length | LengthPair = 0
    padding: Padding = "valid"


class AvgPool(_Pool, frozen=True, kw_only=True, tag="avg_pool"):
    """Mean over windows; `stride` 0 means the window's size.

    count_padding: whether the zeros of the padding count as pixels. Keras does not count them, PyTorch does unless it
    is asked not to.
    """

    window: Sides
    stride: Length | LengthPair = 0
    padding: Padding = "valid"
    count_padding: bool = False


class GlobalAvgPool(LayerStruct, frozen=True, kw_only=True, tag="global_avg_pool"):
    """The mean of each channel: (height, width, channels) to (channels,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (needs_map(shape)[2],)
