"""Every layer of the vocabulary in NumPy and float64, by its definition, and small lists that exercise each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fer_jax.vocabulary import layers as kinds
from fer_jax.vocabulary.layers import Layer, Shape, layer_names, output_shapes

SIZE = 11  # pixels of the cases' faces
Variables = dict[str, dict[str, dict[str, np.ndarray]]]
RELU, BN = kinds.Activation(function="relu"), kinds.BatchNorm(epsilon=0.1)


def _conv(filters: int, kernel: Any = 3, **more: Any) -> kinds.Conv:
    return kinds.Conv(filters=filters, kernel=kernel, **more)


def _block(filters: int, stride: int = 1, merge: Any = "sum") -> kinds.Residual:
    body = (_conv(filters, stride=stride, padding="same"), BN, RELU, _conv(filters, padding="same", bias=False), BN)
    return kinds.Residual(body=body, shortcut=(_conv(filters, 1, stride=stride), BN), merge=merge)


# Lists that begin with one gray face of SIZE x SIZE and hold the layer that they are named after.
CASES: dict[str, tuple[Layer, ...]] = {
    "conv": (_conv(4, padding="same"),),
    "grouped": (_conv(4), _conv(6, groups=2, padding="same", stride=2)),
    "dilated": (_conv(2), _conv(3, dilation=2, padding="same"), _conv(2, 2, dilation=(3, 2))),
    "rectangular": (_conv(3, (3, 2), padding="same"), _conv(2, (1, 4), stride=(1, 2))),
    "numeric padding": (_conv(3, padding=1, stride=2), _conv(3, padding=(2, 0))),
    "strided 1x1": (_conv(3), _conv(4, 1, stride=2)),
    "depthwise_conv": (
        _conv(3),
        kinds.DepthwiseConv(kernel=3, padding="same", multiplier=2),
        kinds.DepthwiseConv(kernel=(2, 3), stride=2, padding="same", bias=False),
        kinds.DepthwiseConv(kernel=2, dilation=2, padding=1),
    ),
    "separable_conv": (
        _conv(3),
        kinds.SeparableConv(filters=4, kernel=3, padding="same", multiplier=2),
        kinds.SeparableConv(filters=3, kernel=3, stride=2, bias=False),
    ),
    "max_pool": (_conv(2), kinds.MaxPool(window=3, stride=2, padding=1), kinds.MaxPool(window=(1, 2), stride=(1, 2))),
    "avg_pool": (_conv(2, padding="same"), kinds.AvgPool(window=3, stride=2, padding="same")),
    "avg_pool side by side": (_conv(2, padding="same"), kinds.AvgPool(window=2)),
    "avg_pool with its padding": (
        _conv(2),
        kinds.AvgPool(window=3, stride=2, padding=1, count_padding=True),
        kinds.AvgPool(window=(3, 2), stride=1, padding=(1, 0)),
    ),
    "global_avg_pool": (_conv(5), kinds.GlobalAvgPool()),
    "gelu": (_conv(3), kinds.Activation(function="gelu"), kinds.MaxPool(window=2)),
    "swish": (_conv(3), kinds.Activation(function="swish"), kinds.MaxPool(window=2)),
    "leaky_relu": (_conv(3), kinds.LeakyRelu(slope=0.2), kinds.MaxPool(window=2)),
    "prelu": (_conv(3), kinds.PRelu(), kinds.GlobalAvgPool(), kinds.PRelu(start=0.0)),
    "batch_norm without scale": (_conv(3), kinds.BatchNorm(scale=False), kinds.MaxPool(window=2)),
    "batch_norm without center": (_conv(3), kinds.BatchNorm(center=False, epsilon=0.1), RELU),
    "layer_norm": (_conv(4), kinds.LayerNorm(epsilon=0.01), kinds.GlobalAvgPool(), kinds.LayerNorm()),
    "group_norm": (_conv(6), kinds.GroupNorm(groups=3, epsilon=0.01), kinds.Flatten(), kinds.GroupNorm(groups=2)),
    "dropout": (_conv(3), kinds.Dropout(rate=0.5)),
    "spatial_dropout": (_conv(3), kinds.SpatialDropout(rate=0.5)),
    "stochastic_depth": (
        _conv(3),
        kinds.Residual(body=(_conv(3, padding="same"), kinds.StochasticDepth(rate=0.5))),
    ),
    "squeeze_excite": (_conv(4), kinds.SqueezeExcite(ratio=2), kinds.SqueezeExcite(ratio=16, bias=False)),
    "repeat_channels": (kinds.RepeatChannels(count=3), _conv(2)),
    "repeat_channels with statistics": (
        kinds.RepeatChannels(count=3, subtract=(0.5, 0.4, -0.1), divide=(0.2, 0.3, 2.0)),
        _conv(2),
    ),
    "pad_channels": (
        _conv(3),
        kinds.Residual(
            body=(_conv(6, stride=2, padding="same"),),
            shortcut=(kinds.AvgPool(window=2, padding="same"), kinds.PadChannels(channels=6)),
        ),
        kinds.PadChannels(channels=7, side="behind"),
    ),
    "residual": (_conv(3), _block(4, 2), kinds.Residual(body=(RELU, _conv(4, padding="same"))), RELU),
    "residual that concatenates": (_conv(3), _block(4, 2, "concatenate"), RELU),
    "residual in a residual": (
        _conv(2),
        kinds.Residual(body=(_block(2), RELU, _block(3)), shortcut=(_block(3),), merge="concatenate"),
    ),
    "residual of features": (kinds.Flatten(), kinds.Dense(units=5), kinds.Residual(body=(RELU, kinds.Dense(units=5)))),
}


def network_of(name: str) -> tuple[Layer, ...]:
    """A case with logits of seven classes at its end."""
    layers = CASES[name]
    flat = len(output_shapes(layers, (SIZE, SIZE, 1))[-1]) == 1
    return (*layers, *(() if flat else (kinds.Flatten(),)), kinds.Dense(units=7))


def random_variables(layers: tuple[Layer, ...], shape: Shape, seed: int = 0) -> Variables:
    """Parameters, and batch statistics, of about the size that training leaves."""
    variables: Variables = {"params": {}, "batch_stats": {}}
    _fill(variables, layers, shape, np.random.default_rng(seed), "")
    return variables


def _fill(variables: Variables, layers: tuple[Layer, ...], shape: Shape, random: Any, prefix: str) -> None:
    def normal(*size: int) -> np.ndarray:
        return (random.normal(0, 0.9, size) / math.sqrt(math.prod(size[:-1]))).astype(np.float32)

    def near_one(count: int) -> np.ndarray:
        return random.uniform(0.5, 1.5, count).astype(np.float32)

    def weighted(name: str, layer: Any, kernel: tuple[int, ...], outputs: int) -> None:
        variables["params"][name] = {"kernel": normal(*kernel)}
        if layer.bias:
            variables["params"][name]["bias"] = normal(outputs)

    names, shapes = layer_names(layers, prefix), output_shapes(layers, shape)
    for name, layer, after in zip(names, layers, shapes, strict=True):
        channels = shape[-1]
        match layer:
            case kinds.Conv() | kinds.DepthwiseConv():
                weighted(name, layer, layer.kernel_shape(channels), after[-1])
            case kinds.SeparableConv():
                depthwise, pointwise = layer.parts
                weighted(f"{name}.depthwise", depthwise, depthwise.kernel_shape(channels), 0)
                middle = channels * layer.multiplier
                weighted(f"{name}.pointwise", pointwise, pointwise.kernel_shape(middle), after[-1])
            case kinds.Dense():
                weighted(name, layer, (channels, after[-1]), after[-1])
            case kinds.SqueezeExcite():
                reduce, expand = layer.parts(channels)
                weighted(f"{name}.reduce", reduce, (channels, reduce.units), reduce.units)
                weighted(f"{name}.expand", expand, (reduce.units, channels), channels)
            case kinds.PRelu():
                variables["params"][name] = {"slope": normal(channels)}
            case kinds.BatchNorm() | kinds.LayerNorm() | kinds.GroupNorm():
                found = {"scale": near_one(channels), "bias": normal(channels)}
                if isinstance(layer, kinds.BatchNorm):
                    found = {k: v for k, v in found.items() if getattr(layer, {"bias": "center"}.get(k, k))}
                    variables["batch_stats"][name] = {"mean": normal(channels), "var": near_one(channels)}
                variables["params"][name] = found
            case kinds.Residual():
                for key in layer.lists:
                    _fill(variables, getattr(layer, key), shape, random, f"{name}.{key}.")
        shape = after


def apply(layers: tuple[Layer, ...], variables: Variables, x: np.ndarray, prefix: str = "") -> np.ndarray:
    """One image (height, width, channels), or its features, through the layers in evaluation."""
    for name, layer in zip(layer_names(layers, prefix), layers, strict=True):
        x = _one(name, layer, variables, x)
    return x


def _weights(variables: Variables, name: str) -> dict[str, np.ndarray]:
    groups = (variables["params"].get(name, {}), variables["batch_stats"].get(name, {}))
    return {key: np.asarray(value, np.float64) for group in groups for key, value in group.items()}


def _windows(layer: Any, x_HWC: np.ndarray, value: float) -> np.ndarray:
    """(rows, columns, window's height, window's width, channels). `same` gives one window per stride, and what it has
    to add goes evenly to both sides, the odd pixel behind."""
    places = []
    for axis in (0, 1):
        size, window, stride, step = x_HWC.shape[axis], layer.sides[axis], layer.strides[axis], layer.dilations[axis]
        reach = (window - 1) * step + 1
        if layer.padding == "same":
            count = math.ceil(size / stride)
            missing = max((count - 1) * stride + reach - size, 0)
            widths = (missing // 2, missing - missing // 2)
        else:
            numbers = 0 if layer.padding == "valid" else layer.padding
            widths = ((numbers if isinstance(numbers, int) else numbers[axis]),) * 2
            count = (size + sum(widths) - reach) // stride + 1
        pads: list[tuple[int, ...]] = [(0, 0)] * 3
        pads[axis] = widths
        x_HWC = np.pad(x_HWC, pads, constant_values=value)
        places.append([[start * stride + i * step for i in range(window)] for start in range(count)])
    rows, columns = places
    return np.array([[x_HWC[np.ix_(row, column)] for column in columns] for row in rows])


def _convolved(layer: Any, x: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
    patches, kernel = _windows(layer, x, 0), given["kernel"]
    if isinstance(layer, kinds.DepthwiseConv):
        y = np.einsum("hwijc,ijcm->hwcm", patches, kernel).reshape(*patches.shape[:2], -1)
    else:
        parts, filters = np.split(patches, layer.groups, -1), np.split(kernel, layer.groups, -1)
        y = np.concatenate([np.tensordot(p, k, 3) for p, k in zip(parts, filters, strict=True)], -1)
    return y + given.get("bias", 0)


def _normal(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def _dense(x: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
    return x @ given["kernel"] + given.get("bias", 0)


FUNCTIONS: dict[str, Any] = {
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "swish": lambda x: x / (1 + np.exp(-x)),
}


def _one(name: str, layer: Layer, variables: Variables, x: np.ndarray) -> np.ndarray:
    given = _weights(variables, name)
    match layer:
        case kinds.Conv() | kinds.DepthwiseConv():
            return _convolved(layer, x, given)
        case kinds.SeparableConv():
            for part, inner in zip(("depthwise", "pointwise"), layer.parts, strict=True):
                x = _convolved(inner, x, _weights(variables, f"{name}.{part}"))
            return x
        case kinds.MaxPool():
            return _windows(layer, x, -np.inf).max((2, 3))
        case kinds.AvgPool():
            inside = _windows(layer, np.ones_like(x), 1.0 if layer.count_padding else 0.0)
            return _windows(layer, x, 0).sum((2, 3)) / inside.sum((2, 3))
        case kinds.GlobalAvgPool():
            return x.mean((0, 1))
        case kinds.Activation():
            return FUNCTIONS[layer.function](x)
        case kinds.LeakyRelu():
            return np.where(x > 0, x, layer.slope * x)
        case kinds.PRelu():
            return np.where(x > 0, x, given["slope"] * x)
        case kinds.BatchNorm():
            normal = (x - given["mean"]) / np.sqrt(given["var"] + layer.epsilon)
            return normal * given.get("scale", 1) + given.get("bias", 0)
        case kinds.LayerNorm():
            return _normal(x, (x.ndim - 1,), layer.epsilon) * given["scale"] + given["bias"]
        case kinds.GroupNorm():
            parts = x.reshape(*x.shape[:-1], layer.groups, -1)
            axes = tuple(i for i in range(parts.ndim) if i != x.ndim - 1)
            return _normal(parts, axes, layer.epsilon).reshape(x.shape) * given["scale"] + given["bias"]
        case kinds.Dropout() | kinds.SpatialDropout() | kinds.StochasticDepth():
            return x
        case kinds.SqueezeExcite():
            few = np.maximum(_dense(x.mean((0, 1)), _weights(variables, f"{name}.reduce")), 0)
            return x * FUNCTIONS["sigmoid"](_dense(few, _weights(variables, f"{name}.expand")))
        case kinds.RepeatChannels():
            repeated = np.concatenate([x] * layer.count, -1)
            return (repeated - np.array(layer.subtract or (0,))) / np.array(layer.divide or (1,))
        case kinds.PadChannels():
            missing = layer.channels - x.shape[-1]
            front = missing // 2 if layer.side == "both" else 0
            return np.pad(x, [(0, 0), (0, 0), (front, missing - front)])
        case kinds.Flatten():
            return x.ravel()
        case kinds.Dense():
            return _dense(x, given)
        case kinds.Residual():
            body, shortcut = (apply(getattr(layer, key), variables, x, f"{name}.{key}.") for key in layer.lists)
            return body + shortcut if layer.merge == "sum" else np.concatenate([shortcut, body], -1)
    raise NotImplementedError(f"no definition of {type(layer).__name__} in NumPy")
