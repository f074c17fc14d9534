"""A network as an ONNX graph, including the preprocessing of its pixels. `nodes.py` has the layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from fer_jax.data.images import area_sums
from fer_jax.network.model import hidden_layers, output_activation
from fer_jax.vocabulary.augmentations import EachImage
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import ordinal_names
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.step_kinds import EqualiseHistogram, Resize
from repro.use.export.errors import ExportError
from repro.use.export.nodes import Graph, add_layers

FACES, PROBABILITIES = "faces", "probabilities"  # the names of the input and of the output


def network_graph(
    network: Network,
    variables: dict[str, Any],
    size: int,
    steps: tuple[Resize | EqualiseHistogram, ...],
    temperature: float = 1.0,
) -> onnx.GraphProto:
    """From "faces", uint8 (N, size, size), to "probabilities", float32 (N, 7) in the order of EMOTIONS.

    Args:
        variables: ``{"params": ..., "batch_stats": ...}``, arrays in the canonical form.
        steps: applied to the faces first, in order; the last gives the size `network.stored_size`.
        temperature: by which the logarithms of the probabilities are divided.

    Raises ExportError for what a graph here does not compute: other resizing than by area, equalised histograms, and
    means over crops.
    """
    resizes = tuple(step for step in steps if isinstance(step, Resize) and step.method == "area")
    _check_exportable(network, len(resizes) == len(steps))
    graph = Graph(variables)
    x, pixels = FACES, size
    for name, step in zip(ordinal_names("resize" for _ in resizes), resizes, strict=True):
        x, pixels = _shrink(graph, name, x, step, pixels), step.size
    x, pixels = _middle(graph, x, pixels, network.image_size), network.image_size
    x = _normalise(graph, x, network)
    if network.pipeline.views:
        x = _mirrored_too(graph, x)
    x = add_layers(graph, hidden_layers(network.layers), x, (pixels, pixels, 1))
    if network.pipeline.views:
        x = _mean_of_views(graph, x, _averages_logits(network))
    _probabilities(graph, x, output_activation(network.layers), temperature)
    return helper.make_graph(
        graph.nodes,
        "faces to probabilities",
        [helper.make_tensor_value_info(FACES, TensorProto.UINT8, ["N", size, size])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", len(EMOTIONS)])],
        graph.constants,
    )


def _check_exportable(network: Network, only_shrinks: bool) -> None:
    missing = [] if only_shrinks else ["resizing other than by area, or equalised histograms"]
    views = network.pipeline.views
    if views and views.views != "flips":
        missing.append("the mean over crops")
    elif views and output_activation(network.layers) == "sigmoid" and not _averages_logits(network):
        missing.append("the mean over the probabilities of two views, each of a sigmoid")
    if missing:
        raise ExportError(f"an ONNX file cannot hold {' and '.join(missing)}; use `repro predict` or `repro serve`")


def _middle(graph: Graph, x: str, pixels: int, size: int) -> str:
    """`fer_jax.train.augment.middle`: the part of the faces that a network with a random crop sees."""
    if pixels == size:
        return x
    start = round((pixels - size) / 2)
    ends = [
        graph.constant(f"middle.{name}", [at] * 2, np.int64) for name, at in (("from", start), ("to", start + size))
    ]
    return graph.add("middle", "Slice", x, *ends, graph.constant("middle.axes", [1, 2], np.int64))


def _shrink(graph: Graph, name: str, x: str, step: Resize, size: int) -> str:
    """`fer_jax.data.steps.with_other_pixels` of faces of this size: the same sums in double precision in the same
    order, so that values at the border of two gray levels round to the same side."""
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


def _normalise(graph: Graph, x: str, network: Network) -> str:
    """(pixel - subtract) / divide as the engine computes it, in maps (N, 1, height, width)."""
    offset, factor = network.scaling
    x = graph.add("pixels", "Cast", x, to=TensorProto.FLOAT)
    if network.pipeline.standardise:
        x = _each_standardised(graph, x, network.pipeline.standardise, network.image_size)
    x = graph.add("shifted", "Sub", x, graph.constant("subtract", offset))
    x = graph.add("normalised", "Mul", x, graph.constant("one_by_divide", factor))
    return graph.add("maps", "Unsqueeze", x, graph.constant("channel_axis", [1], np.int64))


def _each_standardised(graph: Graph, x: str, form: EachImage, size: int) -> str:
    mean = graph.add("image_mean", "ReduceMean", x, axes=[1, 2])
    x = graph.add("centred", "Sub", x, mean)
    variance = graph.add("image_variance", "ReduceMean", graph.add("squares", "Mul", x, x), axes=[1, 2])
    deviation = graph.add("image_deviation", "Sqrt", variance)
    operator, least = ("Add", 1e-6) if form == "keras" else ("Max", 1.0 / size)
    divisor = graph.add("image_divisor", operator, deviation, graph.constant("least_deviation", least))
    return graph.add("standardised", "Div", x, divisor)


def _averages_logits(network: Network) -> bool:
    """As the engine evaluates: `fer_jax.train.engine.Engine`."""
    views = network.pipeline.views
    return network.training.loss.kind == "squared_hinge" or (views is not None and views.average == "logits")


def _mirrored_too(graph: Graph, x: str) -> str:
    """Maps (N, 1, height, width) and behind them their mirror images, (2N, 1, height, width)."""
    names = ("from", "to", "axis", "step")
    values = (-1, np.iinfo(np.int64).min, 3, -1)
    ends = [graph.constant(f"mirrored.{name}", [at], np.int64) for name, at in zip(names, values, strict=True)]
    return graph.add("views", "Concat", x, graph.add("mirrored", "Slice", x, *ends), axis=0)


def _mean_of_views(graph: Graph, logits: str, of_logits: bool) -> str:
    """`fer_jax.train.mixing.mean_logits`: (2N, 7) to (N, 7). The logarithm of a mean of probabilities lacks a constant
    here, log 2, which the softmax behind it takes out."""
    if not of_logits:
        logits = graph.add("log_probabilities", "LogSoftmax", logits, axis=1)
    shape = graph.constant("by_view.shape", [2, -1, len(EMOTIONS)], np.int64)
    by_view = graph.add("by_view", "Reshape", logits, shape)
    return graph.add("mean_view", "ReduceMean" if of_logits else "ReduceLogSumExp", by_view, axes=[0], keepdims=0)


def _probabilities(graph: Graph, logits: str, output: str, temperature: float) -> None:
    """`fer_jax.train.losses.probabilities`. Sigmoids divided by their sum are a softmax of their logarithms, and
    log sigmoid(x) = -softplus(-x). This form keeps its digits if all sigmoids are near zero. It also gives the same
    result in runtimes that clip a sigmoid there (below -18, say)."""
    if output == "sigmoid":
        softplus = graph.add("softplus", "Softplus", graph.add("negated", "Neg", logits))
        logits = graph.add("log_sigmoid", "Neg", softplus)
    if temperature != 1.0:
        logits = graph.add("calibrated", "Div", logits, graph.constant("temperature", temperature))
    graph.add(PROBABILITIES, "Softmax", logits, axis=1)
