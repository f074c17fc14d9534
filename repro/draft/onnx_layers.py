"""The layers of an ONNX graph. The graph is read, not run; external data are not loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.draft.drafted import (
    DraftedLayer,
    DraftedModel,
    DraftError,
    Setting,
    activation,
    convolution,
    padding_of,
    sides,
    unsupported,
)

_ACTIVATIONS = ("Relu", "Elu", "Tanh", "Sigmoid", "Softmax", "Selu", "Gelu", "HardSigmoid")
_POOLS = {"MaxPool": "max_pool", "AveragePool": "avg_pool"}
_SHAPES = ("Identity", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Constant", "Shape", "Gather", "Slice")
_SCALING = ("Sub", "Div", "Mul")  # of the pixels before the first layer
NOT_INSTALLED = "reading an ONNX file needs onnx, which is not installed: pip install 'fer-repro[onnx]'"


def read_onnx(path: Path) -> DraftedModel:
    """Raises DraftError for a file that is not an ONNX file."""
    if importlib.util.find_spec("onnx") is None:
        raise DraftError(NOT_INSTALLED)
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, OSError, ValueError
        raise DraftError(f"{path}: not an ONNX file: {str(error)[:200] or type(error).__name__}") from None
    graph = model.graph
    if not graph.node:
        raise DraftError(f"{path}: its graph has no nodes")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes |= {
        node.output[0]: tuple(attribute.t.dims)
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and attribute.name == "value"
    }
    layers = _layers(graph, shapes)
    users: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            users[name] = users.get(name, 0) + (name not in shapes)
    branched = any(count > 1 for name, count in users.items() if name)
    remarks = ("the graph has branches; a network of a spec is one list of layers",) if branched else ()
    return DraftedModel(layers, path.name, *_input(graph, shapes), remarks)


def _input(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int | None, int | None]:
    """(height, channels) of the first input that is an image; NCHW unless the last axis is the narrow one."""
    for given in graph.input:
        dims = [one.dim_value for one in given.type.tensor_type.shape.dim]
        if given.name in shapes or len(dims) not in (3, 4):
            continue
        if len(dims) == 3:
            return dims[1] or None, 1
        channels_last = dims[3] in (1, 3) and dims[1] not in (1, 3)
        height, channels = (dims[1], dims[3]) if channels_last else (dims[2], dims[1])
        return height or None, channels or None
    return None, None


def _layers(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[DraftedLayer, ...]:
    import onnx

    drafted: list[DraftedLayer] = []
    logits = {name for node in graph.node if node.op_type == "Softmax" for name in node.input}
    waiting: str | None = None  # the output of a MatMul, whose bias is a separate Add
    for node in graph.node:
        given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        source = f"{node.op_type} {node.name}".strip()
        if node.op_type == "Add" and waiting is not None and waiting in node.input:
            drafted[-1] = DraftedLayer(drafted[-1].source, {**drafted[-1].settings, "bias": True}, drafted[-1].remarks)
            waiting = None
            continue
        waiting = node.output[0] if node.op_type == "MatMul" else None
        by_a_number = any(shapes.get(name) in ((), (1,)) for name in node.input)
        if node.op_type in ("Div", "Mul") and by_a_number and node.output[0] in logits:
            continue  # the temperature of calibrated probabilities, as `repro export` writes it: no layer
        before_first = not any(layer.settings for layer in drafted)
        if node.op_type in _SHAPES or (before_first and node.op_type in (*_SCALING, "Resize", "Reshape")):
            continue
        flat = any(one.settings.get("layer") in ("flatten", "global_avg_pool") for one in drafted)
        if node.op_type in ("Reshape", "Flatten") and flat:
            continue
        drafted.append(_layer(node, given, shapes, source))
    return tuple(drafted)


def _layer(node: Any, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: str) -> DraftedLayer:
    weights = next((shapes[name] for name in node.input if name in shapes), ())
    match node.op_type:
        case "Conv" if len(weights) == 4:
            return _conv(node, given, weights, source)
        case "MaxPool" | "AveragePool":
            window = sides(given.get("kernel_shape", [2, 2]))
            stride = sides(given.get("strides", [1, 1]))
            padding, remark = _padding(given, window, stride)
            settings = {"layer": _POOLS[node.op_type], "window": window, "stride": stride, "padding": padding}
            settings |= {"count_padding": True} if given.get("count_include_pad") else {}
            return DraftedLayer(source, settings, remark)
        case "GlobalAveragePool":
            return DraftedLayer(source, {"layer": "global_avg_pool"})
        case "LeakyRelu":
            return DraftedLayer(source, {"layer": "leaky_relu", "slope": _short(given.get("alpha", 0.01))})
        case "PRelu":
            return DraftedLayer(source, {"layer": "prelu"}, ("how its slopes start is not in the graph",))
        case "Gemm" if len(weights) == 2:
            units = weights[0] if given.get("transB") else weights[1]
            return DraftedLayer(source, {"layer": "dense", "units": units, "bias": len(node.input) > 2})
        case "MatMul" if len(weights) == 2:
            return DraftedLayer(source, {"layer": "dense", "units": weights[1], "bias": False})
        case "BatchNormalization":
            settings = {"momentum": round(given.get("momentum", 0.9), 6), "epsilon": _short(given.get("epsilon", 1e-5))}
            return DraftedLayer(source, {"layer": "batch_norm", **settings})
        case "Dropout":
            remark = ("the rate may be an input of the node: check it",) if len(node.input) > 1 else ()
            return DraftedLayer(source, {"layer": "dropout", "rate": round(given.get("ratio", 0.5), 6)}, remark)
        case "Flatten" | "Reshape":
            return DraftedLayer(source, {"layer": "flatten"})
        case "Clip":
            return activation("relu6", source)
        case name if name in _ACTIVATIONS:
            return activation(name, source)
        case name:
            return unsupported(name, source)


def _short(value: float) -> float:
    """A float32 as it was written: 0.001, not 0.0010000000474974513."""
    return float(f"{value:.6g}")


def _conv(node: Any, given: Mapping[str, Any], weights: tuple[int, ...], source: str) -> DraftedLayer:
    kernel, stride = sides(given.get("kernel_shape", weights[2:])), sides(given.get("strides", [1, 1]))
    padding, remark = _padding(given, kernel, stride)
    groups = given.get("group", 1)
    return convolution(
        source,
        filters=weights[0],
        channels=weights[1] * groups,
        kernel=kernel,
        groups=groups,
        dilation=sides(given.get("dilations", [1, 1])),
        remarks=remark,
        stride=stride,
        padding=padding,
        bias=len(node.input) > 2,
    )


def _padding(
    given: Mapping[str, Any], kernel: int | list[int], stride: int | list[int]
) -> tuple[Setting, tuple[str, ...]]:
    auto = given.get("auto_pad", b"NOTSET")
    word = auto.decode() if isinstance(auto, bytes) else str(auto)
    if word == "SAME_UPPER":
        return "same", ()
    if word in ("VALID",):
        return "valid", ()
    return padding_of(list(given.get("pads", [0])), kernel, stride)
