"""Each layer of the vocabulary as a PyTorch module: one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary import layers as kinds
from fer_jax.vocabulary.layers import LayerStruct
from repro.bench.contenders.stages import NamedLayer, list_stages, no_rival
from repro.bench.contenders.tensor_layout import TensorLayout
from repro.bench.contenders.torch_modules import (
    BiasedBatchNorm,
    FlattenChannelsInnermost,
    GlobalMean,
    MeanOfPixels,
    PerPlaceNorm,
    TorchPadChannels,
    TorchRepeatChannels,
    TorchResidual,
    TorchSqueezeExcite,
    TorchStochasticDepth,
)

Place = tuple[str, str, str]  # of an array in the variables: params or batch_stats, the layer's name, its part


class TorchBuilder:
    """Makes the modules of a network, and notes where the values of their tensors lie.

    innermost: whether maps are flattened with their channels innermost, as in this suite. Otherwise they are flattened
    as they lie in memory, and `order` maps each feature to its place in this suite's order, for the next layer's
    weights.
    """

    def __init__(self, batch_size: int, innermost: bool) -> None:
        self.batch_size, self.innermost = batch_size, innermost
        self.order: np.ndarray | None = None
        self.noted: list[tuple[nn.Module, str, Place, TensorLayout]] = []

    def make(self, stage: NamedLayer, in_place: bool = True) -> nn.Module:
        self.in_place = in_place
        return TORCH_LAYERS[type(stage.layer)](self, stage)

    def note(self, module: nn.Module, tensor: str, kind: str, name: str, part: str, layout: TensorLayout) -> None:
        self.noted.append((module, tensor, (kind, name, part), layout))

    def sequence(self, layers: Any, stage: NamedLayer, key: str) -> nn.Sequential:
        """One path of a residual. Its input is read by the other path too, so that nothing may be written over it."""
        modules, made_new = [], False
        for inner in list_stages(layers, stage.before, f"{stage.name}.{key}."):
            modules.append(self.make(inner, in_place=made_new))
            made_new = made_new or not isinstance(inner.layer, _MAY_PASS_ON)
        return nn.Sequential(*modules)

    def linear(self, name: str, inputs: int, outputs: int, bias: bool) -> nn.Linear:
        module = nn.Linear(inputs, outputs, bias=bias)
        self.note(module, "weight", "params", name, "kernel", TensorLayout(axes=(1, 0), order=self.order))
        if bias:
            self.note(module, "bias", "params", name, "bias", TensorLayout())
        self.order = None
        return module


# Layers that may hand on their very input.
_MAY_PASS_ON = (kinds.Dropout, kinds.SpatialDropout, kinds.StochasticDepth, kinds.Flatten, kinds.Residual)


# --- convolutions and poolings ----------------------------------------------------------------------------------------


def _padding(stage: NamedLayer) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    layer: Any = stage.layer
    rows, columns = layer.pads(stage.before)
    return *columns, *rows


def _padded(stage: NamedLayer, value: float, module: Callable[[tuple[int, int]], nn.Module]) -> nn.Module:
    """The module of a padding, which it takes itself if both sides have the same."""
    left, right, top, bottom = _padding(stage)
    if left == right and top == bottom:
        return module((top, left))
    return nn.Sequential(nn.ConstantPad2d((left, right, top, bottom), value), module((0, 0)))


def _conv(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    channels = stage.before[-1]
    depthwise = isinstance(layer, kinds.DepthwiseConv)
    groups = channels if depthwise else layer.groups
    filters = channels * layer.multiplier if depthwise else layer.filters

    def make(padding: tuple[int, int]) -> nn.Module:
        conv = nn.Conv2d(
            channels, filters, layer.sides, layer.strides, padding, layer.dilations, groups, bias=layer.bias
        )
        # Of a depthwise kernel (height, width, channels, multiplier) the last two axes are one in PyTorch.
        layout = TensorLayout(axes=(2, 3, 0, 1), merged=2) if depthwise else TensorLayout(axes=(3, 2, 0, 1))
        builder.note(conv, "weight", "params", stage.name, "kernel", layout)
        if layer.bias:
            builder.note(conv, "bias", "params", stage.name, "bias", TensorLayout())
        return conv

    return _padded(stage, 0.0, make)


def _separable(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    depthwise, pointwise = layer.parts
    between = depthwise.output_shape(stage.before)
    return nn.Sequential(
        builder.make(NamedLayer(f"{stage.name}.depthwise", depthwise, stage.before, between)),
        builder.make(NamedLayer(f"{stage.name}.pointwise", pointwise, between, stage.after)),
    )


def _max_pool(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    del builder
    layer: Any = stage.layer
    pads = _padding(stage)
    pool = nn.MaxPool2d(layer.sides, layer.strides)
    return nn.Sequential(nn.ConstantPad2d(pads, -math.inf), pool) if any(pads) else pool


def _avg_pool(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    del builder
    layer: Any = stage.layer
    left, right, top, bottom = _padding(stage)
    taken = left == right and top == bottom and 2 * left <= layer.sides[1] and 2 * top <= layer.sides[0]
    if not taken and not layer.count_padding:
        return MeanOfPixels(stage, (left, right, top, bottom))
    if not taken:
        pool = nn.AvgPool2d(layer.sides, layer.strides)
        return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), pool)
    return nn.AvgPool2d(layer.sides, layer.strides, (top, left), count_include_pad=layer.count_padding)


# --- single values ----------------------------------------------------------------------------------------------------


def _activation(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    # In place if the backward pass needs only the result.
    return {
        "relu": lambda: nn.ReLU(inplace=builder.in_place),
        "elu": lambda: nn.ELU(inplace=builder.in_place),
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "gelu": nn.GELU,
        "swish": nn.SiLU,
    }[layer.function]()


def _leaky_relu(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    return nn.LeakyReLU(layer.slope, inplace=builder.in_place and layer.slope > 0)


def _prelu(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    module = nn.PReLU(stage.before[-1])
    builder.note(module, "weight", "params", stage.name, "slope", TensorLayout(order=builder.order))
    return module


# --- normalisations ---------------------------------------------------------------------------------------------------


def _batch_norm(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    module = BiasedBatchNorm(layer, stage.before[-1], builder.batch_size * math.prod(stage.before[:-1]))
    order = builder.order
    _note_scale(builder, module, stage)
    builder.note(module, "running_mean", "batch_stats", stage.name, "mean", TensorLayout(order=order))
    larger = TensorLayout(order=order, factor=module.unbiased)
    builder.note(module, "running_var", "batch_stats", stage.name, "var", larger)
    return module


def _note_scale(builder: TorchBuilder, module: nn.Module, stage: NamedLayer) -> None:
    for tensor, part in (("weight", "scale"), ("bias", "bias")):
        if getattr(module, tensor) is not None:
            builder.note(module, tensor, "params", stage.name, part, TensorLayout(order=builder.order))


def _layer_norm(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    module = PerPlaceNorm(stage.before[-1], layer.epsilon)
    _note_scale(builder, module, stage)
    return module


def _group_norm(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    module = nn.GroupNorm(layer.groups, stage.before[-1], layer.epsilon)
    _note_scale(builder, module, stage)
    return module


# --- the others -------------------------------------------------------------------------------------------------------


def _squeeze_excite(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    channels = stage.before[-1]
    few = layer.parts(channels)[0].units
    return TorchSqueezeExcite(
        builder.linear(f"{stage.name}.reduce", channels, few, layer.bias),
        builder.linear(f"{stage.name}.expand", few, channels, layer.bias),
    )


def _flatten(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    if builder.innermost:
        return FlattenChannelsInnermost()
    builder.order = np.arange(stage.after[0]).reshape(stage.before).transpose(2, 0, 1).reshape(-1)
    return nn.Flatten()


def _residual(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    paths = [builder.sequence(getattr(layer, key), stage, key) for key in layer.lists]
    return TorchResidual(paths[0], paths[1], layer.merge)


def _dense(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    layer: Any = stage.layer
    return builder.linear(stage.name, stage.before[0], layer.units, layer.bias)


def _custom(builder: TorchBuilder, stage: NamedLayer) -> nn.Module:
    raise no_rival(stage)


def _own(stage: NamedLayer) -> Any:
    """The stage's layer; the table below guarantees its type."""
    return stage.layer


