"""How each layer of the vocabulary is applied: one table, the same for all backends, and the recursion over lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.network import pooling
from fer_jax.network.backends import Backend, LayerStage
from fer_jax.network.custom import apply_custom
from fer_jax.network.modules import (
    BatchNormLayer,
    ConvLayer,
    DenseLayer,
    DepthwiseConvLayer,
    DropoutLayer,
    PerImageNorm,
    PReluLayer,
)
from fer_jax.vocabulary import layers as kinds
from fer_jax.vocabulary.layers import Layer


@dataclass(frozen=True)
class Pass:
    """What every layer is given in one pass beside its input; see `model.Sequential` for the meaning."""

    backend: Backend
    train: bool
    weight_B: Array | None
    axis_name: str | None
    batch_size: int | None


def apply_layers(given: Pass, layers: tuple[Layer, ...], x: Array, prefix: str = "") -> Array:
    """The layers one after the other, inside the compact method of a Flax module, which gets their parameters under
    their names. prefix: of the names."""
    return _apply_stages(given, given.backend.stages(layers, prefix, train=given.train), x)


def _apply_stages(given: Pass, stages: tuple[LayerStage, ...], x: Array) -> Array:
    for stage in stages:
        x = APPLICATIONS[type(stage.layer)](given, stage, x)
    return x


def _conv(given: Pass, stage: LayerStage, x: Array, added: Array | None = None) -> Array:
    norm = _joined_norm(given, stage, _layer(stage).filters)
    return ConvLayer(stage, given.backend, name=stage.name)(x, norm, added)


def _depthwise(given: Pass, stage: LayerStage, x: Array) -> Array:
    filters = x.shape[given.backend.channel_axis] * _layer(stage).multiplier
    return DepthwiseConvLayer(stage, given.backend, name=stage.name)(x, _joined_norm(given, stage, filters))


def _joined_norm(given: Pass, stage: LayerStage, filters: int) -> tuple[Array, Array] | None:
    """Factor and offset of the batch norm that the convolution's step includes, if any."""
    norm = stage.norm
    if norm is None:
        return None
    return BatchNormLayer(norm, given.backend, given.axis_name, name=norm.name).factor_and_offset(filters)


def _separable(given: Pass, stage: LayerStage, x: Array, added: Array | None = None) -> Array:
    first, second = _layer(stage).parts
    x = _depthwise(given, LayerStage(f"{stage.name}.depthwise", first), x)
    return _conv(given, replace(stage, name=f"{stage.name}.pointwise", layer=second), x, added)


def _batch_norm(given: Pass, stage: LayerStage, x: Array) -> Array:
    module = BatchNormLayer(stage, given.backend, given.axis_name, name=stage.name)
    return module(x, train=given.train, weight_B=given.weight_B)


def _drop(each: Literal["value", "channel", "image"], given: Pass, stage: LayerStage, x: Array) -> Array:
    layer = _layer(stage)
    module = DropoutLayer(layer, given.backend, given.axis_name, given.batch_size, each, name=stage.name)
    return module(x, train=given.train)


def _squeeze_excite(given: Pass, stage: LayerStage, x: Array) -> Array:
    parts = _layer(stage).parts(x.shape[given.backend.channel_axis])
    names = (f"{stage.name}.reduce", f"{stage.name}.expand")
    reduce, expand = (
        DenseLayer(LayerStage(name, part), given.backend, name=name) for name, part in zip(names, parts, strict=True)
    )
    weight = jax.nn.sigmoid(expand(jax.nn.relu(reduce(pooling.global_mean(x)))))
    # (batch, channels) or (channels, batch): in both layouts the map's height and width lie between the two.
    return x * weight[:, None, None, :].astype(x.dtype)


def _residual(given: Pass, stage: LayerStage, x: Array) -> Array:
    layer = _layer(stage)
    shortcut = apply_layers(given, layer.shortcut, x, f"{stage.name}.shortcut.")
    *before, last = given.backend.stages(layer.body, f"{stage.name}.body.", train=given.train)
    body = _apply_stages(given, tuple(before), x)
    adds = _ADDING.get(type(last.layer))
    if adds and layer.merge == "sum" and last.pool is None and not last.rectify:
        return adds(given, replace(last, rectify=stage.rectify), body, shortcut)
    body = _apply_stages(given, (last,), body)
    shortcut = shortcut.astype(body.dtype)
    merged = body + shortcut if layer.merge == "sum" else jnp.concatenate([shortcut, body], given.backend.channel_axis)
    return given.backend.activate(merged, "relu") if stage.rectify else merged


def _repeat_channels(given: Pass, stage: LayerStage, x: Array) -> Array:
    layer, axis = _layer(stage), given.backend.channel_axis
    x = jnp.repeat(x, layer.count, axis)
    if not layer.shifts:
        return x
    along = [1] * x.ndim
    along[axis] = layer.count
    factor, offset = (jnp.asarray(values, x.dtype).reshape(along) for values in layer.factor_and_offset)
    return x * factor + offset


def _pad_channels(given: Pass, stage: LayerStage, x: Array) -> Array:
    axis = given.backend.channel_axis
    pads = [(0, 0)] * x.ndim
    pads[axis] = _layer(stage).pads(x.shape[axis])
    return jnp.pad(x, pads)


def _layer(stage: LayerStage) -> Any:
    """The stage's layer; the table below guarantees its type."""
    return stage.layer


# The convolutions that can add a shortcut to their sums.
_ADDING: dict[type[kinds.LayerStruct], Callable[[Pass, LayerStage, Array, Array], Array]] = {
    kinds.Conv: _conv,
    kinds.SeparableConv: _separable,
}

Application = Callable[[Pass, LayerStage, Array], Array]
APPLICATIONS: dict[type[kinds.LayerStruct], Application] = {
    kinds.Conv: _conv,
    kinds.DepthwiseConv: _depthwise,
    kinds.SeparableConv: _separable,
    kinds.Dense: lambda given, stage, x: DenseLayer(stage, given.backend, name=stage.name)(x),
    kinds.MaxPool: lambda given, stage, x: given.backend.max_pool(x, _layer(stage)),
    kinds.AvgPool: lambda given, stage, x: pooling.avg_pool(x, _layer(stage)),
    kinds.GlobalAvgPool: lambda given, stage, x: pooling.global_mean(x),
    kinds.Activation: lambda given, stage, x: given.backend.activate(x, _layer(stage).function),
    kinds.LeakyRelu: lambda given, stage, x: jnp.where(x > 0, x, x * _layer(stage).slope),
    kinds.PRelu: lambda given, stage, x: PReluLayer(_layer(stage), given.backend, name=stage.name)(x),
    kinds.BatchNorm: _batch_norm,
    kinds.LayerNorm: lambda given, stage, x: PerImageNorm(_layer(stage), given.backend, name=stage.name)(x),
    kinds.GroupNorm: lambda given, stage, x: PerImageNorm(_layer(stage), given.backend, name=stage.name)(x),
    kinds.Dropout: partial(_drop, "value"),
    kinds.SpatialDropout: partial(_drop, "channel"),
    kinds.StochasticDepth: partial(_drop, "image"),
    kinds.SqueezeExcite: _squeeze_excite,
    kinds.RepeatChannels: _repeat_channels,
    kinds.PadChannels: _pad_channels,
    kinds.Flatten: lambda given, stage, x: given.backend.flatten(x),
    kinds.Residual: _residual,
    kinds.Custom: lambda given, stage, x: apply_custom(_layer(stage), stage.name, x, train=given.train),
}
