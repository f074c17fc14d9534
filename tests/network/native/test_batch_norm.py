"""Batch norm with its pooling in C++ is batch norm, then pooling: values and gradients against float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICK

from fer_jax.network.backends import ChwnBackend, LayerStage, NhwcBackend
from fer_jax.network.batch_norm import Rows
from fer_jax.network.native import batch_norm, calls, compiler
from fer_jax.vocabulary.layers import BatchNorm, MaxPool, Padding

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")


def drawn(*shape, seed=0):
    """Rounded, so that float32 and float64 see the same numbers and choose the same maximum."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def stage_of(window, padding: Padding = "valid", rectify=False):
    pool = MaxPool(window=window, padding=padding) if window > 1 else None
    return LayerStage("batch_norm1", BatchNorm(epsilon=1e-2), pool, rectify)


def plain(x, scale, bias, rows, stage):
    """NHWC and XLA's own, (batch, height, width, channels)."""
    y, mean, var = NhwcBackend().normalise_batch(x, scale, bias, rows, stage)
    y = y if stage.pool is None else NhwcBackend().max_pool(y, stage.pool)
    return (jax.nn.relu(y) if stage.rectify else y), mean, var


def ours(x, scale, bias, rows, stage):
    y, mean, var = ChwnBackend().normalise_batch(x.transpose(3, 1, 2, 0), scale, bias, rows, stage)
    return y.transpose(3, 1, 2, 0), mean, var


def all_of(function, dtype, arguments, weight, shift, stage):
    """What it gives, and the gradients of the map, the scale and the bias for a cotangent of the map alone."""
    with jax.enable_x64(dtype == np.float64):
        weight_B = jnp.asarray(weight, dtype)
        rows = Rows(weight_B, jnp.asarray(shift, dtype), None)

        @functools.partial(jax.jit, compiler_options=QUICK)
        def run(*arguments):
            (y, mean, var), pull = jax.vjp(lambda *a: function(*a, rows, stage), *arguments)
            # Rows that only fill up the batch have no loss.
            cotangent = jnp.cos(jnp.arange(y.size, dtype=dtype)).reshape(y.shape) * weight_B[:, None, None, None]
            return y, mean, var, *pull((cotangent, jnp.zeros_like(mean), jnp.zeros_like(var)))

        return [np.asarray(a) for a in run(*(jnp.asarray(a, dtype) for a in arguments))]


def assert_is_batch_norm(batch, height, width, channels, stage):
    x = 3 * drawn(batch, height, width, channels) + drawn(channels)  # not centred, and scales of both signs
    weight = np.ones(batch, np.float32)
    weight[1::3] = 0
    arguments = x, drawn(channels, seed=1), drawn(channels, seed=2)
    found = all_of(ours, np.float32, arguments, weight, drawn(channels, seed=3), stage)
    expected = all_of(plain, np.float64, arguments, weight, drawn(channels, seed=3), stage)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6 * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize(
    ("window", "padding", "height", "width", "channels", "batch"),
    [(1, "valid", 3, 4, 5, 17), (2, "valid", 5, 6, 3, 33), (3, "same", 6, 9, 1, 1), (2, "same", 5, 4, 2, 16)],
)
def test_values_and_gradients(window, padding, height, width, channels, batch):
    """Through JAX and XLA; `check_kernels.cc` has many more shapes."""
    assert_is_batch_norm(batch, height, width, channels, stage_of(window, padding))


