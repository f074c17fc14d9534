"""fer_jax.network.application: every layer against its definition, its gradients against float64."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import layers_by_hand
import numpy as np
import pytest
from conftest import QUICK

from fer_jax.network import model
from fer_jax.network.backends import ChwnBackend, NhwcBackend
from fer_jax.vocabulary.layers import Flatten, SpatialDropout, StochasticDepth, every_layer, parameter_count

CASES, SIZE = layers_by_hand.CASES, layers_by_hand.SIZE
DETERMINISTIC = [name for name in CASES if not any(named.layer.draws for named in every_layer(CASES[name]))]


def given(layers, seed=0):
    variables = layers_by_hand.random_variables(layers, (SIZE, SIZE, 1), seed)
    images = np.random.default_rng(seed).normal(size=(3, SIZE, SIZE)).astype(np.float32)
    return variables, images


@pytest.mark.parametrize("name", CASES)
def test_each_layer_is_its_definition(name):
    """In the plain layout. The gradients below hold the other one to it."""
    layers = layers_by_hand.network_of(name)
    variables, images = given(layers)
    network = model.build(layers, backend=NhwcBackend())
    found = jax.jit(lambda v, x: network.apply(v, x, train=False), compiler_options=QUICK)(variables, images)
    expected = [layers_by_hand.apply(layers, variables, image[..., None].astype(np.float64)) for image in images]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def loss_and_gradients(layers, backend, variables, images, dtype):
    with jax.enable_x64(dtype == np.float64):
        variables = jax.tree.map(lambda a: jnp.asarray(a, dtype), variables)
        network = model.build(layers, backend=backend)

        def loss(params, images):
            logits, _ = network.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"], rngs=RNGS
            )
            return -jax.nn.log_softmax(logits)[jnp.arange(3), jnp.arange(3)].mean()

        compiled = jax.jit(jax.value_and_grad(loss, (0, 1)), compiler_options=backend.compiler_options or None)
        return jax.tree.map(np.asarray, compiled(variables["params"], jnp.asarray(images, dtype)))


RNGS = {"dropout": jax.random.key(0)}
# Batch norm over three images divides by small deviations, and so enlarges rounding.
ERROR = 2e-4


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_gradients_on_a_cpu_are_those_of_float64_in_the_other_layout(name):
    layers = layers_by_hand.network_of(name)
    variables, images = given(layers)
    expected_loss, expected = loss_and_gradients(layers, NhwcBackend(), variables, images, np.float64)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(expected))
    assert largest > 1e-3
    loss, found = loss_and_gradients(layers, ChwnBackend(), variables, images, np.float32)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-4)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=ERROR * largest)


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_counted_and_named(name):
    layers = layers_by_hand.network_of(name)
    shapes = jax.eval_shape(lambda key: model.init_variables(layers, (SIZE, SIZE, 1), key), jax.random.key(0))
    expected = layers_by_hand.random_variables(layers, (SIZE, SIZE, 1))
    assert jax.tree.map(lambda a: a.shape, shapes) == jax.tree.map(lambda a: a.shape, expected)
    total, trainable = parameter_count(layers, (SIZE, SIZE, 1))
    assert sum(a.size for a in jax.tree.leaves(shapes["params"])) == trainable
    assert sum(a.size for a in jax.tree.leaves(shapes)) == total


@pytest.mark.parametrize("backend", [NhwcBackend(), ChwnBackend()], ids=lambda backend: backend.name)
@pytest.mark.parametrize("kind", [SpatialDropout, StochasticDepth])
def test_what_is_dropped_together(kind, backend):
    """All places of a channel, or all values of an image; the rest is scaled."""
    x = np.ones((64, 2, 3, 40), np.float32)
    dropped = functools.partial(model.build((kind(rate=0.3), Flatten()), backend=backend).apply, {}, rngs=RNGS)
    y = np.asarray(dropped(x, train=True)).reshape(x.shape)
    axes = (1, 2) if kind is SpatialDropout else (1, 2, 3)
    kept = np.asarray(y.any(axes)).reshape(64, -1)
    np.testing.assert_allclose(y, np.where(kept[:, None, None], np.float32(1 / 0.7), 0) * x, rtol=1e-6)
    # 2,560 channels: a deviation of 0.9 %; 64 images: one of 5.7 %.
    assert kept.mean() == pytest.approx(0.7, abs=0.035 if kind is SpatialDropout else 0.2)
    np.testing.assert_array_equal(dropped(x, train=False), x.reshape(64, -1))
