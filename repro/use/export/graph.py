"""A network as an ONNX graph, including the preprocessing of its pixels.

Maps are NCHW here, as in ONNX. Parameters arrive in the canonical form of `fer_jax.network.model` (kernels HWIO,
features in the order height, width, channels). So kernels are transposed on writing, and maps before they are
flattened. Paddings are explicit numbers, because runtimes interpret `SAME_UPPER` differently.
"""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_jax.data.faces import EMOTIONS
from fer_jax.data.images import area_sums
from fer_jax.network.model import hidden_layers, output_activation
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Shape,
    layer_names,
    ordinal_names,
    output_shapes,
    pool_stride,
    same_padding,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.step_kinds import Resize

FACES, PROBABILITIES = "faces", "probabilities"  # the names of the input and of the output
_ACTIVATIONS = {"relu": "Relu", "elu": "Elu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


class _Graph:
    """Nodes and constants in the order they are added; every node has the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: Any, dtype: type = np.float32) -> str:
        array = np.ascontiguousarray(values, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, name: str, operator: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name


def network_graph(
    network: Network, variables: dict[str, Any], size: int, resizes: tuple[Resize, ...], temperature: float = 1.0
) -> onnx.GraphProto:
    """From "faces", uint8 (N, size, size), to "probabilities", float32 (N, 7) in the order of EMOTIONS.

    Args:
        variables: ``{"params": ..., "batch_stats": ...}``, arrays in the canonical form.
        resizes: applied to the faces first, in order; the last gives the size `network.image_size`.
        temperature: by which the logarithms of the probabilities are divided.
    """
    graph = _Graph()
    x, pixels = FACES, size
    for name, step in zip(ordinal_names("resize" for _ in resizes), resizes, strict=True):
        x, pixels = _shrink(graph, name, x, step, pixels), step.size
    x = _normalise(graph, x, network)
    shape: Shape = (pixels, pixels, 1)
    layers = hidden_layers(network.layers)
    for name, layer, after in zip(layer_names(layers), layers, output_shapes(layers, shape), strict=True):
        weights = {**variables["params"].get(name, {}), **variables["batch_stats"].get(name, {})}
        x, shape = _layer(graph, name, x, layer, shape, weights), after
    _probabilities(graph, x, output_activation(network.layers), temperature)
    return helper.make_graph(
        graph.nodes,
        "faces to probabilities",
        [helper.make_tensor_value_info(FACES, TensorProto.UINT8, ["N", size, size])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", len(EMOTIONS)])],
        graph.constants,
    )


def _shrink(graph: _Graph, name: str, x: str, step: Resize, size: int) -> str:
    """`fer_jax.data.steps.resized` of faces of this size: the same sums in double precision in the same order, so that
    values at the border of two gray levels round to the same side."""
    row_taps, column_taps, factor = area_sums(size, size, step.size)
    x = graph.add(f"{name}.double", "Cast", x, to=TensorProto.DOUBLE)
    for along, axis, taps in (("columns", 2, column_taps), ("rows", 1, row_taps)):
        total = ""
        for tap, (index, weight) in enumerate(zip(*taps, strict=True), 1):
            at = f"{name}.{along}{tap}"
            taken = graph.add(f"{at}.taken", "Gather", x, graph.constant(f"{at}.index", index, np.int64), axis=axis)
            shaped = weight if axis == 2 else weight[:, None]
            covered = graph.add(f"{at}.covered", "Mul", taken, graph.constant(f"{at}.weight", shaped, np.float64))
            total = graph.add(f"{at}.total", "Add", total, covered) if total else covered
        x = total
    if factor != 1.0:
        x = graph.add(f"{name}.mean", "Mul", x, graph.constant(f"{name}.factor", factor, np.float64))
    if step.rounding == "round":
        x = graph.add(f"{name}.rounded", "Round", x)
    return graph.add(name, "Cast", x, to=TensorProto.UINT8)


def _normalise(graph: _Graph, x: str, network: Network) -> str:
    """(pixel - subtract) / divide as the engine computes it, in maps (N, 1, height, width)."""
    x = graph.add("pixels", "Cast", x, to=TensorProto.FLOAT)
    x = graph.add("shifted", "Sub", x, graph.constant("subtract", network.subtract))
    x = graph.add("normalised", "Mul", x, graph.constant("one_by_divide", 1.0 / network.divide))
    return graph.add("maps", "Unsqueeze", x, graph.constant("channel_axis", [1], np.int64))


def _layer(graph: _Graph, name: str, x: str, layer: Layer, shape: Shape, weights: dict[str, Any]) -> str:
    """One layer; `shape` is its input's, (height, width, channels) or (features,)."""
    given = {key: graph.constant(f"{name}.{key}", _turned(layer, key, value)) for key, value in weights.items()}
    match layer:
        case Conv(kernel=window, stride=stride):
            inputs = [given[key] for key in ("kernel", "bias") if key in given]
            return graph.add(name, "Conv", x, *inputs, **_window(shape, window, stride, layer.padding))
        case MaxPool(window=window):
            return graph.add(name, "MaxPool", x, **_window(shape, window, pool_stride(layer), layer.padding))
        case Activation(function=function):
            return graph.add(name, _ACTIVATIONS[function], x)
        case BatchNorm(epsilon=epsilon):
            inputs = [given[key] for key in ("scale", "bias", "mean", "var")]
            return graph.add(name, "BatchNormalization", x, *inputs, epsilon=epsilon)
        case Dropout():
            return x  # drops in training only
        case Flatten():
            return graph.add(name, "Flatten", graph.add(f"{name}.nhwc", "Transpose", x, perm=[0, 2, 3, 1]))
        case Dense():
            return graph.add(name, "Gemm", x, *[given[key] for key in ("kernel", "bias") if key in given])
        case _:
            assert_never(layer)


def _turned(layer: Layer, key: str, values: Any) -> np.ndarray:
    """A convolution's kernel as OIHW, everything else unchanged."""
    array = np.asarray(values)
    return array.transpose(3, 2, 0, 1) if isinstance(layer, Conv) and key == "kernel" else array


def _window(shape: Shape, window: int, stride: int, padding: str) -> dict[str, list[int]]:
    pads = [same_padding(size, window, stride) if padding == "same" else (0, 0) for size in shape[:2]]
    (top, bottom), (left, right) = pads
    return {"kernel_shape": [window] * 2, "strides": [stride] * 2, "pads": [top, left, bottom, right]}


def _probabilities(graph: _Graph, logits: str, output: str, temperature: float) -> None:
    """`fer_jax.train.losses.probabilities`. Sigmoids divided by their sum are a softmax of their logarithms, and
    log sigmoid(x) = -softplus(-x). This form keeps its digits if all sigmoids are near zero. It also gives the same
    result in runtimes that clip a sigmoid there (below -18, say)."""
    if output == "sigmoid":
        softplus = graph.add("softplus", "Softplus", graph.add("negated", "Neg", logits))
        logits = graph.add("log_sigmoid", "Neg", softplus)
    if temperature != 1.0:
        logits = graph.add("calibrated", "Div", logits, graph.constant("temperature", temperature))
    graph.add(PROBABILITIES, "Softmax", logits, axis=1)
