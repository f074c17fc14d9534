"""The two ways of applying a layer compute the same function; each is checked where it differs from the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.network import model
from fer_jax.network.backends import ChwnBackend, LayerStage, NhwcBackend, choose_backend
from fer_jax.network.native import calls
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Residual,
    SeparableConv,
    output_shapes,
)

RELU = Activation(function="relu")


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_one_place_chooses():
    assert choose_backend("cpu") == ChwnBackend()
    assert choose_backend("gpu") == choose_backend("tpu") == NhwcBackend()
    with pytest.raises(ValueError, match="'abacus'"):
        choose_backend("abacus")


def test_backends_can_be_static_arguments():
    assert hash(ChwnBackend()) == hash(ChwnBackend())
    assert ChwnBackend() != NhwcBackend()


def kinds(stages):
    return [(stage.name, stage.pool is not None) for stage in stages]


def test_stages_pool_before_the_activation_and_within_the_convolution():
    conv, pool = Conv(filters=4, kernel=3), MaxPool(window=2)
    layers = (conv, RELU, pool, conv, RELU, Dropout(rate=0.5), pool, Flatten(), Dense(units=2))
    plain = ["conv1", "activation1", "max_pool1", "conv2", "activation2", "dropout1", "max_pool2", "flatten1", "dense1"]
    assert kinds(NhwcBackend().stages(layers, train=True)) == [(name, False) for name in plain]
    # The second pooling stands behind dropout, which it must not pass.
    stages = ChwnBackend().stages(layers, train=True)
    assert kinds(stages) == [("conv1", True), ("conv2", False)] + [(name, False) for name in plain[5:]]
    assert [stage.rectify for stage in stages[:3]] == [True, True, False]


def test_a_convolution_takes_a_pooling_whose_windows_overlap():
    layers = (Conv(filters=4, kernel=3), RELU, MaxPool(window=3, stride=2))
    stages = ChwnBackend().stages(layers, train=True)
    assert kinds(stages) == [("conv1", True)] and stages[0].rectify


@pytest.mark.parametrize(
    "layers",
    [
        (BatchNorm(), MaxPool(window=3, stride=2)),  # windows overlap
        (Conv(filters=4, kernel=3, stride=2), MaxPool(window=2)),
    ],
)
def test_stages_leave_other_poolings_alone(layers):
    assert all(stage.pool is None for stage in ChwnBackend().stages(layers, train=True))
    assert [stage.layer for stage in ChwnBackend().stages(layers, train=True)] == list(layers)


def test_batch_norm_takes_the_pooling_and_the_relu_behind_it():
    """And the convolution before it does not take the pooling: a negative scale turns the order round."""
    layers = (Conv(filters=4, kernel=3), BatchNorm(), RELU, MaxPool(window=2))
    stages = ChwnBackend().stages(layers, train=True)
    assert kinds(stages) == [("conv1", False), ("batch_norm1", True)] and stages[1].rectify
    elu = (BatchNorm(), Activation(function="elu"), RELU)
    assert [(stage.name, stage.rectify) for stage in ChwnBackend().stages(elu, train=True)] == [
        ("batch_norm1", False),
        ("activation1", False),
        ("activation2", False),
    ]
    # Of two, one is left.
    assert kinds(ChwnBackend().stages((BatchNorm(), RELU, RELU), train=True)) == [
        ("batch_norm1", False),
        ("activation2", False),
    ]


@pytest.mark.parametrize(
    "conv",
    [
        Conv(filters=4, kernel=3),
        Conv(filters=4, kernel=3, stride=2, bias=False),
        DepthwiseConv(kernel=3, multiplier=2),
        SeparableConv(filters=4, kernel=3, bias=False),
    ],
    ids=["stride 1", "stride 2", "depthwise", "separable"],
)
def test_in_evaluation_a_convolution_takes_the_batch_norm_behind_it(conv):
    layers = (conv, BatchNorm(), RELU, MaxPool(window=2), BatchNorm(), BatchNorm())
    stages = ChwnBackend().stages(layers, train=False)
    names = [stage.name for stage in stages]
    assert names[0].split("conv")[1] == "1" and names[-2:] == ["batch_norm2", "batch_norm3"]
    assert [stage.norm and stage.norm.name for stage in stages] == ["batch_norm1"] + [None] * (len(stages) - 1)
    assert all(stage.norm is None for stage in ChwnBackend().stages(layers, train=True))
    assert all(stage.norm is None for stage in NhwcBackend().stages(layers, train=False))


def from_chwn(x):
    return np.asarray(x).transpose(3, 1, 2, 0)


@pytest.fixture(params=["native", "pure JAX"])
def routines(request, monkeypatch):
    """Both ways to convolve on a CPU."""
    if request.param == "native":
        if not calls.available():
            pytest.skip("no C++ compiler")
    else:
        monkeypatch.setattr(calls, "available", lambda: False)


@pytest.mark.usefixtures("routines")
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "layer",
    [
        Conv(filters=3, kernel=3, padding="same"),
        Conv(filters=3, kernel=5),
        Conv(filters=3, kernel=4, padding="same"),
        Conv(filters=3, kernel=3, stride=2, padding="same"),
        Conv(filters=3, kernel=2, stride=3),
        Conv(filters=3, kernel=1, bias=False),
    ],
    ids=str,
)
def test_convolutions_are_equal_also_on_maps_that_are_not_square(layer, channels):
    images, bias = normal(0, 2, 9, 12, channels), normal(2, 3) if layer.bias else None
    kernel = normal(1, layer.kernel, layer.kernel, channels, 3)
    with jax.enable_x64(True):
        images, kernel = jnp.asarray(images), jnp.asarray(kernel)
        bias = None if bias is None else jnp.asarray(bias)
        plain = NhwcBackend().conv(images, kernel, bias, LayerStage("conv1", layer))
        fast = ChwnBackend().conv(ChwnBackend().arrange(images), kernel, bias, LayerStage("conv1", layer))
    assert plain.shape[1:] == output_shapes((layer,), (9, 12, channels))[0]
    np.testing.assert_allclose(from_chwn(fast), plain, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures("routines")
def test_wide_convolutions_are_equal():
    """Minimal filtering is taken for kernels of 3 and, in C++, of 5, with stride 1."""
    images = jnp.asarray(normal(0, 2, 7, 6, 64), jnp.float32)
    for layer in (Conv(filters=64, kernel=3), Conv(filters=64, kernel=3, stride=2), Conv(filters=64, kernel=5)):
        kernel = jnp.asarray(normal(1, layer.kernel, layer.kernel, 64, 64), jnp.float32)
        plain = NhwcBackend().conv(images, kernel, None, LayerStage("conv1", layer))
        fast = ChwnBackend().conv(ChwnBackend().arrange(images), kernel, None, LayerStage("conv1", layer))
        np.testing.assert_allclose(from_chwn(fast), plain, rtol=0, atol=1e-5 * np.abs(plain).max())


@pytest.mark.usefixtures("routines")
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("window", [2, 3, 5])
def test_joined_pooling_is_pooling_after_the_convolution(channels, window):
    conv, pool = Conv(filters=3, kernel=3, padding="same"), MaxPool(window=window)
    images, kernel, bias = normal(0, 2, 10, 11, channels), normal(1, 3, 3, channels, 3), normal(2, 3)
    with jax.enable_x64(True):
        images, kernel, bias = map(jnp.asarray, (images, kernel, bias))
        plain = NhwcBackend().max_pool(NhwcBackend().conv(images, kernel, bias, LayerStage("conv1", conv)), pool)
        fast = ChwnBackend().conv(ChwnBackend().arrange(images), kernel, bias, LayerStage("conv1", conv, pool))
    np.testing.assert_allclose(from_chwn(fast), plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "layer", [MaxPool(window=2), MaxPool(window=3, stride=2, padding="same"), MaxPool(window=4, stride=1)], ids=str
)
def test_poolings_are_equal(layer):
    images = jnp.asarray(normal(0, 2, 8, 9, 3), jnp.float32)
    plain = NhwcBackend().max_pool(images, layer)
    assert plain.shape[1:] == output_shapes((layer,), (8, 9, 3))[0]
    np.testing.assert_array_equal(from_chwn(ChwnBackend().max_pool(ChwnBackend().arrange(images), layer)), plain)


def test_features_are_in_the_order_height_width_channels():
    images = jnp.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    expected = np.arange(2 * 3 * 4 * 5.0).reshape(2, -1)
    np.testing.assert_array_equal(NhwcBackend().flatten(images), expected)
    np.testing.assert_array_equal(ChwnBackend().flatten(ChwnBackend().arrange(images)).T, expected)


def test_dense_layers_are_equal():
    x, kernel, bias = (jnp.asarray(a, jnp.float32) for a in (normal(0, 4, 6), normal(1, 6, 3), normal(2, 3)))
    expected = np.asarray(x) @ np.asarray(kernel) + np.asarray(bias)
    plain, fast = NhwcBackend(), ChwnBackend()
    np.testing.assert_allclose(plain.to_logits(plain.dense(x, kernel, bias)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fast.to_logits(fast.dense(x.T, kernel, bias)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fast.dense(x.T, kernel, None).T + bias, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", ["relu", "elu", "tanh", "sigmoid"])
def test_activations(function):
    x = np.linspace(-4, 4, 9)
    expected = {
        "relu": np.maximum(x, 0),
        "elu": np.where(x > 0, x, np.exp(x) - 1),
        "tanh": np.tanh(x),
        "sigmoid": 1 / (1 + np.exp(-x)),
    }[function]
    for backend in (NhwcBackend(), ChwnBackend()):
        np.testing.assert_allclose(
            backend.activate(jnp.asarray(x, jnp.float32), function), expected, rtol=1e-5, atol=1e-6
        )
        assert (np.diff(expected) >= 0).all()  # poolings may only pass activations that never fall


TOUCHING, OVERLAPPING = MaxPool(window=2), MaxPool(window=3, stride=2, padding="same")


@pytest.mark.usefixtures("routines")
@pytest.mark.parametrize(
    "layers",
    [
        (Conv(filters=5, kernel=3), BatchNorm()),
        (Conv(filters=5, kernel=5), BatchNorm(), TOUCHING),
        (Conv(filters=20, kernel=3, padding="same", bias=False), BatchNorm(), TOUCHING),
        (Conv(filters=5, kernel=3), BatchNorm(), OVERLAPPING),
        (Conv(filters=6, kernel=(3, 1)), BatchNorm(), TOUCHING),
        (Conv(filters=6, kernel=3, stride=2, padding="same"), BatchNorm()),
        (Conv(filters=4, kernel=1, stride=2), BatchNorm(), OVERLAPPING),
        (Conv(filters=6, kernel=3, dilation=2, groups=2), BatchNorm(), TOUCHING),
        (DepthwiseConv(kernel=3, multiplier=2), BatchNorm()),
        (DepthwiseConv(kernel=3, dilation=2, bias=False), BatchNorm(), TOUCHING),
        (SeparableConv(filters=4, kernel=3, padding="same"), BatchNorm(), OVERLAPPING),
        # The last convolution of a body adds the shortcut too, unless it pools.
        (Residual(body=(Conv(filters=18, kernel=3, padding="same"), BatchNorm())),),
        (Residual(body=(SeparableConv(filters=4, kernel=3), BatchNorm()), shortcut=(Conv(filters=4, kernel=3),)),),
        (
            Residual(
                body=(Conv(filters=4, kernel=3), BatchNorm(), TOUCHING), shortcut=(Conv(filters=4, kernel=3), TOUCHING)
            ),
        ),
        (
            Residual(
                body=(Conv(filters=4, kernel=3), BatchNorm()),
                shortcut=(Conv(filters=2, kernel=3),),
                merge="concatenate",
            ),
        ),
    ],
    ids=str,
)
def test_in_evaluation_a_joined_batch_norm_is_the_batch_norm(layers):
    """Also of channels whose factor is negative, which turns the order of values round."""
    layers = (*layers, RELU, GlobalAvgPool(), Dense(units=3))
    variables = model.init_variables(layers, (12, 13, 18), jax.random.key(0))
    drawn = np.random.default_rng(0)
    variables = jax.tree.map(lambda a: drawn.normal(size=a.shape), variables)
    for averages in variables["batch_stats"].values():
        averages["var"] = drawn.uniform(0.5, 2, len(averages["var"]))
    images = drawn.normal(size=(17, 12, 13, 18))

    def logits(backend, dtype):
        with jax.enable_x64(dtype == jnp.float64):
            given = jax.tree.map(lambda a: jnp.asarray(a, dtype), variables)
            network = model.build(layers, backend=backend)
            apply = jax.jit(lambda given, images: network.apply(given, images, train=False))
            return np.asarray(apply(given, jnp.asarray(images, dtype)))

    expected = logits(NhwcBackend(), jnp.float64)
    if not calls.available():
        np.testing.assert_allclose(logits(ChwnBackend(), jnp.float64), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(logits(ChwnBackend(), jnp.float32), expected, rtol=0, atol=2e-5 * np.abs(expected).max())
