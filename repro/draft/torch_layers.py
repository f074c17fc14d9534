"""The layers of a PyTorch module, in the order in which its `forward` calls them (torch.fx follows it, functions such
as `relu` included), else in the order in which they were made."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from repro.draft.drafted import (
    DraftedLayer,
    DraftedModel,
    Setting,
    activation,
    convolution,
    padding_of,
    sides,
    unsupported,
)

_FUNCTIONS = ("relu", "elu", "tanh", "sigmoid", "softmax", "leaky_relu", "gelu", "silu", "selu", "relu6", "log_softmax")
_FLATTEN = ("flatten", "view", "reshape")
_JOINS = ("add", "iadd", "cat", "mul", "matmul")
_WITHOUT_EFFECT = ("size", "getattr", "contiguous", "squeeze", "to", "float", "getitem")
_STARTS = "PyTorch starts kernels and biases uniformly within 1 / sqrt(fan in), which no initialiser of a spec gives"


def draft_torch(module: Any, about: str) -> DraftedModel:
    """module: a torch.nn.Module. It is followed symbolically, never run on numbers."""
    module.eval()
    remarks = [_STARTS]
    try:
        graph = importlib.import_module("torch.fx").symbolic_trace(module).graph
        layers = tuple(layer for node in graph.nodes for layer in _of_node(node, module, remarks))
    except Exception as error:  # whatever the user's `forward` raises when it is followed
        remarks.append(f"`forward` cannot be followed ({type(error).__name__}): layers as they were made, no functions")
        leaves = [(name, part) for name, part in module.named_modules() if not list(part.children())]
        layers = tuple(_of_module(part, f"{type(part).__name__} {name}") for name, part in leaves)
    first = next((part for part in module.modules() if hasattr(part, "in_channels")), None)
    channels = None if first is None else int(first.in_channels)
    return DraftedModel(layers, about, None, channels, tuple(dict.fromkeys(remarks)))


def _of_node(node: Any, module: Any, remarks: list[str]) -> Iterator[DraftedLayer]:
    if node.op == "call_module":
        part = module.get_submodule(node.target)
        if type(part).__name__ != "Identity":
            yield _of_module(part, f"{type(part).__name__} {node.target}")
    elif node.op in ("call_function", "call_method"):
        name = getattr(node.target, "__name__", str(node.target)).strip("_")
        source = f"{name}()"
        if name in _FUNCTIONS:
            yield activation(name, source)
        elif name in _FLATTEN:
            yield DraftedLayer(source, {"layer": "flatten"})
        elif name in ("max_pool2d", "boolean_dispatch"):
            given = dict(zip(("kernel_size", "stride", "padding"), node.args[1:], strict=False)) | dict(node.kwargs)
            yield _pool(given.get("kernel_size", 2), given.get("stride"), given.get("padding", 0), False, source)
        elif name == "dropout":
            yield DraftedLayer(source, {"layer": "dropout", "rate": node.kwargs.get("p", 0.5)})
        elif name in _JOINS:
            remarks.append("the model has branches; a network of a spec is one list of layers")
            yield unsupported("add", source)
        elif name not in _WITHOUT_EFFECT:
            yield unsupported(name, source)


def _of_module(part: Any, source: str) -> DraftedLayer:
    kind = type(part).__name__
    match kind:
        case "Conv2d":
            return _conv(part, source)
        case "MaxPool2d":
            return _pool(part.kernel_size, part.stride, part.padding, part.ceil_mode, source)
        case "AvgPool2d":
            counts = part.count_include_pad
            return _pool(part.kernel_size, part.stride, part.padding, part.ceil_mode, source, counts)
        case "AdaptiveAvgPool2d" if part.output_size in (1, (1, 1)):
            return DraftedLayer(source, {"layer": "global_avg_pool"})
        case "LeakyReLU":
            return DraftedLayer(source, {"layer": "leaky_relu", "slope": part.negative_slope})
        case "PReLU":
            one = ("it has one slope; `prelu` has one for each channel",) if part.num_parameters == 1 else ()
            return DraftedLayer(source, {"layer": "prelu"}, one)
        case "GroupNorm":
            return DraftedLayer(source, {"layer": "group_norm", "groups": part.num_groups, "epsilon": part.eps})
        case "Dropout2d":
            return DraftedLayer(source, {"layer": "spatial_dropout", "rate": part.p})
        case "Linear":
            return DraftedLayer(source, {"layer": "dense", "units": part.out_features, "bias": part.bias is not None})
        case "BatchNorm2d" | "BatchNorm1d":
            momentum = 0.99 if part.momentum is None else round(1 - part.momentum, 6)
            return DraftedLayer(source, {"layer": "batch_norm", "momentum": momentum, "epsilon": part.eps})
        case "Dropout":
            return DraftedLayer(source, {"layer": "dropout", "rate": part.p})
        case "Flatten":
            return DraftedLayer(source, {"layer": "flatten"})
        case _:
            found = activation(kind, source)
            return found if found.settings or "nearest" in found.remarks[0] else unsupported(kind, source)


def _conv(part: Any, source: str) -> DraftedLayer:
    kernel, stride = sides(part.kernel_size), sides(part.stride)
    padding: Setting
    if isinstance(part.padding, str):
        padding, remark = part.padding, ()
    else:
        padding, remark = padding_of(list(part.padding), kernel, stride)
    return convolution(
        source,
        filters=part.out_channels,
        channels=part.in_channels,
        kernel=kernel,
        groups=part.groups,
        dilation=sides(part.dilation),
        remarks=remark,
        stride=stride,
        padding=padding,
        bias=part.bias is not None,
    )


def _pool(size: Any, stride: Any, pads: Any, ceil: bool, source: str, counts: bool | None = None) -> DraftedLayer:
    """counts: of average pooling, whether it counts its padding."""
    window = sides(size)
    step = sides(stride or size)
    padding, remark = padding_of([pads] if isinstance(pads, int) else list(pads), 0, 0)
    if ceil:
        remark = (*remark, "it keeps incomplete windows at the border; `same` does so if nothing else is padded")
    settings: dict[str, Setting] = {"layer": "max_pool" if counts is None else "avg_pool", "window": window}
    settings |= {"stride": step, "padding": padding}
    settings |= {"count_padding": True} if counts and padding != "valid" else {}
    return DraftedLayer(source, settings, remark)
