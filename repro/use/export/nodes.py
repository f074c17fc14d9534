"""Each layer of the vocabulary as ONNX nodes: one table, and the recursion over lists.

Maps are NCHW here, as in ONNX. Parameters arrive in the canonical form of `fer_jax.network.model` (kernels HWIO,
features in the order height, width, channels). So kernels are transposed on writing, and maps before they are
flattened. Paddings are explicit numbers, because runtimes interpret `SAME_UPPER` differently. The operators are those
of the set that `onnx_file.OPSET` names: what is younger (GELU, the normalisations of one image) is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fer_jax.vocabulary import layers as kinds
from fer_jax.vocabulary.layers import Layer, LayerStruct, Shape, layer_names, output_shapes
from repro.use.export.errors import ExportError


class Graph:
    """Nodes and constants in the order they are added; every node has the name of its output.

    variables: ``{"params": ..., "batch_stats": ...}``, arrays in the canonical form.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.variables = variables

    def constant(self, name: str, values: Any, dtype: type = np.float32) -> str:
        array = np.ascontiguousarray(values, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, name: str, operator: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of a layer by their keys."""
        both = {**self.variables["params"].get(name, {}), **self.variables["batch_stats"].get(name, {})}
        return {key: np.asarray(value) for key, value in both.items()}


def add_layers(graph: Graph, layers: tuple[Layer, ...], x: str, shape: Shape, prefix: str = "") -> str:
    """The nodes of a list of layers after `x`, whose shape is (height, width, channels) or (features,). Returns the
    name of the last output. prefix: of the layers' names."""
    names = layer_names(layers, prefix)
    shapes = (shape, *output_shapes(layers, shape))
    for name, layer, before in zip(names, layers, shapes, strict=False):
        x = LAYER_NODES[type(layer)](graph, name, x, layer, before)
    return x


def _conv(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    given = graph.weights(name)
    kernel = given["kernel"]
    groups = getattr(layer, "groups", 1)
    if isinstance(layer, kinds.DepthwiseConv):
        height, width, groups, multiplier = kernel.shape
        kernel = kernel.reshape(height, width, 1, groups * multiplier)
    inputs = [graph.constant(f"{name}.kernel", kernel.transpose(3, 2, 0, 1))]
    if "bias" in given:
        inputs.append(graph.constant(f"{name}.bias", given["bias"]))
    more: dict[str, Any] = {"group": groups} if groups != 1 else {}
    if layer.dilations != (1, 1):
        more["dilations"] = list(layer.dilations)
    return graph.add(name, "Conv", x, *inputs, **_window(layer, shape), **more)


def _window(layer: Any, shape: Shape) -> dict[str, list[int]]:
    (top, bottom), (left, right) = layer.pads(shape)
    return {
        "kernel_shape": list(layer.sides),
        "strides": list(layer.strides),
        "pads": [top, left, bottom, right],
    }


def _separable(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    depthwise, pointwise = layer.parts
    x = _conv(graph, f"{name}.depthwise", x, depthwise, shape)
    return _conv(graph, f"{name}.pointwise", x, pointwise, depthwise.output_shape(shape))


def _avg_pool(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    more = {"count_include_pad": 1} if layer.count_padding else {}
    return graph.add(name, "AveragePool", x, **_window(layer, shape), **more)


def _means(graph: Graph, name: str, x: str) -> str:
    return graph.add(name, "Flatten", graph.add(f"{name}.means", "GlobalAveragePool", x))


_FUNCTIONS = {"relu": "Relu", "elu": "Elu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


def _activation(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    del shape
    if layer.function == "swish":
        return graph.add(name, "Mul", x, graph.add(f"{name}.sigmoid", "Sigmoid", x))
    if layer.function == "gelu":  # x (1 + erf(x / sqrt 2)) / 2
        erf = graph.add(
            f"{name}.erf",
            "Erf",
            graph.add(f"{name}.scaled", "Mul", x, graph.constant(f"{name}.root", math.sqrt(0.5))),
        )
        twice = graph.add(f"{name}.twice", "Add", erf, graph.constant(f"{name}.one", 1.0))
        half = graph.add(f"{name}.half_of_x", "Mul", x, graph.constant(f"{name}.half", 0.5))
        return graph.add(name, "Mul", half, twice)
    return graph.add(name, _FUNCTIONS[layer.function], x)


def _along_channels(graph: Graph, name: str, values: np.ndarray, shape: Shape) -> str:
    """A vector that broadcasts along the channels of a map (N, C, H, W), or along features (N, C)."""
    return graph.constant(name, values.reshape(-1, 1, 1) if len(shape) == 3 else values)


def _prelu(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    del layer
    return graph.add(name, "PRelu", x, _along_channels(graph, f"{name}.slope", graph.weights(name)["slope"], shape))


def _batch_norm(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    given = {"scale": np.ones(shape[-1]), "bias": np.zeros(shape[-1]), **graph.weights(name)}
    inputs = [graph.constant(f"{name}.{key}", given[key]) for key in ("scale", "bias", "mean", "var")]
    return graph.add(name, "BatchNormalization", x, *inputs, epsilon=layer.epsilon)


def _scaled(graph: Graph, name: str, x: str, shape: Shape) -> str:
    """Times the factor and plus the offset per channel."""
    given = graph.weights(name)
    scale, bias = (_along_channels(graph, f"{name}.{key}", given[key], shape) for key in ("scale", "bias"))
    return graph.add(name, "Add", graph.add(f"{name}.scaled", "Mul", x, scale), bias)


def _layer_norm(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    mean = graph.add(f"{name}.mean", "ReduceMean", x, axes=[1], keepdims=1)
    centred = graph.add(f"{name}.centred", "Sub", x, mean)
    squares = graph.add(f"{name}.squares", "Mul", centred, centred)
    var = graph.add(f"{name}.var", "ReduceMean", squares, axes=[1], keepdims=1)
    safe = graph.add(f"{name}.safe", "Add", var, graph.constant(f"{name}.epsilon", layer.epsilon))
    normal = graph.add(f"{name}.normal", "Div", centred, graph.add(f"{name}.deviation", "Sqrt", safe))
    return _scaled(graph, name, normal, shape)


def _group_norm(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    groups = layer.groups
    parts = graph.add(f"{name}.parts", "Reshape", x, graph.constant(f"{name}.parts_shape", [0, groups, -1], np.int64))
    ones, zeros = (
        graph.constant(f"{name}.{key}", np.full(groups, value)) for key, value in (("ones", 1), ("zeros", 0))
    )
    normal = graph.add(f"{name}.normal", "InstanceNormalization", parts, ones, zeros, epsilon=layer.epsilon)
    back = graph.constant(f"{name}.back", [0, shape[-1], *shape[:-1]], np.int64)
    return _scaled(graph, name, graph.add(f"{name}.map", "Reshape", normal, back), shape)


def _squeeze_excite(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    reduce, expand = layer.parts(shape[-1])
    few = _dense(graph, f"{name}.reduce", _means(graph, f"{name}.squeezed", x), reduce, (shape[-1],))
    few = graph.add(f"{name}.relu", "Relu", few)
    weight = graph.add(f"{name}.sigmoid", "Sigmoid", _dense(graph, f"{name}.expand", few, expand, (reduce.units,)))
    places = graph.constant(f"{name}.places", [2, 3], np.int64)
    return graph.add(name, "Mul", x, graph.add(f"{name}.weight", "Unsqueeze", weight, places))


def _flatten(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    del layer, shape
    return graph.add(name, "Flatten", graph.add(f"{name}.nhwc", "Transpose", x, perm=[0, 2, 3, 1]))


def _dense(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    del layer, shape
    given = graph.weights(name)
    return graph.add(
        name, "Gemm", x, *[graph.constant(f"{name}.{key}", given[key]) for key in ("kernel", "bias") if key in given]
    )


def _residual(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    body = add_layers(graph, layer.body, x, shape, f"{name}.body.")
    shortcut = add_layers(graph, layer.shortcut, x, shape, f"{name}.shortcut.")
    if layer.merge == "sum":
        return graph.add(name, "Add", body, shortcut)
    return graph.add(name, "Concat", shortcut, body, axis=1)


def _repeat_channels(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    del shape
    if not layer.shifts:
        return graph.add(name, "Concat", *[x] * layer.count, axis=1)
    factor, offset = (
        graph.constant(f"{name}.{part}", np.reshape(values, (1, layer.count, 1, 1)))
        for part, values in zip(("factor", "offset"), layer.factor_and_offset, strict=True)
    )
    return graph.add(name, "Add", graph.add(f"{name}.scaled", "Mul", x, factor), offset)


def _pad_channels(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    front, behind = layer.pads(shape[-1])
    pads = graph.constant(f"{name}.pads", [0, front, 0, 0, 0, behind, 0, 0], np.int64)
    return graph.add(name, "Pad", x, pads, mode="constant")


def _nothing(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    """It drops in training only."""
    del graph, name, layer, shape
    return x


def _custom(graph: Graph, name: str, x: str, layer: Any, shape: Shape) -> str:
    raise ExportError(f"{name} is a module of your own ({layer.module}), which has no form in ONNX")


Nodes = Callable[[Graph, str, str, Any, Shape], str]
LAYER_NODES: dict[type[LayerStruct], Nodes] = {
    kinds.Conv: _conv,
    kinds.DepthwiseConv: _conv,
    kinds.SeparableConv: _separable,
    kinds.MaxPool: lambda graph, name, x, layer, shape: graph.add(name, "MaxPool", x, **_window(layer, shape)),
    kinds.AvgPool: _avg_pool,
    kinds.GlobalAvgPool: lambda graph, name, x, layer, shape: _means(graph, name, x),
    kinds.Activation: _activation,
    kinds.LeakyRelu: lambda graph, name, x, layer, shape: graph.add(name, "LeakyRelu", x, alpha=layer.slope),
    kinds.PRelu: _prelu,
    kinds.BatchNorm: _batch_norm,
    kinds.LayerNorm: _layer_norm,
    kinds.GroupNorm: _group_norm,
    kinds.Dropout: _nothing,
    kinds.SpatialDropout: _nothing,
    kinds.StochasticDepth: _nothing,
    kinds.SqueezeExcite: _squeeze_excite,
    kinds.RepeatChannels: _repeat_channels,
    kinds.PadChannels: _pad_channels,
    kinds.Flatten: _flatten,
    kinds.Dense: _dense,
    kinds.Residual: _residual,
    kinds.Custom: _custom,
}
