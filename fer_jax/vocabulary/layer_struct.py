"""What all layers share: the struct that they are made of, their initial values, and the arithmetic of windows. No JAX.

A layer is one struct. It says how it changes the shape of a map, how many numbers it holds, and what it costs. How it
is applied, exported and built in other frameworks is in tables that are keyed by the struct: `network.application`,
`repro.use.export`, `repro.bench.contenders`. `tests/test_layer_tables.py` compares their keys with the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

Shape = tuple[int, ...]  # (height, width, channels) of a map, (features,) after `flatten` or `global_avg_pool`
Pair = tuple[int, int]  # of the height and of the width
PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Length = Annotated[int, msgspec.Meta(ge=0, le=10_000)]  # pixels; 0 where a default takes its place
# Lists of two and not tuple[int, int]: beside a bounded int, msgspec (0.22) crashes on a tuple of fixed length.
PositivePair = Annotated[tuple[PositiveInt, ...], msgspec.Meta(min_length=2, max_length=2)]
LengthPair = Annotated[tuple[Length, ...], msgspec.Meta(min_length=2, max_length=2)]
Sides = PositiveInt | PositivePair  # one number for both sides, or [height, width]
Padding = Literal["same", "valid"] | Length | LengthPair
Rate = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]
Epsilon = Annotated[float, msgspec.Meta(gt=0.0)]


class Init(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a kernel or a bias is initialised.

    glorot_uniform: U(-l, l), l = sqrt(6 / (fan_in + fan_out)) (Keras' default for kernels; Glorot & Bengio 2010).
    he_normal: truncated normal, standard deviation sqrt(2 / fan_in) (He et al. 2015).
    normal, truncated_normal: mean 0, standard deviation `scale` (truncated at two `scale`, as TensorFlow does, and
        not rescaled after the cut).
    fan_in_normal: N(0, 1) * scale / sqrt(fan_in).
    fan_in_uniform: U(-l, l), l = scale / sqrt(fan_in) (PyTorch's default for the kernels and biases of its linear and
        convolution layers: kaiming_uniform_ with a = sqrt(5)).
    pooled_fan_normal: N(0, 1) * scale / sqrt(fan_in + fan_out / pool_area), fans including the kernel's area (the
        Theano tutorials' rule for a convolution followed by pooling).
    constant: `scale` everywhere.

    The fans are the last two axes of a kernel times the area of its window, as in Keras: of a depthwise kernel (height,
    width, channels, multiplier) too.
    """

    kind: Literal[
        "glorot_uniform",
        "he_normal",
        "normal",
        "truncated_normal",
        "fan_in_normal",
        "fan_in_uniform",
        "pooled_fan_normal",
        "constant",
    ]
    scale: float = 1.0
    pool_area: PositiveInt = 4


GLOROT = Init(kind="glorot_uniform")
ZEROS = Init(kind="constant", scale=0.0)


class ShapeError(ValueError):
    """A layer cannot take a map of this shape. `inside`: of a layer that holds layers, the path and the name below
    it of the one that cannot: (".body[1]", ".body.conv2")."""

    def __init__(self, message: str, inside: tuple[str, str] = ("", "")) -> None:
        super().__init__(message)
        self.inside = inside


class LayerStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="layer"):
    """What all layers share.

    later_fields: see `fer_jax.vocabulary.later_fields`.
    lists: the fields that hold layers.
    """

    later_fields: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that it makes of an input's, both without the batch axis. Raises ShapeError."""
        return shape

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        """(all, trainable) numbers that it holds for an input of this shape. Running averages are not trained."""
        del shape
        return 0, 0

    def multiply_adds(self, shape: Shape) -> int:
        """Products of the forward pass of one image, by the direct algorithm and including the padding's zeros, of
        convolutions and dense layers, which have nearly all."""
        del shape
        return 0

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training."""
        return False

    @property
    def passes_maximum(self) -> bool:
        """Whether it works value by value and never falls, so that it may trade places with a maximum."""
        return False


def needs_map(shape: Shape) -> tuple[int, int, int]:
    """(height, width, channels). Raises ShapeError if the input is flat."""
    if len(shape) != 3:
        raise ShapeError(f"needs a map (height, width, channels) but gets {shape[0]} features; is it after flatten?")
    height, width, channels = shape
    return height, width, channels


def both(value: int | tuple[int, ...]) -> Pair:
    """The value for the height and for the width."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def sides_text(value: int | tuple[int, ...]) -> str:
    height, width = both(value)
    return str(height) if height == width else f"{height} x {width}"


def window_out(size: int, window: int, stride: int, padding: Literal["same", "valid"] | int) -> int:
    """Number of positions of a window along an axis of `size` pixels."""
    if padding == "same":
        return -(-size // stride)
    return (size + 2 * (0 if padding == "valid" else padding) - window) // stride + 1


def same_padding(size: int, window: int, stride: int) -> Pair:
    """TensorFlow's `same`: zeros before and after an axis; an odd number puts the extra zero after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


class WindowStruct(LayerStruct, frozen=True, kw_only=True):
    """A layer that moves a window over a map: `sides`, `strides` and `dilations` by (height, width).

    padding: "valid" drops an incomplete window at the border, "same" pads as TensorFlow does, a number (of the height
    and of the width, if there are two) on each side, as PyTorch does.
    """

    if TYPE_CHECKING:  # not a field here, where it would come first in the order of every window's fields
        padding: Padding

    @property
    def sides(self) -> Pair:
        raise NotImplementedError

    @property
    def strides(self) -> Pair:
        raise NotImplementedError

    @property
    def dilations(self) -> Pair:
        return 1, 1

    @property
    def reach(self) -> Pair:
        """How many pixels the window covers along each side, those that dilation skips included."""
        (height, width), (down, across) = self.sides, self.dilations
        return (height - 1) * down + 1, (width - 1) * across + 1

    def pads(self, shape: Shape) -> tuple[Pair, Pair]:
        """Places before and after the height and the width of a map (height, width, ...)."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            rows, columns = (same_padding(shape[i], self.reach[i], self.strides[i]) for i in (0, 1))
            return rows, columns
        above, beside = both(self.padding)
        return (above, above), (beside, beside)

    def places(self, shape: Shape, what: str) -> Pair:
        """Positions of the window along the height and the width. what: kernel or window. Raises ShapeError."""
        height, width, _ = needs_map(shape)
        size = f"{height} x {width} map"
        if self.padding == "same":
            if any(reach > 2 * side + 1 for reach, side in zip(self.reach, shape[:2], strict=True)):
                raise ShapeError(f"a {what} of {sides_text(self.reach)} reaches beyond its padded {size}")
            return window_out(height, 1, self.strides[0], "same"), window_out(width, 1, self.strides[1], "same")
        pads = both(0 if self.padding == "valid" else self.padding)
        if any(reach > side + 2 * pad for reach, side, pad in zip(self.reach, shape[:2], pads, strict=True)):
            padded = " with its padding" if any(pads) else ""
            raise ShapeError(f"a {what} of {sides_text(self.reach)} is larger than its {size}{padded}")
        rows, columns = (window_out(shape[i], self.reach[i], self.strides[i], pads[i]) for i in (0, 1))
        return rows, columns
