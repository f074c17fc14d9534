"""repro.use.export.graph: what ONNX Runtime computes, against the networks themselves and against sums done one by
one."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import helper

from fer_jax.data.steps import resized
from fer_jax.network.backends import NhwcBackend
from fer_jax.network.model import build, output_activation
from fer_jax.train.losses import probabilities
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerError,
    MaxPool,
    layer_names,
    output_shapes,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from fer_jax.vocabulary.step_kinds import Resize
from repro.specs.catalog import find_paper
from repro.use.export.graph import network_graph
from repro.use.export.onnx_file import IR_VERSION, OPSET

# With the pixels that the first layer gets.
PAPERS = {"basani2017": 28, "chavan2020": 48, "onghena": 48, "teta2022": 48, "zhaqsylyq": 48}
TRAINING = Training(batch_size=1, epochs=1, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.1))


def network_of(layers, size, **more):
    return Network(tuple(layers), TRAINING, size, **{"subtract": 127.0, "divide": 60.0, **more})


def random_variables(network, seed=0):
    """Parameters, and batch statistics, of about the size that training leaves."""
    random, shape = np.random.default_rng(seed), (network.image_size, network.image_size, 1)
    params, stats = {}, {}

    def normal(*shape):
        return (random.normal(0, 0.9, shape) / math.sqrt(math.prod(shape[:-1]))).astype(np.float32)

    def near_one(count):
        return random.uniform(0.5, 1.5, count).astype(np.float32)

    names, shapes = layer_names(network.layers), output_shapes(network.layers, shape)
    for name, layer, after in zip(names, network.layers, shapes, strict=True):
        if isinstance(layer, Conv | Dense):
            area = (layer.kernel,) * 2 if isinstance(layer, Conv) else ()
            params[name] = {"kernel": normal(*area, shape[-1], after[-1])}
            if layer.bias:
                params[name]["bias"] = normal(after[-1])
        elif isinstance(layer, BatchNorm):
            params[name] = {"scale": near_one(after[-1]), "bias": normal(after[-1])}
            stats[name] = {"mean": normal(after[-1]), "var": near_one(after[-1])}
        shape = after
    return {"params": params, "batch_stats": stats}


def faces(rows, size, seed=0):
    """A slope under noise: neighbouring pixels are alike, as in pictures."""
    slope = np.add.outer(np.arange(size), np.arange(size)) * (200 / (2 * size))
    noise = np.random.default_rng(seed).normal(0, 40, (rows, size, size))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def session(graph):
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(graph, images, output="probabilities"):
    (found,) = session(graph).run([output], {"faces": images})
    assert isinstance(found, np.ndarray)
    return found


def in_onnx(network, variables, images, size=None, resizes=()):
    return run(network_graph(network, variables, size or network.image_size, resizes), images)


# --- the networks of the papers, as wide as they are ------------------------------------------------------------------


@pytest.mark.parametrize("paper", PAPERS)
def test_the_probabilities_of_the_papers_networks(paper):
    spec = find_paper(paper).resolve("default")
    resizes = tuple(step for step in spec.data.steps if isinstance(step, Resize))
    assert bool(resizes) == (PAPERS[paper] != 48)
    network = network_of(spec.model.layers, PAPERS[paper])
    variables = random_variables(network)
    images = faces(5, 48)
    shrunk = functools.reduce(lambda pictures, step: resized(step, pictures), resizes, images)
    pixels = (shrunk.astype(np.float32) - network.subtract) / network.divide
    module = build(network.layers, backend=NhwcBackend())
    logits = jax.jit(functools.partial(module.apply, train=False))(variables, pixels)
    expected = np.asarray(probabilities(logits, output_activation(network.layers)))
    assert expected.max(1).min() < 0.9 and np.ptp(expected, 0).max() > 1e-3, "answers that would hide a difference"
    calibrated = run(network_graph(network, variables, 48, resizes, 3.7), images)
    expected_so = np.asarray(probabilities(logits, output_activation(network.layers), 3.7))
    np.testing.assert_allclose(calibrated, expected_so, rtol=0, atol=1e-5)
    for rows in (1, 5):
        found = in_onnx(network, variables, images[:rows], 48, resizes)
        assert found.dtype == np.float32 and found.shape == (rows, 7)
        np.testing.assert_allclose(found, expected[:rows], rtol=0, atol=1e-5)


# --- resizing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounding", ["truncate", "round"])
@pytest.mark.parametrize(
    ("size", "sizes"), [(48, [28]), (48, [24]), (45, [9]), (48, [47]), (48, [13]), (47, [31, 30, 10]), (7, [7])]
)
def test_not_one_pixel_differs_after_resizing(size, sizes, rounding):
    """Flat pictures too: of 255 area interpolation makes 254.99998 and the like, so that every digit counts."""
    resizes = tuple(Resize(size=small, rounding=rounding) for small in sizes)
    images = np.concatenate(
        [faces(60, size), np.arange(256, dtype=np.uint8)[:, None, None].repeat(size, 1).repeat(size, 2)]
    )
    network = network_of((Flatten(), Dense(units=7)), sizes[-1])
    graph = network_graph(network, random_variables(network), size, resizes)
    last = f"resize{len(sizes)}"
    graph.output.append(helper.make_tensor_value_info(last, onnx.TensorProto.UINT8, ["N", sizes[-1], sizes[-1]]))
    found = run(graph, images, last)
    np.testing.assert_array_equal(
        found, functools.reduce(lambda pictures, step: resized(step, pictures), resizes, images)
    )


# --- any list of layers -----------------------------------------------------------------------------------------------


def padded(x_HWC, window, stride, padding, value):
    """With what TensorFlow's `same` adds (one window per stride, the odd pixel behind), and where windows start."""
    starts = []
    for axis in (0, 1):
        size = x_HWC.shape[axis]
        count = math.ceil(size / stride) if padding == "same" else (size - window) // stride + 1
        missing = max((count - 1) * stride + window - size, 0) if padding == "same" else 0
        widths = [(0, 0)] * 3
        widths[axis] = (missing // 2, missing - missing // 2)
        x_HWC = np.pad(x_HWC, widths, constant_values=value)
        starts.append([i * stride for i in range(count)])
    return x_HWC, starts


def windows(x_HWC, window, stride, padding, value):
    x_HWC, (rows, columns) = padded(x_HWC, window, stride, padding, value)
    return np.array([[x_HWC[i : i + window, j : j + window] for j in columns] for i in rows])


def by_hand(network, variables, image):
    """One face through the layers in float64, by their definitions."""
    x = ((image.astype(np.float64) - network.subtract) / network.divide)[:, :, None]
    seen: dict[str, int] = {}
    for layer in network.layers:
        tag = str(layer.__struct_config__.tag)
        seen[tag] = seen.get(tag, 0) + 1
        weights = {}
        for group in variables.values():
            weights |= {k: np.asarray(v, np.float64) for k, v in group.get(f"{tag}{seen[tag]}", {}).items()}
        match layer:
            case Conv():
                x = np.tensordot(windows(x, layer.kernel, layer.stride, layer.padding, 0), weights["kernel"], 3)
                x = x + weights.get("bias", 0)
            case MaxPool():
                x = windows(x, layer.window, layer.stride or layer.window, layer.padding, -np.inf).max((2, 3))
            case BatchNorm():
                x = (x - weights["mean"]) / np.sqrt(weights["var"] + layer.epsilon) * weights["scale"] + weights["bias"]
            case Flatten():
                x = x.ravel()
            case Dense():
                x = x @ weights["kernel"] + weights.get("bias", 0)
            case Activation(function="relu"):
                x = np.maximum(x, 0)
            case Activation(function="elu"):
                x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
            case Activation(function="tanh"):
                x = np.tanh(x)
            case Activation(function="sigmoid"):
                x = 1 / (1 + np.exp(-x))
    if layer == Activation(function="sigmoid"):
        return x / x.sum()
    e = np.exp(x - x.max())
    return e / e.sum()


FUNCTIONS = ("relu", "elu", "tanh", "sigmoid")
PADDINGS = st.sampled_from(["same", "valid"])
anywhere = st.one_of(
    st.builds(Activation, function=st.sampled_from(FUNCTIONS)),
    st.builds(BatchNorm, epsilon=st.sampled_from([1e-3, 0.2])),
    st.just(Dropout(rate=0.5)),
)
on_maps = st.one_of(
    st.builds(
        Conv,
        filters=st.integers(1, 4),
        kernel=st.integers(1, 5),
        stride=st.integers(1, 3),
        padding=PADDINGS,
        bias=st.booleans(),
    ),
    st.builds(MaxPool, window=st.integers(1, 4), stride=st.integers(0, 3), padding=PADDINGS),
    anywhere,
)
on_features = st.one_of(st.builds(Dense, units=st.integers(1, 6), bias=st.booleans()), anywhere)


@st.composite
def networks(draw):
    """A list of layers that fit each other, and how its pixels are normalised."""
    size = draw(st.integers(3, 13))
    layers = [*draw(st.lists(on_maps, max_size=5)), Flatten(), *draw(st.lists(on_features, max_size=3))]
    layers += [
        Dense(units=7),
        *draw(st.sampled_from([(), (Activation(function="softmax"),), (Activation(function="sigmoid"),)])),
    ]
    fitting = []
    for layer in layers:
        try:
            output_shapes((*fitting, layer), (size, size, 1))
            fitting.append(layer)
        except LayerError:
            pass
    return network_of(
        fitting, size, subtract=draw(st.sampled_from([0.0, 127.5])), divide=draw(st.sampled_from([255.0, 40.0]))
    )


# Padded unevenly, the odd pixel behind: by an even kernel or window, and by a stride that does not divide the map.
UNEVEN = (
    *(Conv(filters=3, kernel=4, padding="same"), MaxPool(window=2, stride=1, padding="same")),
    *(
        Conv(filters=2, kernel=3, stride=2, padding="same", bias=False),
        Activation(function="elu"),
        BatchNorm(epsilon=0.2),
    ),
    *(MaxPool(window=3, stride=2, padding="same"), Flatten(), Dense(units=7)),
)


@settings(max_examples=50, deadline=None)
@example(network=network_of(UNEVEN, 10), seed=0, rows=5)
@example(network=network_of((*UNEVEN, Activation(function="sigmoid")), 13), seed=1, rows=1)
@given(network=networks(), seed=st.integers(0, 3), rows=st.sampled_from([1, 5]))
def test_any_list_of_layers_computes_what_its_definition_says(network, seed, rows):
    variables = random_variables(network, seed)
    images = faces(rows, network.image_size, seed)
    expected = [by_hand(network, variables, image) for image in images]
    np.testing.assert_allclose(in_onnx(network, variables, images), expected, rtol=0, atol=2e-5)


def test_sigmoids_near_zero_keep_their_shares():
    """ONNX Runtime's own sigmoid is the same for all inputs below -18."""
    logits = np.array([-40.0, -41, -45, -39.5, -42, -60, -40], np.float32)
    network = network_of((Flatten(), Dense(units=7), Activation(function="sigmoid")), 3)
    variables = {"params": {"dense1": {"kernel": np.zeros((9, 7), np.float32), "bias": logits}}, "batch_stats": {}}
    shares = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(in_onnx(network, variables, faces(1, 3))[0], shares / shares.sum(), atol=1e-6)


def test_nothing_is_computed_for_dropout_and_names_are_those_of_the_layers():
    layers = (Conv(filters=2, kernel=3), Dropout(rate=0.5), Activation(function="relu"), Flatten(), Dense(units=7))
    network = dataclasses.replace(network_of(layers, 5), subtract=0.0)
    graph = network_graph(network, random_variables(network), 5, ())
    names = [node.name for node in graph.node]
    assert names[-6:] == ["conv1", "activation1", "flatten1.nhwc", "flatten1", "dense1", "probabilities"]
    assert not any("dropout" in name for name in names)
