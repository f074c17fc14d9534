"""Each layer of the vocabulary as Keras layers: one table. Imported after Keras has its backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras  # pyright: ignore[reportMissingImports]
import numpy as np

from fer_jax.vocabulary import layers as kinds
from fer_jax.vocabulary.layers import LayerStruct
from fer_jax.vocabulary.settings import Loss
from repro.bench.contenders.stages import NamedLayer, list_stages, no_rival

Place = tuple[str, str, str]  # of an array in the variables: params or batch_stats, the layer's name, its part
_SCALE, _STATISTICS = {"scale": "gamma", "bias": "beta"}, {"mean": "moving_mean", "var": "moving_variance"}


@dataclass
class KerasBuilder:
    """Applies the layers of a network to a symbolic tensor, and notes where the values of their variables lie.

    noted: (layer, the name of its variable, the place of its values). The shapes are the same but for axes of 1.
    """

    loss: Loss
    policy: Any
    noted: list[tuple[Any, str, Place]] = field(default_factory=list)

    def apply(self, stage: NamedLayer, x: Any) -> Any:
        return KERAS_LAYERS[type(stage.layer)](self, stage, x)

    def sequence(self, stages: tuple[NamedLayer, ...], x: Any) -> Any:
        for stage in stages:
            x = self.apply(stage, x)
        return x

    def penalty(self, of_kernel: bool) -> Any:
        given = self.loss.l2 and (of_kernel or self.loss.l2_biases)
        return keras.regularizers.L2(self.loss.l2) if given else None

    def named(self, name: str) -> dict[str, Any]:
        return {"name": name, "dtype": self.policy}

    def note(self, layer: Any, name: str, parts: dict[str, str], kind: str = "params") -> None:
        self.noted += [(layer, variable, (kind, name, part)) for part, variable in parts.items()]

    def dense(self, name: str, layer: kinds.Dense, x: Any) -> Any:
        made = keras.layers.Dense(
            layer.units,
            use_bias=layer.bias,
            kernel_regularizer=self.penalty(True),
            bias_regularizer=self.penalty(False),
            **self.named(name),
        )
        return self.weighted(made, name, layer, x)

    def weighted(self, made: Any, name: str, layer: Any, x: Any) -> Any:
        """What a Keras layer with a kernel, and perhaps a bias, makes of x."""
        y = made(x)
        self.note(made, name, {"kernel": "kernel"} | ({"bias": "bias"} if layer.bias else {}))
        return y


# --- convolutions and poolings ----------------------------------------------------------------------------------------


def _padded(stage: NamedLayer, x: Any, value: float = 0.0) -> tuple[Any, str]:
    """The map with a numeric padding, and how the layer pads what is left."""
    layer: Any = stage.layer
    if isinstance(layer.padding, str):
        return x, layer.padding
    pads = ((0, 0), *layer.pads(stage.before), (0, 0))
    pad = keras.layers.Lambda(lambda y: keras.ops.pad(y, pads, constant_values=value), name=f"{stage.name}.padding")
    return pad(x), "valid"


def _stride(layer: Any) -> Any:
    """Keras takes one stride for both sides in depthwise convolutions."""
    down, across = layer.strides
    if down != across:
        raise ValueError("Keras has no depthwise convolution whose strides differ")
    return down


def _conv(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    x, padding = _padded(stage, x)
    made = keras.layers.Conv2D(
        layer.filters,
        layer.sides,
        layer.strides,
        padding,
        dilation_rate=layer.dilations,
        groups=layer.groups,
        use_bias=layer.bias,
        kernel_regularizer=builder.penalty(True),
        bias_regularizer=builder.penalty(False),
        **builder.named(stage.name),
    )
    return builder.weighted(made, stage.name, layer, x)


def _depthwise(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    x, padding = _padded(stage, x)
    made = keras.layers.DepthwiseConv2D(
        layer.sides,
        _stride(layer),
        padding,
        layer.multiplier,
        dilation_rate=layer.dilations,
        use_bias=layer.bias,
        depthwise_regularizer=builder.penalty(True),
        bias_regularizer=builder.penalty(False),
        **builder.named(stage.name),
    )
    return builder.weighted(made, stage.name, layer, x)


def _separable(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    x, padding = _padded(stage, x)
    made = keras.layers.SeparableConv2D(
        layer.filters,
        layer.sides,
        _stride(layer),
        padding,
        depth_multiplier=layer.multiplier,
        use_bias=layer.bias,
        depthwise_regularizer=builder.penalty(True),
        pointwise_regularizer=builder.penalty(True),
        bias_regularizer=builder.penalty(False),
        **builder.named(stage.name),
    )
    y = made(x)
    builder.note(made, f"{stage.name}.depthwise", {"kernel": "depthwise_kernel"})
    parts = {"kernel": "pointwise_kernel"} | ({"bias": "bias"} if layer.bias else {})
    builder.note(made, f"{stage.name}.pointwise", parts)
    return y


def _max_pool(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    x, padding = _padded(stage, x, -math.inf)
    return keras.layers.MaxPooling2D(layer.sides, layer.strides, padding, **builder.named(stage.name))(x)


def _avg_pool(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    if layer.padding == "same" and layer.count_padding:
        pads = ((0, 0), *layer.pads(stage.before), (0, 0))
        x = keras.layers.Lambda(lambda y: keras.ops.pad(y, pads), name=f"{stage.name}.padding")(x)
        padding = "valid"
    else:
        x, padding = _padded(stage, x)
    y = keras.layers.AveragePooling2D(layer.sides, layer.strides, padding, **builder.named(stage.name))(x)
    if isinstance(layer.padding, str) or layer.count_padding:
        return y
    # Keras leaves only its own padding out of a mean.
    rows, columns = (
        _pixels(stage.before[axis], stage.after[axis], layer.sides[axis], layer.strides[axis], before)
        for axis, (before, _) in enumerate(layer.pads(stage.before))
    )
    factor = (math.prod(layer.sides) / (rows[:, None] * columns))[None, :, :, None].astype(np.float32)
    return keras.layers.Lambda(lambda z: z * keras.ops.cast(factor, z.dtype), name=f"{stage.name}.factor")(y)


def _pixels(size: int, count: int, window: int, stride: int, before: int) -> np.ndarray:
    """How many pixels of an axis, without its padding, lie in each window."""
    starts = np.arange(count) * stride - before
    return np.minimum(starts + window, size) - np.maximum(starts, 0)


# --- single values and normalisations ---------------------------------------------------------------------------------


def _activation(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    function = {"swish": "silu"}.get(layer.function, layer.function)
    return keras.layers.Activation(function, **builder.named(stage.name))(x)


def _prelu(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    shared = [1, 2] if len(stage.before) == 3 else None
    made = keras.layers.PReLU(alpha_regularizer=builder.penalty(False), shared_axes=shared, **builder.named(stage.name))
    y = made(x)
    builder.note(made, stage.name, {"slope": "alpha"})
    return y


def _batch_norm(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    made = keras.layers.BatchNormalization(
        momentum=layer.momentum,
        epsilon=layer.epsilon,
        center=layer.center,
        scale=layer.scale,
        **_scale_penalties(builder),
        **builder.named(stage.name),
    )
    y = made(x)
    has = {"scale": layer.scale, "bias": layer.center}
    builder.note(made, stage.name, {part: variable for part, variable in _SCALE.items() if has[part]})
    builder.note(made, stage.name, _STATISTICS, "batch_stats")
    return y


def _scale_penalties(builder: KerasBuilder) -> dict[str, Any]:
    return {"gamma_regularizer": builder.penalty(False), "beta_regularizer": builder.penalty(False)}


def _per_image_norm(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    given = {"epsilon": layer.epsilon, **_scale_penalties(builder), **builder.named(stage.name)}
    if isinstance(layer, kinds.GroupNorm):
        made = keras.layers.GroupNormalization(layer.groups, **given)
    else:
        made = keras.layers.LayerNormalization(**given)
    y = made(x)
    builder.note(made, stage.name, _SCALE)
    return y


# --- the others -------------------------------------------------------------------------------------------------------


def _drop(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    given = builder.named(stage.name)
    if isinstance(layer, kinds.SpatialDropout):
        return keras.layers.SpatialDropout2D(layer.rate, seed=0, **given)(x)
    # A noise shape with one value per image is stochastic depth.
    shape = (None, *[1] * len(stage.before)) if isinstance(layer, kinds.StochasticDepth) else None
    return keras.layers.Dropout(layer.rate, noise_shape=shape, seed=0, **given)(x)


def _squeeze_excite(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    channels = stage.before[-1]
    reduce, expand = layer.parts(channels)
    few = keras.layers.GlobalAveragePooling2D(**builder.named(f"{stage.name}.squeezed"))(x)
    few = keras.layers.Activation("relu", **builder.named(f"{stage.name}.relu"))(
        builder.dense(f"{stage.name}.reduce", reduce, few)
    )
    weight = keras.layers.Activation("sigmoid", **builder.named(f"{stage.name}.sigmoid"))(
        builder.dense(f"{stage.name}.expand", expand, few)
    )
    weight = keras.layers.Reshape((1, 1, channels), **builder.named(f"{stage.name}.weight"))(weight)
    return keras.layers.Multiply(**builder.named(stage.name))([x, weight])


def _residual(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    body, shortcut = (
        builder.sequence(list_stages(getattr(layer, key), stage.before, f"{stage.name}.{key}."), x)
        for key in layer.lists
    )
    if layer.merge == "sum":
        return keras.layers.Add(**builder.named(stage.name))([body, shortcut])
    return keras.layers.Concatenate(**builder.named(stage.name))([shortcut, body])


def _plain(make: Callable[[Any], Callable[..., Any]]) -> Callable[[KerasBuilder, NamedLayer, Any], Any]:
    """A layer without variables: `make` gives its class or partial from the settings."""
    return lambda builder, stage, x: make(stage.layer)(**builder.named(stage.name))(x)


def _repeat(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    if not layer.shifts:
        return keras.layers.Concatenate(**builder.named(stage.name))([x] * stage.after[-1])
    channels = [
        keras.layers.Rescaling(factor, offset, **builder.named(f"{stage.name}.channel{index}"))(x)
        for index, (factor, offset) in enumerate(zip(*layer.factor_and_offset, strict=True))
    ]
    return keras.layers.Concatenate(**builder.named(stage.name))(channels)


def _pad_channels(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    """Zeros beside the columns of the map with its columns and channels exchanged."""
    layer: Any = stage.layer
    pads = ((0, 0), layer.pads(stage.before[-1]))
    x = keras.layers.Permute((1, 3, 2), **builder.named(f"{stage.name}.columns_last"))(x)
    x = keras.layers.ZeroPadding2D(pads, data_format="channels_last", **builder.named(f"{stage.name}.zeros"))(x)
    return keras.layers.Permute((1, 3, 2), **builder.named(stage.name))(x)


def _leaky_relu(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    return keras.layers.LeakyReLU(layer.slope, **builder.named(stage.name))(x)


def _custom(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    raise no_rival(stage)


def _dense(builder: KerasBuilder, stage: NamedLayer, x: Any) -> Any:
    layer: Any = stage.layer
    return builder.dense(stage.name, layer, x)


KERAS_LAYERS: dict[type[LayerStruct], Callable[[KerasBuilder, NamedLayer, Any], Any]] = {
    kinds.Conv: _conv,
    kinds.DepthwiseConv: _depthwise,
    kinds.SeparableConv: _separable,
    kinds.MaxPool: _max_pool,
    kinds.AvgPool: _avg_pool,
    kinds.GlobalAvgPool: _plain(lambda layer: keras.layers.GlobalAveragePooling2D),
    kinds.Activation: _activation,
    kinds.LeakyRelu: _leaky_relu,
    kinds.PRelu: _prelu,
    kinds.BatchNorm: _batch_norm,
    kinds.LayerNorm: _per_image_norm,
    kinds.GroupNorm: _per_image_norm,
    kinds.Dropout: _drop,
    kinds.SpatialDropout: _drop,
    kinds.StochasticDepth: _drop,
    kinds.SqueezeExcite: _squeeze_excite,
    kinds.RepeatChannels: _repeat,
    kinds.PadChannels: _pad_channels,
    kinds.Flatten: _plain(lambda layer: keras.layers.Flatten),
    kinds.Dense: _dense,
    kinds.Residual: _residual,
    kinds.Custom: _custom,
}
