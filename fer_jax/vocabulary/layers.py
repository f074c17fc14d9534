"""The vocabulary of networks: one frozen struct per layer, their names, and the shapes of a whole list. No JAX here.

A network is a list of layers, and a residual holds further lists. Each layer gets a name: its kind and its ordinal
within that kind in its list (``conv1``, ``conv2``, ``dense1``), behind the place of that list
(``residual1.body.conv2``). A spec's overrides and the parameter tree use the same names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

import msgspec

from fer_jax.vocabulary.custom_layer import Custom
from fer_jax.vocabulary.layer_struct import (
    GLOROT,
    ZEROS,
    Init,
    LayerStruct,
    Padding,
    Pair,
    Shape,
    ShapeError,
    both,
    same_padding,
    window_out,
)
from fer_jax.vocabulary.value_layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    LayerNorm,
    LeakyRelu,
    PadChannels,
    PRelu,
    RepeatChannels,
    SpatialDropout,
    SqueezeExcite,
    StochasticDepth,
)
from fer_jax.vocabulary.window_layers import AvgPool, Conv, DepthwiseConv, GlobalAvgPool, MaxPool, SeparableConv

__all__ = [
    "GLOROT",
    "LAYERS",
    "ZEROS",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "Custom",
    "Dense",
    "DepthwiseConv",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "Init",
    "Layer",
    "LayerError",
    "LayerNorm",
    "LayerStruct",
    "LeakyRelu",
    "MaxPool",
    "PRelu",
    "PadChannels",
    "Padding",
    "Pair",
    "PlacedLayer",
    "RepeatChannels",
    "Residual",
    "SeparableConv",
    "Shape",
    "ShapeError",
    "SpatialDropout",
    "SqueezeExcite",
    "StochasticDepth",
    "both",
    "changed_layers",
    "class_layer",
    "every_layer",
    "inner_lists",
    "layer_names",
    "multiply_adds",
    "ordinal_names",
    "output_shapes",
    "parameter_count",
    "same_padding",
    "shapes_by_name",
    "window_out",
]


class Residual(LayerStruct, frozen=True, kw_only=True, tag="residual"):
    """Two paths from the same input, joined (He et al. 2016; with `concatenate` Huang et al. 2017).

    body: the layers of the one path. shortcut: those of the other; without any it is the input itself. merge: their
    sum, or their channels side by side, the shortcut's first.
    """

    lists: ClassVar[tuple[str, ...]] = ("body", "shortcut")

    body: Annotated[tuple[Layer, ...], msgspec.Meta(min_length=1, max_length=200)]
    shortcut: Annotated[tuple[Layer, ...], msgspec.Meta(max_length=200)] = ()
    merge: Literal["sum", "concatenate"] = "sum"

    def ends(self, shape: Shape) -> tuple[Shape, Shape]:
        """The shapes in which body and shortcut end. Raises ShapeError if a layer in them cannot take its input."""
        found = []
        for name in self.lists:
            layers: tuple[Layer, ...] = getattr(self, name)
            try:
                found.append((shape, *_shapes(layers, shape))[-1])
            except LayerError as error:
                path, named = f".{name}{error.path}", f".{name}.{error.name}"
                raise ShapeError(str(error), (path, named)) from None
        return found[0], found[1]

    def output_shape(self, shape: Shape) -> Shape:
        body, shortcut = self.ends(shape)
        if self.merge == "concatenate" and body[:-1] == shortcut[:-1]:
            return (*body[:-1], body[-1] + shortcut[-1])
        if self.merge == "sum" and body == shortcut:
            return body
        body_text, shortcut_text = (" x ".join(map(str, one)) for one in (body, shortcut))
        need = "equal shapes" if self.merge == "sum" else "the same height and width"
        raise ShapeError(
            f"its body ends in {body_text} and its shortcut in {shortcut_text}, but a {self.merge} needs {need}"
            f"{_remedy(body, shortcut)}"
        )

    def parameter_count(self, shape: Shape) -> tuple[int, int]:
        counts = [parameter_count(getattr(self, name), shape) for name in self.lists]
        return counts[0][0] + counts[1][0], counts[0][1] + counts[1][1]

    def multiply_adds(self, shape: Shape) -> int:
        return sum(multiply_adds(getattr(self, name), shape) for name in self.lists)


def _remedy(body: Shape, shortcut: Shape) -> str:
    """A 1x1 convolution that gives the shortcut the body's shape, if one does."""
    if len(body) != 3 or len(shortcut) != 3:
        return ""
    strides = [math.ceil(side / max(out, 1)) for side, out in zip(shortcut, body[:2], strict=False)]
    if any(math.ceil(side / stride) != out for side, stride, out in zip(shortcut, strides, body[:2], strict=False)):
        return "; the strides and paddings of both must lead to the same size"
    stride = "" if strides == [1, 1] else f", stride = {strides[0] if strides[0] == strides[1] else strides}"
    conv = f'{{ layer = "conv", filters = {body[-1]}, kernel = 1{stride} }}'
    return f"; a 1x1 convolution in the shortcut makes them equal: shortcut = [{conv}]"


Layer = (
    Conv
    | DepthwiseConv
    | SeparableConv
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | Activation
    | LeakyRelu
    | PRelu
    | BatchNorm
    | LayerNorm
    | GroupNorm
    | Dropout
    | SpatialDropout
    | StochasticDepth
    | SqueezeExcite
    | RepeatChannels
    | PadChannels
    | Flatten
    | Dense
    | Residual
    | Custom
)
LAYERS: tuple[type[LayerStruct], ...] = get_args(Layer)


