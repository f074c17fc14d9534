"""repro.use.export.graph: what ONNX Runtime computes, against the networks themselves and against sums done one by
one."""

from __future__ import annotations

import dataclasses
import functools

import jax
import layers_by_hand
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import QUICK
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import helper

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps, network_input, with_other_pixels
from fer_jax.network.backends import NhwcBackend
from fer_jax.network.model import build, hidden_layers, output_activation
from fer_jax.train.losses import probabilities
from fer_jax.vocabulary.augmentations import AverageViews, InputPipeline, RandomCrop, Standardise
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerError,
    MaxPool,
    output_shapes,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from fer_jax.vocabulary.step_kinds import Resize, SplitByUsage
from repro.specs.catalog import find_paper
from repro.use.export.graph import network_graph
from repro.use.export.onnx_file import IR_VERSION, OPSET

# With the pixels that the first layer gets.
PAPERS = {"basani2017": 28, "chavan2020": 48, "onghena": 48, "teta2022": 48, "zhaqsylyq": 48}
BY_USAGE = SplitByUsage(into={"train": ("Training",), "validation": ("PublicTest",), "test": ("PrivateTest",)})
TRAINING = Training(batch_size=1, epochs=1, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.1))


def network_of(layers, size, **more):
    return Network(tuple(layers), TRAINING, size, **{"subtract": 127.0, "divide": 60.0, **more})


def variables_of(network, seed=0):
    return layers_by_hand.random_variables(network.layers, (network.image_size, network.image_size, 1), seed)


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
    variables = variables_of(network)
    images = faces(5, 48)
    shrunk = functools.reduce(lambda pictures, step: with_other_pixels(step, pictures), resizes, images)
    pixels = (shrunk.astype(np.float32) - network.subtract) / network.divide
    module = build(network.layers, backend=NhwcBackend())
    logits = jax.jit(functools.partial(module.apply, train=False), compiler_options=QUICK)(variables, pixels)
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
    graph = network_graph(network, variables_of(network), size, resizes)
    last = f"resize{len(sizes)}"
    graph.output.append(helper.make_tensor_value_info(last, onnx.TensorProto.UINT8, ["N", sizes[-1], sizes[-1]]))
    found = run(graph, images, last)
    np.testing.assert_array_equal(
        found, functools.reduce(lambda pictures, step: with_other_pixels(step, pictures), resizes, images)
    )


def test_a_network_with_a_random_crop_gets_the_middle():
    pipeline = InputPipeline(stored_size=9, before=(RandomCrop(size=6),))
    network = network_of((Flatten(), Dense(units=7)), 6, pipeline=pipeline)
    variables, images = variables_of(network), faces(4, 9)
    plain = in_onnx(network_of(network.layers, 6), variables, images[:, 2:8, 2:8])  # round(1.5) = 2
    np.testing.assert_array_equal(run(network_graph(network, variables, 9, ()), images), plain)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_the_mean_over_a_face_and_its_mirror_image(average):
    pipeline = InputPipeline(stored_size=6, views=AverageViews(views="flips", average=average))
    network = network_of((Flatten(), Dense(units=7), Activation(function="softmax")), 6, pipeline=pipeline)
    variables, images = variables_of(network), faces(4, 6)
    plain = network_of(network.layers, 6)
    each = np.stack([in_onnx(plain, variables, some) for some in (images, images[:, :, ::-1])]).astype(np.float64)
    assert np.abs(each[0] - each[1]).max() > 0.1, "views that differ"
    expected = each.mean(0) if average == "probabilities" else np.exp(np.log(each).mean(0))
    for temperature in (1.0, 2.5):
        wanted = expected ** (1 / temperature)
        found = run(network_graph(network, variables, 6, (), temperature), images)
        np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), rtol=0, atol=1e-5)


EACH_IMAGE, EACH_PIXEL = Standardise(of="image"), Standardise(of="pixels")
STANDARDISED = {
    "each pixel": (EACH_PIXEL,),
    "each image": (EACH_IMAGE,),
    "each image as TensorFlow does": (Standardise(of="image", form="tensorflow"),),
    "each image, then each pixel": (EACH_IMAGE, EACH_PIXEL),
}


@pytest.mark.parametrize("steps", STANDARDISED.values(), ids=STANDARDISED)
def test_what_is_standardised(steps):
    """Also a face of a single gray level, whose deviation is 0."""
    order = np.arange(40, dtype=np.uint8)
    prepared = apply_steps(Faces(faces(40, 6), order % 7, order % 3, order.astype(np.int32)), (BY_USAGE, *steps), 0)
    scaling = {"subtract": prepared.subtract, "divide": prepared.divide, "pipeline": prepared.pipeline}
    network = network_of((Flatten(), Dense(units=7), Activation(function="softmax")), 6, **scaling)
    variables, images = variables_of(network), faces(5, 6)
    images[0] = 90
    module = build(network.layers, backend=NhwcBackend())
    pixels = network_input(images, prepared).astype(np.float32)
    logits = jax.jit(functools.partial(module.apply, train=False), compiler_options=QUICK)(variables, pixels)
    found = in_onnx(network, variables, images)
    np.testing.assert_allclose(found, np.asarray(probabilities(logits, "softmax")), rtol=0, atol=1e-5)


# --- any list of layers -----------------------------------------------------------------------------------------------


def by_hand(network, variables, image):
    """The probabilities of one face in float64, by the definitions of the layers."""
    x = ((image.astype(np.float64) - network.subtract) / network.divide)[:, :, None]
    x = layers_by_hand.apply(hidden_layers(network.layers), variables, x)
    if network.layers[-1] == Activation(function="sigmoid"):
        x = 1 / (1 + np.exp(-x))
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
    variables = variables_of(network, seed)
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
    graph = network_graph(network, variables_of(network), 5, ())
    names = [node.name for node in graph.node]
    assert names[-6:] == ["conv1", "activation1", "flatten1.nhwc", "flatten1", "dense1", "probabilities"]
    assert not any("dropout" in name for name in names)


# --- every layer of the vocabulary ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", layers_by_hand.CASES)
def test_each_layer_computes_what_its_definition_says(name):
    network = network_of(layers_by_hand.network_of(name), layers_by_hand.SIZE)
    variables, images = variables_of(network), faces(3, layers_by_hand.SIZE)
    expected = np.array([by_hand(network, variables, image) for image in images])
    assert np.ptp(expected, 0).max() > 1e-3, "answers that would hide a difference"
    np.testing.assert_allclose(in_onnx(network, variables, images), expected, rtol=0, atol=2e-5)
