"""Convolutions with strides, depthwise convolutions and poolings of overlapping windows in C++: values and gradients
against float64. `check_kernels.cc` has many more shapes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from against_float64 import assert_alike, value_and_gradients
from jax import lax

from fer_jax.network import convolution, depthwise, pooling
from fer_jax.network.backends import ChwnBackend, LayerStage, NhwcBackend
from fer_jax.network.native import calls, compiler, strided
from fer_jax.network.native import pooling as native_pooling
from fer_jax.vocabulary.layers import Conv, DepthwiseConv, MaxPool

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")

ERROR = 3e-6  # of the largest value


def drawn(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "channels", "height", "width", "batch"),
    [
        (Conv(filters=6, kernel=3, stride=2, padding=1), 5, 12, 9, 17),  # a residual network's
        (Conv(filters=6, kernel=1, stride=2, padding="same"), 5, 7, 8, 5),  # its shortcut
        (Conv(filters=9, kernel=1), 5, 4, 3, 17),  # behind each depthwise convolution of arriaga2017
        (Conv(filters=3, kernel=(2, 5), stride=(1, 3), padding="same"), 2, 9, 11, 33),
    ],
)
def test_convolution_with_strides(layer, channels, height, width, batch):
    pads = layer.pads((height, width))
    x, kernel = drawn(channels, height, width, batch), drawn(*layer.kernel_shape(channels))
    assert strided.suits(jnp.asarray(x), jnp.asarray(kernel), layer.strides, pads)

    def plain(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, layer.strides, pads, dimension_numbers=("CHWN", "HWIO", "CHWN"), precision="highest"
        )

    def ours(x, kernel):
        return ChwnBackend().conv(x, kernel, None, LayerStage("conv1", layer))

    assert_alike(ours, plain, (x, kernel), ERROR)


@pytest.mark.parametrize(
    ("layer", "channels", "size", "batch"),
    [
        (DepthwiseConv(kernel=3, padding="same"), 5, 9, 17),  # arriaga2017
        (DepthwiseConv(kernel=5, stride=2, padding="same", multiplier=2), 2, 10, 5),
        (DepthwiseConv(kernel=7), 1, 8, 33),
    ],
)
def test_depthwise_convolution(layer, channels, size, batch):
    def ours(x, kernel):
        stage = LayerStage("depthwise_conv1", layer)
        return ChwnBackend().depthwise(x.transpose(3, 1, 2, 0), kernel, None, stage).transpose(3, 1, 2, 0)

    def plain(x, kernel):
        return NhwcBackend().depthwise(x, kernel, None, LayerStage("depthwise_conv1", layer))

    assert_alike(ours, plain, (drawn(batch, size, size + 1, channels), drawn(*layer.kernel_shape(channels))), ERROR)


def test_what_the_loops_do_not_have_is_left_to_others(monkeypatch):
    """Another dtype, size or dilation, and a padding as wide as the kernel."""
    monkeypatch.setattr(strided, "convolve", lambda *a, **k: pytest.fail("called"))
    x = jnp.asarray(drawn(4, 9, 9, 3))
    for layer in (DepthwiseConv(kernel=4), DepthwiseConv(kernel=3, dilation=2), DepthwiseConv(kernel=3, padding=3)):
        kernel, bias = jnp.asarray(drawn(*layer.kernel_shape(4))), jnp.asarray(drawn(4))
        stage = LayerStage("depthwise_conv1", layer)
        expected = NhwcBackend().depthwise(x.transpose(3, 1, 2, 0), kernel, bias, stage).transpose(3, 1, 2, 0)
        np.testing.assert_allclose(ChwnBackend().depthwise(x, kernel, bias, stage), expected, rtol=1e-4, atol=1e-4)
    assert not strided.suits(x.astype(jnp.float16), jnp.ones((3, 3, 4), jnp.float16), (1, 1), ((1, 1), (1, 1)))


def test_buffers_that_do_not_belong_together_are_refused():
    for name, kernel in (
        ("fer_strided_convolve", jnp.ones((3, 3, 2, 5))),
        ("fer_depthwise_convolve", jnp.ones((3, 3, 3))),
    ):
        call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct((5, 3, 3, 4), jnp.float32))
        attributes = {**calls.windows((2, 2), ((1, 1), (1, 1))), "rectify": np.int64(0)}
        with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
            jax.block_until_ready(call(jnp.ones((3, 6, 6, 4)), kernel, jnp.ones(5), jnp.zeros(1), **attributes))
    call = jax.ffi.ffi_call("fer_strided_convolve", jax.ShapeDtypeStruct((5, 3, 3, 4), jnp.float32))
    for bias, added in ((4, (1,)), (5, (5, 3, 3, 3))):  # a bias is missing; a map for a smaller batch
        with pytest.raises(jax.errors.JaxRuntimeError, match="do not belong together"):
            last = jnp.ones(bias), jnp.ones(added)
            jax.block_until_ready(call(jnp.ones((3, 6, 6, 4)), jnp.ones((3, 3, 3, 5)), *last, **attributes))


@pytest.mark.parametrize(
    ("layer", "height", "width"),
    [
        (MaxPool(window=3, stride=2, padding="same"), 7, 8),  # arriaga2017
        (MaxPool(window=5, stride=2), 11, 12),  # serengil2018
        (MaxPool(window=(1, 2), stride=(1, 3), padding="same"), 4, 9),  # with gaps
    ],
)
def test_max_pooling(layer, height, width):
    """Rounded values, so that some maxima are equal: the first of them takes the gradient."""
    x = np.round(2 * drawn(2, height, width, 17))
    pads = layer.pads((height, width))
    assert native_pooling.suits(jnp.asarray(x), layer.sides, layer.strides, pads)
    plain = functools.partial(pooling.max_pool_layer, layer=layer)
    found = value_and_gradients(lambda x: ChwnBackend().max_pool(x, layer), (x,), np.float32)
    expected = value_and_gradients(plain, (x,), np.float64)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=ERROR)
    np.testing.assert_array_equal(ChwnBackend().max_pool(jnp.asarray(x), layer), found[0])  # without a gradient


def test_what_is_not_a_number_is_passed_on():
    x = jnp.zeros((1, 5, 5, 16)).at[0, 2, 2, 3].set(jnp.nan)
    y = np.array(native_pooling.max_pool(x, (3, 3), (2, 2), ((0, 0), (0, 0))))
    assert np.isnan(y[0, :, :, 3]).all() and not np.isnan(np.delete(y, 3, axis=-1)).any()


def layers_in_a_row(x, dense_kernel, each_kernel):
    pads = ((1, 1), (1, 1))
    x = strided.convolve(x, dense_kernel, (2, 2), pads)
    y = native_pooling.max_pool(strided.convolve(x, each_kernel, (1, 1), pads), (3, 3), (2, 2), pads)
    return jnp.sum(jnp.square(y))


def test_the_same_twice_whatever_the_threads_do():
    arguments = [jnp.asarray(drawn(*shape)) for shape in ((8, 21, 21, 40), (3, 3, 8, 9), (3, 3, 9))]
    gradients = jax.jit(jax.grad(layers_in_a_row, (0, 1, 2)))
    first = gradients(*arguments)
    for _ in range(5):
        for a, b in zip(first, gradients(*arguments), strict=True):
            np.testing.assert_array_equal(a, b)


def test_under_vmap_each_is_computed_alone():
    x, kernel, each = (jnp.asarray(drawn(*shape)) for shape in ((2, 9, 9, 5), (3, 3, 2, 4), (3, 3, 4)))
    kernels = jnp.stack([kernel, 2 * kernel])
    gradient = jax.grad(layers_in_a_row, (0, 1, 2))
    together = jax.vmap(gradient, (None, 0, None))(x, kernels, each)
    for i in range(2):
        for a, b in zip(together, gradient(x, kernels[i], each), strict=True):
            np.testing.assert_array_equal(a[i], b)


def test_without_the_library_jax_computes_the_same(monkeypatch):
    x, kernel = jnp.asarray(drawn(4, 9, 9, 5)), jnp.asarray(drawn(3, 3, 4, 6))
    each, pads = jnp.asarray(drawn(3, 3, 4, 1)), ((1, 1), (1, 1))
    last = convolution.Last(jnp.asarray(drawn(6)), jnp.asarray(drawn(6, 5, 5, 5)), rectify=True)
    of_each = convolution.Last(jnp.asarray(drawn(4)), rectify=True)
    stage = LayerStage("conv1", Conv(filters=6, kernel=3, stride=2, padding=1), rectify=True)
    ours = ChwnBackend().conv(x, kernel, last.bias, stage, last.added)
    ours_each = depthwise.convolve(x, each, (1, 1), (1, 1), pads, of_each)
    monkeypatch.setattr(calls, "available", lambda: False)
    plain = last.of(convolution.convolve_patches(x, kernel, (2, 2), pads))
    for a, b in (
        (ours, plain),
        (ChwnBackend().conv(x, kernel, last.bias, stage, last.added), plain),
        (ours_each, depthwise.convolve(x, each, (1, 1), (1, 1), pads, of_each)),
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
