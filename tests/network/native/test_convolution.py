"""The C++ convolution is the convolution with its pooling: values and gradients against float64."""

import functools
import resource
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from against_float64 import assert_alike
from jax import lax

from fer_jax.network.backends import ChwnBackend, LayerStage
from fer_jax.network.native import calls, compiler
from fer_jax.network.native import convolution as native
from fer_jax.network.pooling import max_pool
from fer_jax.vocabulary.layers import Conv, MaxPool

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")


def reference(x, kernel, padding, window):
    y = lax.conv_general_dilated(x, kernel, (1, 1), (padding, padding), dimension_numbers=("CHWN", "HWIO", "CHWN"))
    return max_pool(y, (window, window), (window, window), ((0, 0), (0, 0))) if window > 1 else y


# Of the largest value. Minimal filtering loses up to a digit more than the sums of a direct convolution.
DIRECT_ERROR, FILTERED_ERROR = 3e-6, 1e-5


def assert_is_the_convolution(x, kernel, padding, window, error=DIRECT_ERROR):
    ours = functools.partial(native.convolve, padding=padding, window=window)
    assert_alike(ours, functools.partial(reference, padding=padding, window=window), (x, kernel), error)


def maps(channels, height, width, batch, filters, size):
    rng = np.random.default_rng(channels + 10 * height + 100 * width)
    # Rounded first, so that float32 and float64 see the same numbers and choose the same maximum.
    draw = [rng.normal(size=s) for s in [(channels, height, width, batch), (size, size, channels, filters)]]
    return [a.astype(np.float32).astype(np.float64) for a in draw]


def test_it_is_used_here():
    assert calls.available()


@pytest.mark.parametrize(
    ("channels", "size", "batch", "filters", "kernel", "padding", "window"),
    [
        (1, 9, 17, 5, 3, (1, 1), 2),  # directly, as every first layer
        (3, 7, 5, 4, 7, (3, 2), 3),
        (6, 8, 17, 7, 5, (2, 2), 2),  # by strips: basani2017, chavan2020
        (16, 7, 5, 17, 3, (0, 0), 1),  # by tiles, but the kernel's gradient by strips: teta2022
        (32, 6, 5, 33, 3, (1, 1), 3),  # by tiles: teta2022, zhaqsylyq, onghena
    ],
)
def test_every_way_to_convolve(channels, size, batch, filters, kernel, padding, window):
    """Through JAX and XLA; `check_kernels.cc` has many more shapes."""
    x, weights = maps(channels, size, size + 1, batch, filters, kernel)
    assert_is_the_convolution(x, weights / kernel, padding, window, FILTERED_ERROR if channels > 3 else DIRECT_ERROR)


@pytest.mark.parametrize("padding", [(3, 3), (0, 3), (-1, 1)])
def test_padding_wider_than_the_kernel_is_left_to_others(padding):
    """The gradient would have to cut the cotangent."""
    x, kernel = (jnp.asarray(a, jnp.float32) for a in maps(2, 6, 6, 4, 3, 3))
    assert native.suits(x, kernel, (2, 2), 1) and not native.suits(x, kernel, padding, 1)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT: more padding than the kernel"):
        jax.block_until_ready(native.convolve(x, kernel, padding))


def test_buffers_that_do_not_belong_together_are_refused():
    call = jax.ffi.ffi_call("fer_moments", jax.ShapeDtypeStruct((2, 3), jnp.float32))
    with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
        jax.block_until_ready(call(jnp.ones((2, 4, 4, 8)), jnp.ones(2), jnp.ones(8)))


def test_too_little_memory_is_an_error_of_xla():
    """One that becomes a failed run; not the end of the process."""
    x, kernel = jnp.ones((1, 500, 500, 64)), jnp.ones((1, 1, 1, 1))
    call = jax.jit(lambda x, k: native.convolve(x, k, (0, 0), 3)).lower(x, kernel).compile()
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + 32 * 2**20, before[1]))  # the packed map alone takes 61 MiB
    try:
        with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED: too little memory"):
            jax.block_until_ready(call(x, kernel))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    np.testing.assert_array_equal(call(x, kernel)[0, 0, 0], np.ones(64, np.float32))


def test_the_first_of_equals_takes_the_gradient():
    x, kernel = jnp.ones((1, 4, 4, 3)), jnp.ones((1, 1, 1, 1))
    gradient = jax.grad(lambda x: native.convolve(x, kernel, (0, 0), 2).sum())(x)
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    np.testing.assert_array_equal(gradient, np.broadcast_to(expected[None, :, :, None], gradient.shape))


def test_a_single_output_has_its_place():
    x, kernel = maps(1, 2, 2, 1, 1, 1)
    assert_is_the_convolution(x, kernel, (0, 0), 2)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_what_is_not_a_number_is_passed_on(row, column):
    x = jnp.ones((1, 4, 4, 16)).at[0, row, column, 3].set(jnp.nan)
    y = np.array(native.convolve(x, jnp.ones((1, 1, 1, 1)), (0, 0), 2))
    assert np.isnan(y[0, 0, 0, 3])
    y[0, 0, 0, 3] = 1
    assert (y == 1).all()


def test_under_vmap_each_is_computed_alone():
    x, kernel = (jnp.asarray(a, jnp.float32) for a in maps(2, 6, 6, 4, 3, 3))
    kernels = jnp.stack([kernel, 2 * kernel])

    def loss(x, kernel):
        return jnp.sum(native.convolve(x, kernel, (1, 1), 2) ** 2)

    together = jax.vmap(jax.grad(loss, (0, 1)), (None, 0))(x, kernels)
    for i in range(2):
        alone = jax.grad(loss, (0, 1))(x, kernels[i])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[i], b)


def test_the_same_twice_whatever_the_threads_do():
    x, kernel = (jnp.asarray(a, jnp.float32) for a in maps(16, 14, 14, 64, 16, 5))
    gradients = jax.jit(jax.grad(lambda x, k: jnp.sum(native.convolve(x, k, (2, 2), 2) ** 2), (0, 1)))
    first = gradients(x, kernel)
    for _ in range(5):
        for a, b in zip(first, gradients(x, kernel), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pool", [MaxPool(window=2, padding="same"), MaxPool(window=3, padding="same")])
def test_windows_over_the_border_are_pooled_apart(pool):
    """A map of 5 pixels: 'same' pooling pads it, which the joined routine does not do."""
    x, kernel = (jnp.asarray(a, jnp.float32) for a in maps(2, 5, 5, 4, 3, 3))
    layer = Conv(filters=3, kernel=3, padding="same")
    y = ChwnBackend().conv(x, kernel, None, LayerStage("conv1", layer, pool))
    expected = ChwnBackend().max_pool(native.convolve(x, kernel, (1, 1)), pool)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
