"""Values and gradients against float64 references: XLA's own convolution, and NumPy."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICK
from hypothesis import assume, given, settings
from jax import lax

from fer_jax.network import convolution
from fer_jax.vocabulary.layers import same_padding

# Every example compiles its own shapes: few of them, each drawn from a wide range.
few_examples = settings(max_examples=5, deadline=None, derandomize=True)
sizes = st.integers(5, 11)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def reference_convolution(stride, padding, x, kernel):
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("CHWN", "HWIO", "CHWN"))


def value_and_gradients(function, *arguments):
    """The value, and the gradients of its product with fixed random numbers, in float64."""
    with jax.enable_x64(True):
        arguments = [jnp.asarray(a, jnp.float64) for a in arguments]

        @functools.partial(jax.jit, compiler_options=QUICK)
        def both(*arguments):
            value, pull = jax.vjp(function, *arguments)
            return value, *pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))

        return [np.asarray(a) for a in both(*arguments)]


def assert_same_function(ours, reference, *arguments):
    for a, b in zip(value_and_gradients(ours, *arguments), value_and_gradients(reference, *arguments), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_reference_is_a_cross_correlation():
    x, kernel = normal(0, 2, 5, 6, 3), normal(1, 3, 3, 2, 4)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))  # (c, h, w, n, i, j)
    with jax.enable_x64(True):
        y = reference_convolution(1, ((0, 0), (0, 0)), jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(y, np.einsum("chwnij,ijco->ohwn", windows, kernel), rtol=1e-12)


@few_examples
@given(
    height=sizes, width=sizes, channels=st.integers(1, 3), batch=st.integers(1, 3), filters=st.integers(1, 4),
    size=st.integers(1, 5), stride=st.integers(1, 3), same=st.booleans(),
)  # fmt: skip
def test_convolve_patches(height, width, channels, batch, filters, size, stride, same):
    rows, columns = (same_padding(n, size, stride) if same else (0, 0) for n in (height, width))
    pads = (rows, columns)
    assert_same_function(
        lambda x, kernel: convolution.convolve_patches(x, kernel, (stride, stride), pads),
        functools.partial(reference_convolution, stride, pads),
        normal(0, channels, height, width, batch),
        normal(1, size, size, channels, filters),
    )


@few_examples
@given(
    height=sizes, width=sizes, channels=st.integers(1, 3), batch=st.integers(1, 3), filters=st.integers(1, 4),
    size=st.integers(1, 5), before=st.integers(0, 5), after=st.integers(0, 5),
)  # fmt: skip
def test_convolve_separable(height, width, channels, batch, filters, size, before, after):
    pads = (before, after)
    assert_same_function(
        lambda x, kernel: convolution.convolve_separable(x, kernel, pads),
        functools.partial(reference_convolution, 1, (pads, pads)),
        normal(0, channels, height, width, batch),
        normal(1, size, size, channels, filters),
    )


@few_examples
@given(
    height=sizes, width=sizes, channels=st.integers(1, 2), batch=st.integers(1, 3), size=st.integers(1, 4),
    before=st.integers(0, 2), after=st.integers(0, 2), window=st.integers(1, 3),
)  # fmt: skip
def test_convolve_and_pool(height, width, channels, batch, size, before, after, window):
    """Against XLA's convolution and `reduce_window`; without ties the gradient of either is the same."""
    assume(min(height, width) + before + after - size + 1 >= window)
    pads = (before, after)

    def reference(x, kernel):
        y = reference_convolution(1, (pads, pads), x, kernel)
        return lax.reduce_window(y, -jnp.inf, lax.max, (1, window, window, 1), (1, window, window, 1), "VALID")

    assert_same_function(
        lambda x, kernel: convolution.convolve_and_pool(x, kernel, pads, window),
        reference,
        normal(0, channels, height, width, batch),
        normal(1, size, size, channels, 3),
    )


def test_convolve_and_pool_gives_the_gradient_to_the_first_of_equals():
    # Constant images: all values in a window are equal, so each window sends its gradient to its first patch.
    x, kernel = np.ones((1, 5, 5, 1)), np.ones((2, 2, 1, 1))
    _, d_x, _ = value_and_gradients(lambda x, k: convolution.convolve_and_pool(x, k, (0, 0), 2).sum(1), x, kernel)
    assert d_x[0, :, :, 0].any(axis=1).tolist() == [True, True, True, True, False]
    y, d_x, _ = value_and_gradients(lambda x, k: convolution.convolve_and_pool(x, k, (0, 0), 4), x, kernel)
    assert y.ravel().tolist() == [4.0]
    assert d_x[0, :, :, 0].tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [0] * 5, [0] * 5]


def test_elu():
    x = np.linspace(-30, 5, 71)
    assert 0.0 in x
    assert_same_function(convolution.elu, jax.nn.elu, x)
    value, slope = value_and_gradients(lambda x: convolution.elu(x).sum()[None], np.array([-800.0, 800.0]))
    assert value == pytest.approx([799.0])
    assert slope.tolist() == [0.0, 1.0]


def test_float32_is_kept_and_close():
    x, kernel = normal(0, 4, 12, 12, 8), normal(1, 3, 3, 4, 6)
    for ours in (
        lambda x, k: convolution.convolve_separable(x, k, (1, 1)),
        lambda x, k: convolution.convolve_patches(x, k, (1, 1), ((1, 1), (1, 1))),
    ):
        y = ours(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32))
        assert y.dtype == jnp.float32
        expected = value_and_gradients(functools.partial(reference_convolution, 1, ((1, 1), (1, 1))), x, kernel)[0]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_gradient_of_parameters_shared_by_devices():
    """Under `shard_map`, with JAX's check of what varies over devices, the gradient is the sum over devices."""
    x, kernel = jnp.asarray(normal(0, 2, 6, 6, 4), jnp.float32), jnp.asarray(normal(1, 3, 3, 2, 3), jnp.float32)

    def loss(kernel, x):
        return jnp.sum(convolution.convolve_separable(x, kernel, (1, 1)) ** 2)

    count = min(len(jax.devices()), 2)
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:count]), ("data",))
    spec = jax.sharding.PartitionSpec
    sharded = jax.shard_map(
        jax.grad(loss), mesh=mesh, in_specs=(spec(), spec(None, None, None, "data")), out_specs=spec()
    )
    np.testing.assert_allclose(jax.jit(sharded)(kernel, x), jax.grad(loss)(kernel, x), rtol=1e-4, atol=1e-4)


def test_compiler_options_are_accepted_or_left_out():
    options = convolution.supported_compiler_options()
    assert options in ({}, convolution.COMPILER_OPTIONS)
    double = jax.jit(lambda x: 2 * lax.optimization_barrier(x + 1), compiler_options=options)
    assert double(jnp.float32(2)) == 6


def test_dense():
    assert_same_function(convolution.dense, lambda x, kernel: kernel.T @ x, normal(0, 7, 3), normal(1, 7, 5))


def test_barriers_are_kept_on_this_version():
    """Speed depends on it: without the option the barriers are gone before XLA fuses."""
    if jax.default_backend() != "cpu" or not convolution.supported_compiler_options():
        pytest.skip("this version of XLA does not take the option")
    function = jax.jit(lambda x: 2 * lax.optimization_barrier(x + 1))
    lowered = function.lower(jnp.ones(8))
    assert "opt-barrier" not in str(lowered.compile().as_text())
    options: dict[str, str | bool] = {**convolution.supported_compiler_options()}
    assert "opt-barrier" in str(lowered.compile(options).as_text())