class LayerError(ValueError):
    """A layer does not fit the map that it receives. `index` is its place in the list, counted from 0; `path` and
    `name` lead to it, through residuals too: ``[3].body[1]``, ``residual1.body.conv2``."""

    def __init__(self, index: int, message: str, name: str = "", inside: tuple[str, str] = ("", "")) -> None:
        super().__init__(message)
        self.index = index
        self.path, self.name = f"[{index}]{inside[0]}", f"{name}{inside[1]}"


def ordinal_names(kinds: Iterable[str]) -> tuple[str, ...]:
    """Each kind with its ordinal among its kind: ("conv", "dense", "conv") -> ("conv1", "dense1", "conv2")."""
    seen: dict[str, int] = {}
    names = []
    for kind in kinds:
        seen[kind] = seen.get(kind, 0) + 1
        names.append(f"{kind}{seen[kind]}")
    return tuple(names)


def layer_names(layers: tuple[Layer, ...], prefix: str = "") -> tuple[str, ...]:
    """Names by kind and ordinal in one list: conv1, activation1, max_pool1, conv2, ... prefix: of each name, such as
    ``residual1.body.``."""
    return tuple(prefix + name for name in ordinal_names(str(layer.__struct_config__.tag) for layer in layers))


def inner_lists(layer: LayerStruct) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    """(key, layers) of each list that a layer holds."""
    for key in layer.lists:
        yield key, getattr(layer, key)


class PlacedLayer(NamedTuple):
    """A layer at its place. path: ``[3].body[1]``. name: ``residual1.body.conv2``. depth: how many lists it is in below
    the network's own."""

    path: str
    name: str
    layer: Layer
    depth: int


def every_layer(layers: tuple[Layer, ...], path: str = "", prefix: str = "", depth: int = 0) -> Iterator[PlacedLayer]:
    """All layers, those of residuals too, each before the layers that it holds."""
    for index, (name, layer) in enumerate(zip(layer_names(layers, prefix), layers, strict=True)):
        place = f"{path}[{index}]"
        yield PlacedLayer(place, name, layer, depth)
        for key, inner in inner_lists(layer):
            yield from every_layer(inner, f"{place}.{key}", f"{name}.{key}.", depth + 1)


def changed_layers(layers: tuple[Layer, ...], change: Callable[[Layer], Layer]) -> tuple[Layer, ...]:
    """The list with each layer changed, those of residuals too."""
    found = []
    for layer in layers:
        inner = {key: changed_layers(held, change) for key, held in inner_lists(layer)}
        found.append(change(msgspec.structs.replace(layer, **inner)))
    return tuple(found)


def class_layer(layers: tuple[Layer, ...]) -> int | None:
    """The place of the layer whose outputs are the classes: the last of the list that says how many it has."""
    sized = (i for i, layer in enumerate(layers) if isinstance(layer, Dense | Conv | SeparableConv))
    return max(sized, default=None)


def shapes_by_name(layers: tuple[Layer, ...], input_shape: Shape, prefix: str = "") -> dict[str, tuple[Shape, Shape]]:
    """(input, output) shape of every layer, those of residuals too. Raises LayerError as `output_shapes` does."""
    found: dict[str, tuple[Shape, Shape]] = {}
    before = input_shape
    for name, layer, after in zip(layer_names(layers, prefix), layers, _shapes(layers, input_shape), strict=True):
        found[name] = before, after
        for key, inner in inner_lists(layer):
            found |= shapes_by_name(inner, before, f"{name}.{key}.")
        before = after
    return found


def output_shapes(layers: tuple[Layer, ...], input_shape: Shape) -> tuple[Shape, ...]:
    """The shape after each layer of the list, without the batch axis.

    Raises LayerError if a layer cannot take its input.
    """
    shapes = _shapes(layers, input_shape)
    for path, name, layer, _ in every_layer(layers):
        index = int(path[1 : path.index("]")])
        if isinstance(layer, Activation) and layer.function == "softmax" and path != f"[{len(layers) - 1}]":
            below = path.removeprefix(f"[{index}]"), name[len(name.partition(".")[0]) :]
            raise LayerError(index, "softmax is only known as the last layer", name.partition(".")[0], below)
    return shapes


def _shapes(layers: tuple[Layer, ...], shape: Shape) -> tuple[Shape, ...]:
    shapes = []
    for index, layer in enumerate(layers):
        try:
            shape = layer.output_shape(shape)
        except ShapeError as error:
            raise LayerError(index, str(error), layer_names(layers)[index], error.inside) from None
        shapes.append(shape)
    return tuple(shapes)


def parameter_count(layers: tuple[Layer, ...], input_shape: Shape) -> tuple[int, int]:
    """(all, trainable) numbers in the network; running averages of batch norm are not trained. Those in modules of the
    user's own (`Custom`) are not known here, and count as none."""
    total = trainable = 0
    before = input_shape
    for layer, after in zip(layers, _shapes(layers, input_shape), strict=True):
        counted = layer.parameter_count(before)
        total, trainable = total + counted[0], trainable + counted[1]
        before = after
    return total, trainable


def multiply_adds(layers: tuple[Layer, ...], input_shape: Shape) -> int:
    """Products of the forward pass of one image (see `LayerStruct.multiply_adds`)."""
    shapes = (input_shape, *_shapes(layers, input_shape))
    return sum(layer.multiply_adds(before) for layer, before in zip(layers, shapes, strict=False))
