"""Convolution and overlapping pooling in one call: against float64, and bit for bit what the two calls give."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from against_float64 import assert_alike, value_and_gradients
from jax import lax

from fer_jax.network import pooling
from fer_jax.network.backends import ChwnBackend, LayerStage
from fer_jax.network.native import compiler, convolution, overlapping
from fer_jax.network.native import pooling as native_pooling
from fer_jax.vocabulary.layers import Conv, MaxPool

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")

ERROR = 3e-6  # of the largest value
CASES = [  # channels, height, width, batch, convolution, pooling
    (1, 20, 18, 17, Conv(filters=6, kernel=5), MaxPool(window=5, stride=2)),  # serengil2018's first layers
    (3, 15, 17, 16, Conv(filters=5, kernel=7, padding=3), MaxPool(window=3, stride=2, padding="same")),
    (2, 9, 11, 33, Conv(filters=9, kernel=3, padding="same"), MaxPool(window=(2, 3), stride=(1, 3), padding="same")),
    (4, 6, 7, 5, Conv(filters=3, kernel=1), MaxPool(window=2, stride=3)),  # windows that leave gaps
]


def drawn(*shape, whole=False):
    numbers = np.random.default_rng(shape).normal(size=shape).astype(np.float32)
    return np.round(numbers) if whole else numbers


def given(case, whole=False):
    channels, height, width, batch, layer, pool = case
    pads = layer.pads((height, width))[0]
    return (
        drawn(channels, height, width, batch, whole=whole),
        drawn(*layer.kernel_shape(channels), whole=whole),
        pads,
        pool,
    )


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case):
    x, kernel, pads, pool = given(case)
    bias = drawn(kernel.shape[3])
    assert overlapping.suits(jnp.asarray(x), jnp.asarray(kernel), pads, pool)

    def ours(x, kernel, bias):
        return ChwnBackend().conv(x, kernel, bias, LayerStage("conv1", case[4], pool))

    def plain(x, kernel, bias):
        y = lax.conv_general_dilated(
            x, kernel, (1, 1), (pads, pads), dimension_numbers=("CHWN", "HWIO", "CHWN"), precision="highest"
        )
        return pooling.max_pool_layer(y + bias[:, None, None, None], pool)

    assert_alike(ours, plain, (x, kernel, bias), ERROR)


@pytest.mark.parametrize("whole", [False, True], ids=["all different", "many equal"])
@pytest.mark.parametrize("case", CASES)
def test_the_two_calls_give_the_same_bits(case, whole, monkeypatch):
    monkeypatch.setattr(convolution, "_CHANNELS_FROM", {})  # directly, without minimal filtering
    monkeypatch.setattr(convolution, "_GRADIENT_CHANNELS_FROM", {})
    x, kernel, pads, pool = given(case, whole)

    def apart(x, kernel):
        y = convolution.convolve(x, kernel, pads)
        return native_pooling.max_pool(y, pool.sides, pool.strides, pool.pads(y.shape[1:3]))

    joined = functools.partial(overlapping.convolve, padding=pads, pool=pool)
    for a, b in zip(*(value_and_gradients(f, (x, kernel)) for f in (joined, apart)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_map_of_many_channels_is_pooled_apart(monkeypatch):
    monkeypatch.setattr(overlapping, "convolve", lambda *a: pytest.fail("called"))
    layer, pool = Conv(filters=3, kernel=3), MaxPool(window=3, stride=2)
    x, kernel = jnp.asarray(drawn(8, 9, 9, 4)), jnp.asarray(drawn(*layer.kernel_shape(8)))
    found = ChwnBackend().conv(x, kernel, None, LayerStage("conv1", layer, pool))
    apart = pooling.max_pool_layer(ChwnBackend().conv(x, kernel, None, LayerStage("conv1", layer)), pool)
    np.testing.assert_allclose(found, apart, rtol=1e-6, atol=1e-6)


def test_what_is_not_a_number_is_passed_on():
    x, kernel = drawn(1, 9, 9, 3), np.ones((3, 3, 1, 2), np.float32)
    x[0, 4, 4, 1] = np.nan
    values = np.asarray(overlapping.convolve(jnp.asarray(x), jnp.asarray(kernel), (0, 0), MaxPool(window=3, stride=2)))
    assert np.isnan(values[:, :, :, 1]).all() and not np.isnan(values[:, :, :, [0, 2]]).any()


def test_buffers_that_do_not_belong_together_are_refused():
    x, kernel = jnp.ones((1, 9, 9, 4)), jnp.ones((3, 3, 1, 2))
    pool = MaxPool(window=3, stride=2)
    attributes = overlapping._attributes((7, 7), (0, 0), pool)
    last, rectify = (jnp.ones(2), jnp.zeros(1)), np.int64(0)
    for shape in ((2, 5, 3, 4), (3, 3, 3, 4), (2, 3, 3, 5)):
        outputs = [jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct((1,), jnp.uint8)]
        with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
            call = jax.ffi.ffi_call("fer_pooled_convolve", outputs)
            jax.block_until_ready(call(x, kernel, *last, **attributes, rectify=rectify))
    call = jax.ffi.ffi_call("fer_pooled_kernel_gradient", jax.ShapeDtypeStruct(kernel.shape, jnp.float32))
    with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):  # places are missing
        jax.block_until_ready(call(x, jnp.ones((2, 3, 3, 4)), jnp.zeros(1, jnp.uint8), **attributes))


def test_under_vmap_each_is_computed_alone():
    x, kernel, pads, pool = given(CASES[0])
    several = np.stack([kernel, 2 * kernel])

    def loss(kernel):
        return jnp.sin(overlapping.convolve(jnp.asarray(x), kernel, pads, pool)).sum()

    together = jax.jit(jax.vmap(jax.grad(loss)))(several)
    for i in range(2):
        np.testing.assert_array_equal(together[i], jax.jit(jax.grad(loss))(several[i]))


def test_the_same_twice_whatever_the_threads_do():
    x, kernel, pads, pool = given(CASES[2])
    joined = functools.partial(overlapping.convolve, padding=pads, pool=pool)
    first = value_and_gradients(joined, (x, kernel))
    for _ in range(5):
        for a, b in zip(first, value_and_gradients(joined, (x, kernel)), strict=True):
            np.testing.assert_array_equal(a, b)