def _with_rate(module: Callable[[float], nn.Module]) -> Callable[[TorchBuilder, NamedLayer], nn.Module]:
    return lambda builder, stage: module(stage.layer.rate)  # pyright: ignore[reportAttributeAccessIssue]


TORCH_LAYERS: dict[type[LayerStruct], Callable[[TorchBuilder, NamedLayer], nn.Module]] = {
    kinds.Conv: _conv,
    kinds.DepthwiseConv: _conv,
    kinds.SeparableConv: _separable,
    kinds.MaxPool: _max_pool,
    kinds.AvgPool: _avg_pool,
    kinds.GlobalAvgPool: lambda builder, stage: GlobalMean(),
    kinds.Activation: _activation,
    kinds.LeakyRelu: _leaky_relu,
    kinds.PRelu: _prelu,
    kinds.BatchNorm: _batch_norm,
    kinds.LayerNorm: _layer_norm,
    kinds.GroupNorm: _group_norm,
    kinds.Dropout: _with_rate(nn.Dropout),
    kinds.SpatialDropout: _with_rate(nn.Dropout2d),
    kinds.StochasticDepth: _with_rate(TorchStochasticDepth),
    kinds.SqueezeExcite: _squeeze_excite,
    kinds.RepeatChannels: lambda builder, stage: TorchRepeatChannels(_own(stage)),
    kinds.PadChannels: lambda builder, stage: TorchPadChannels(_own(stage).pads(stage.before[-1])),
    kinds.Flatten: _flatten,
    kinds.Dense: _dense,
    kinds.Residual: _residual,
    kinds.Custom: _custom,
}