@pytest.mark.parametrize(("window", "padding"), [(1, "valid"), (2, "valid"), (2, "same"), (3, "valid")])
def test_a_relu_behind_it(window, padding):
    """To the bit as a separate step, also where the pooling has to be a separate one."""
    x, scale, bias = 3 * drawn(17, 5, 7, 3) + drawn(3), drawn(3, seed=1), drawn(3, seed=2)
    given = (x, scale, bias), np.ones(17, np.float32), drawn(3, seed=3)

    def relu_apart(x, scale, bias, rows, stage):
        y, mean, var = ours(x, scale, bias, rows, stage_of(window, padding))
        return jax.nn.relu(y), mean, var

    found = all_of(ours, np.float32, *given, stage_of(window, padding, rectify=True))
    for a, b in zip(found, all_of(relu_apart, np.float32, *given, stage_of(window, padding)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_is_batch_norm(17, 5, 7, 3, stage_of(window, padding, rectify=True))


def test_a_relu_passes_on_what_is_not_a_number():
    x, one = jnp.ones((1, 2, 2, 16)).at[0, 0, 1, 3].set(jnp.nan), jnp.ones(1)
    y = np.array(ChwnBackend().normalise(x, one, -2 * one, stage_of(1, rectify=True)))
    assert np.isnan(y[0, 0, 1, 3]) and (np.delete(y, 3, axis=-1) == 0).all()


def test_it_is_used_where_windows_fit(monkeypatch):
    called = []
    monkeypatch.setattr(batch_norm, "_normalise", lambda *a, **k: called.append(a) or 1 / 0)
    x, vector = jnp.ones((2, 6, 6, 3)), jnp.ones(2)
    for stage in (stage_of(2), stage_of(2, "same"), stage_of(1)):
        with pytest.raises(ZeroDivisionError):
            ChwnBackend().normalise(x, vector, vector, stage)
    assert len(called) == 3
    # A flat map, and one in another dtype, take JAX's.
    assert ChwnBackend().normalise(jnp.ones((2, 3)), vector, vector, stage_of(1)).shape == (2, 3)
    assert ChwnBackend().normalise(x.astype(jnp.float16), vector, vector, stage_of(2)).shape == (2, 3, 3, 3)


@pytest.mark.parametrize("window", calls.POOLING_WINDOWS)
def test_evaluation_takes_the_running_average(window):
    x, factor, offset = drawn(5, 7, 6, 3), drawn(3, seed=1), drawn(3, seed=2)
    stage = stage_of(window)
    y = ChwnBackend().normalise(jnp.asarray(x.transpose(3, 1, 2, 0)), jnp.asarray(factor), jnp.asarray(offset), stage)
    expected = jnp.asarray(x) * factor + offset
    expected = expected if stage.pool is None else NhwcBackend().max_pool(expected, stage.pool)
    np.testing.assert_allclose(y.transpose(3, 1, 2, 0), expected, rtol=1e-6, atol=1e-6)


def test_the_first_of_equals_takes_the_gradient():
    """Of a constant map every window's values are equal; of what is then left, the mean is taken away."""
    x, one = jnp.zeros((1, 4, 4, 16)), jnp.ones(1)
    rows = Rows(None, jnp.zeros(1), None)
    gradient = jax.grad(lambda x: ChwnBackend().normalise_batch(x, one, one, rows, stage_of(2))[0].sum())(x)
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    expected = (expected - expected.mean()) / np.sqrt(1e-2)
    np.testing.assert_allclose(gradient, np.broadcast_to(expected[None, :, :, None], x.shape), rtol=1e-6)


def test_a_large_mean_does_not_cancel():
    """With the running average near the mean, as it is in training."""
    x = drawn(8, 12, 12, 2) + 1000
    vector = np.ones(2, np.float32)
    found = all_of(ours, np.float32, (x, vector, vector), np.ones(8), 1000 * vector, stage_of(2))
    expected = all_of(plain, np.float64, (x, vector, vector), np.ones(8), 1000 * vector, stage_of(2))
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-4)


def test_the_same_twice_whatever_the_threads_do():
    x, vector = jnp.asarray(drawn(8, 12, 12, 33)), jnp.ones(8)
    rows = Rows(None, jnp.zeros(8), None)
    gradient = jax.jit(
        jax.grad(lambda x: jnp.sum(ChwnBackend().normalise_batch(x, vector, vector, rows, stage_of(2))[0] ** 2))
    )
    first = gradient(x)
    for _ in range(5):
        np.testing.assert_array_equal(first, gradient(x))


def test_under_vmap_each_is_computed_alone():
    x, scales = jnp.asarray(drawn(2, 4, 4, 3)), jnp.asarray([[1.0, 2.0], [3.0, -1.0]])
    rows = Rows(None, jnp.zeros(2), None)

    def loss(x, scale):
        return jnp.sum(ChwnBackend().normalise_batch(x, scale, scale, rows, stage_of(2))[0] ** 3)

    together = jax.vmap(jax.grad(loss), (None, 0))(x, scales)
    for i in range(2):
        np.testing.assert_array_equal(together[i], jax.grad(loss)(x, scales[i]))
