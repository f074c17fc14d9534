"""The C++ convolution is the convolution with its pooling: values and gradients against float64."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax

from fer_jax.network import native
from fer_jax.network.backends import ChwnBackend, LayerWithPooling
from fer_jax.network.pooling import max_pool
from fer_jax.vocabulary.layers import Conv, MaxPool

needs_compiler = pytest.mark.skipif(native.compiler() is None, reason="no C++ compiler")
pytestmark = needs_compiler


def reference(x, kernel, padding, window):
    y = lax.conv_general_dilated(x, kernel, (1, 1), (padding, padding), dimension_numbers=("CHWN", "HWIO", "CHWN"))
    return max_pool(y, window, window, ((0, 0), (0, 0))) if window > 1 else y


def value_and_gradients(function, x, kernel, dtype):
    with jax.enable_x64(dtype == np.float64):

        @jax.jit
        def all_three(x, kernel):
            value, pull = jax.vjp(function, x, kernel)
            return value, *pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))

        return [np.asarray(a) for a in all_three(jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))]


# Of the largest value. Minimal filtering loses up to a digit more than the sums of a direct convolution.
DIRECT_ERROR, FILTERED_ERROR = 3e-6, 1e-5


def assert_is_the_convolution(x, kernel, padding, window, error=DIRECT_ERROR):
    ours = value_and_gradients(lambda x, k: native.convolve(x, k, padding, window), x, kernel, np.float32)
    expected = value_and_gradients(lambda x, k: reference(x, k, padding, window), x, kernel, np.float64)
    for a, b in zip(ours, expected, strict=True):
        assert a.shape == b.shape and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=error * max(1.0, float(np.abs(b).max())))


def maps(channels, height, width, batch, filters, size):
    rng = np.random.default_rng(channels + 10 * height + 100 * width)
    # Rounded first, so that float32 and float64 see the same numbers and choose the same maximum.
    draw = [rng.normal(size=s) for s in [(channels, height, width, batch), (size, size, channels, filters)]]
    return [a.astype(np.float32).astype(np.float64) for a in draw]


def test_it_is_used_here():
    assert native.available()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    size=st.sampled_from(native.KERNEL_SIZES), window=st.sampled_from(native.POOLING_WINDOWS),
    height=st.integers(7, 13), width=st.integers(7, 13), channels=st.integers(1, 5), filters=st.integers(1, 9),
    batch=st.sampled_from([1, 2, 15, 16, 17, 30, 33]), before=st.integers(0, 3), after=st.integers(0, 3),
)  # fmt: skip
def test_convolve(size, window, height, width, channels, filters, batch, before, after):
    before, after = min(before, size - 1), min(after, size - 1)
    missing = max(0, window + size - 1 - min(height, width) - before - after)  # at least one window
    x, kernel = maps(channels, height + missing, width + missing, batch, filters, size)
    assert_is_the_convolution(x, kernel, (before, after), window)


@pytest.mark.parametrize(
    ("channels", "size", "batch", "filters", "kernel", "same", "window"),
    [
        (16, 14, 32, 16, 5, True, 2),  # basani2017
        (32, 12, 32, 64, 3, True, 3),  # teta2022
        (20, 22, 30, 20, 5, False, 2),  # chavan2020
        (32, 23, 64, 64, 3, False, 2),  # zhaqsylyq
        (128, 6, 33, 100, 3, True, 1),  # onghena, with fewer filters
    ],
)
def test_layers_of_the_papers(channels, size, batch, filters, kernel, same, window):
    x, weights = maps(channels, size, size, batch, filters, kernel)
    assert_is_the_convolution(x, weights / kernel, (kernel // 2,) * 2 if same else (0, 0), window, FILTERED_ERROR)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    size=st.sampled_from([3, 5]), window=st.sampled_from(native.POOLING_WINDOWS), height=st.integers(3, 13),
    width=st.integers(3, 13), channels=st.integers(64, 70), filters=st.integers(64, 70),
    batch=st.sampled_from([1, 16, 19]), before=st.integers(0, 4), after=st.integers(0, 4),
)  # fmt: skip
def test_wide_layers_by_winograd(size, window, height, width, channels, filters, batch, before, after):
    before, after = min(before, size - 1), min(after, size - 1)
    missing = max(0, window + size - 1 - min(height, width) - before - after)
    x, kernel = maps(channels, height + missing, width + missing, batch, filters, size)
    assert_is_the_convolution(x, kernel, (before, after), window, FILTERED_ERROR)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    way=st.sampled_from(["fer", "fer_strips", "fer_winograd"]), size=st.sampled_from([3, 5]),
    window=st.sampled_from([1, 2, 3]), height=st.integers(1, 19), width=st.integers(1, 19),
    channels=st.integers(1, 20), filters=st.integers(1, 20), batch=st.sampled_from([1, 5, 16, 35]),
    before=st.integers(0, 4), after=st.integers(0, 4),
)  # fmt: skip
def test_every_way_whether_it_pays_or_not(way, size, window, height, width, channels, filters, batch, before, after):
    """Every strip and tile that is chosen for some map, also where another way would be faster."""
    size = 3 if way == "fer_winograd" else size
    window = 2 if way == "fer_strips" and size == 5 and window == 3 else window  # no strip of three rows there
    before, after = min(before, size - 1), min(after, size - 1)
    missing = max(0, window + size - 1 - min(height, width) - before - after)
    x, kernel = maps(channels, height + missing, width + missing, batch, filters, size)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_CHANNELS_FROM", "_GRADIENT_CHANNELS_FROM"):
            patch.setattr(native, name, {way: {size: 1}})
        assert native._way(jnp.asarray(kernel), native._CHANNELS_FROM, window) == way
        assert_is_the_convolution(x, kernel, (before, after), window, FILTERED_ERROR)


def test_a_wide_kernel_is_cut():
    """More sums than a thread may hold, and more weights than all parts may."""
    x, kernel = maps(210, 5, 6, 33, 203, 5)
    assert_is_the_convolution(x, kernel / 5, (2, 2), 1, FILTERED_ERROR)


def test_many_parts_of_a_batch_are_added_up():
    """More slices than the parts whose sums are kept apart in a kernel's gradient by strips."""
    x, kernel = maps(2, 8, 8, 150, 3, 3)
    assert_is_the_convolution(x, kernel, (1, 1), 2, FILTERED_ERROR)


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
    for _ in range(20):
        for a, b in zip(first, gradients(x, kernel), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pool", [MaxPool(window=2, padding="same"), MaxPool(window=3, padding="same")])
def test_windows_over_the_border_are_pooled_apart(pool):
    """A map of 5 pixels: 'same' pooling pads it, which the joined routine does not do."""
    x, kernel = (jnp.asarray(a, jnp.float32) for a in maps(2, 5, 5, 4, 3, 3))
    layer = Conv(filters=3, kernel=3, padding="same")
    y = ChwnBackend().conv(x, kernel, None, LayerWithPooling("conv1", layer, pool))
    expected = ChwnBackend().max_pool(native.convolve(x, kernel, (1, 1)), pool)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


PROBE = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fer_jax.network import native
    print(native.available(), *(str(w.message) for w in caught))
"""


def probe(tmp_path, **environment):
    settings = {**os.environ, "FER_JAX_CACHE": str(tmp_path), "JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run([sys.executable, "-c", PROBE], env=settings, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_can_be_switched_off(tmp_path):
    assert probe(tmp_path, FER_JAX_NATIVE="0") == "False"
    assert not any(tmp_path.iterdir())


def test_a_compiler_that_fails_is_a_warning(tmp_path):
    said = probe(tmp_path, CXX="false")
    assert said.startswith("False convolutions run in pure JAX, more slowly: false could not compile batch_norm.cc")
    assert not list(tmp_path.rglob("*.so"))


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "native").write_text("a file where the folder should be")
    assert probe(tmp_path).startswith("False convolutions run in pure JAX")


def test_compiled_once(tmp_path):
    first = native.compiled(tmp_path)
    written = first.stat().st_mtime_ns
    assert native.compiled(tmp_path) == first and first.stat().st_mtime_ns == written
    assert [path.name for path in first.parent.iterdir()] == [first.name]
