"""Whole networks: names, initial values, batch norm, dropout, and the two backends against each other in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.network import model, modules
from fer_jax.network.backends import ChwnBackend, NhwcBackend
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Init,
    LayerError,
    MaxPool,
    Padding,
    parameter_count,
)

BACKENDS = [NhwcBackend(), ChwnBackend()]
FLAT, SOFTMAX = Flatten(), Activation(function="softmax")
RELU, ELU = Activation(function="relu"), Activation(function="elu")


def conv(filters: int, kernel: int, padding: Padding = "same") -> Conv:
    return Conv(filters=filters, kernel=kernel, padding=padding)


def onghena(filters, units):
    """Convolutions with batch norm and dropout, as in the widest of the five networks, at any width."""
    layers = []
    for count in filters:
        layers += [conv(count, 3), BatchNorm(), RELU, MaxPool(window=2), Dropout(rate=0.25)]
    layers.append(FLAT)
    for count in units:
        layers += [Dense(units=count), BatchNorm(), RELU, Dropout(rate=0.25)]
    return (*layers, Dense(units=7), SOFTMAX)


POOL, POOL3 = MaxPool(window=2), MaxPool(window=3)
NETWORKS = {
    "basani": ((conv(16, 5), RELU, POOL, conv(16, 5), RELU, POOL, FLAT, Dense(units=64), RELU, Dense(units=7)), 28),
    "teta": (
        (
            *(conv(16, 3), ELU, POOL, conv(32, 3), ELU, POOL, conv(64, 3), ELU, POOL3),
            *(FLAT, Dense(units=512), ELU, Dropout(rate=0.2), Dense(units=7), SOFTMAX),
        ),
        48,
    ),
    "chavan": (
        (
            *(conv(20, 5, "valid"), RELU, POOL, conv(20, 5, "valid"), RELU, POOL),
            *(FLAT, Dense(units=500), RELU, Dense(units=300), RELU, Dense(units=7), SOFTMAX),
        ),
        48,
    ),
    "zhaqsylyq": (
        (
            *(conv(32, 3, "valid"), RELU, POOL, conv(64, 3, "valid"), RELU, POOL, conv(128, 3, "valid"), RELU, POOL),
            *(FLAT, Dense(units=128), RELU, Dense(units=7), SOFTMAX),
        ),
        48,
    ),
    "onghena": (onghena((4, 64, 64, 16), (16, 24)), 48),
}
# Those that compile quickest, with kernels of 5 and of 3; .ci/slow has them all.
QUICK = ("basani", "teta")
SMALL = (conv(3, 3), BatchNorm(), RELU, POOL, FLAT, Dense(units=5), BatchNorm(), RELU, Dense(units=7), SOFTMAX)


def images(count, size, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size, size)).astype(np.float32)


def apply(layers, backend, variables, x, train=False, axis_name=None, weight_B=None):
    """Logits and new batch statistics, compiled as one (operation by operation takes longer to compile)."""
    network = model.build(layers, backend=backend, axis_name=axis_name)

    @jax.jit
    def compiled(variables, x):
        rngs = {"dropout": jax.random.key(3)}
        return network.apply(variables, x, train=train, weight_B=weight_B, rngs=rngs, mutable=["batch_stats"])

    return compiled(variables, x)


def loss_and_gradients(layers, backend, variables, x, dtype):
    """Mean cross-entropy over all-different targets in training, its gradients, and the new batch statistics."""
    with jax.enable_x64(dtype == jnp.float64):
        variables = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), dtype), variables)
        targets, weight_B = jnp.arange(len(x)) % 7, jnp.ones(len(x), dtype)

        def loss(params):
            logits, updated = apply(
                layers, backend, {**variables, "params": params}, jnp.asarray(x, dtype), True, weight_B=weight_B
            )
            log_p = jax.nn.log_softmax(logits)
            return -jnp.take_along_axis(log_p, targets[:, None], 1).mean(), (logits, updated)

        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=backend.compiler_options)
        return jax.tree.map(np.asarray, compiled(variables["params"]))


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_backends_agree_with_float64(name):
    """The same logits, loss, statistics and gradients. In float64 the two agree to rounding, so they are one function;
    in float32 ours stays near. Without dropout, whose masks are drawn in each backend's own layout."""
    layers, size = NETWORKS[name]
    layers = tuple(layer for layer in layers if not isinstance(layer, Dropout))
    variables = model.init_variables(layers, (size, size, 1), jax.random.key(1))
    x = images(4, size)
    expected = loss_and_gradients(layers, NhwcBackend(), variables, x, jnp.float64)
    (loss, (logits, _)), gradients = expected
    assert np.abs(logits).max() > 0.1
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    ours = loss_and_gradients(layers, ChwnBackend(), variables, x, jnp.float64)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    (loss32, (logits32, _)), gradients32 = loss_and_gradients(layers, ChwnBackend(), variables, x, jnp.float32)
    assert logits32.dtype == np.float32
    np.testing.assert_allclose(loss32, loss, rtol=1e-5)
    # Batch norm over four images divides by small deviations, and so enlarges rounding.
    np.testing.assert_allclose(logits32, logits, rtol=1e-5, atol=3e-5 if variables["batch_stats"] else 1e-5)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients))
    for a, b in zip(jax.tree.leaves(gradients32), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("name", NETWORKS)
def test_number_of_parameters(name):
    layers, size = NETWORKS[name]
    shapes = jax.eval_shape(lambda key: model.init_variables(layers, (size, size, 1), key), jax.random.key(0))
    total, trainable = parameter_count(layers, (size, size, 1))
    assert sum(a.size for a in jax.tree.leaves(shapes["params"])) == trainable
    assert sum(a.size for a in jax.tree.leaves(shapes)) == total


def test_names_and_shapes():
    variables = model.init_variables(SMALL, (6, 8, 2), jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "conv1": {"kernel": (3, 3, 2, 3), "bias": (3,)},
            "batch_norm1": {"scale": (3,), "bias": (3,)},
            "dense1": {"kernel": (3 * 4 * 3, 5), "bias": (5,)},
            "batch_norm2": {"scale": (5,), "bias": (5,)},
            "dense2": {"kernel": (5, 7), "bias": (7,)},
        },
        "batch_stats": {"batch_norm1": {"mean": (3,), "var": (3,)}, "batch_norm2": {"mean": (5,), "var": (5,)}},
    }
    bare = model.init_variables((FLAT, Dense(units=7, bias=False)), (6, 8, 2), jax.random.key(0))
    assert jax.tree.map(jnp.shape, bare) == {"params": {"dense1": {"kernel": (96, 7)}}, "batch_stats": {}}


def test_init_depends_on_the_key_and_the_name_only():
    first, again = (model.init_variables(SMALL, (6, 8, 2), jax.random.key(0)) for _ in range(2))
    other = model.init_variables(SMALL, (6, 8, 2), jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.allclose(first["params"]["conv1"]["kernel"], other["params"]["conv1"]["kernel"])
    for backend in BACKENDS:
        network = model.build(SMALL, backend=backend)
        direct = jax.jit(lambda key, n=network: n.init(key, jnp.zeros((1, 6, 8, 2)), train=False))(jax.random.key(0))
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), dict(direct), first)
    twins = model.init_variables((FLAT, Dense(units=9), Dense(units=9)), (3, 3, 1), jax.random.key(0))["params"]
    assert not np.allclose(twins["dense1"]["kernel"], twins["dense2"]["kernel"])


def test_impossible_shapes_are_refused():
    with pytest.raises(LayerError, match="larger than its 4 x 4 map"):
        model.init_variables((conv(3, 5, "valid"),), (4, 4, 1), jax.random.key(0))


FAN_IN, FAN_OUT = 300, 100


@pytest.mark.parametrize(
    ("init", "deviation", "bound"),
    [
        (Init(kind="glorot_uniform"), np.sqrt(2 / 400), np.sqrt(6 / 400)),
        # A normal that is cut at two has 0.8796 of its deviation; he_normal is widened by as much, as Keras does.
        (Init(kind="he_normal"), np.sqrt(2 / 300), 2 * np.sqrt(2 / 300) / 0.87962566),
        (Init(kind="truncated_normal", scale=0.1), 0.087962566, 0.2),
        (Init(kind="normal", scale=0.1), 0.1, np.inf),
        (Init(kind="fan_in_normal", scale=0.5), 0.5 / np.sqrt(300), np.inf),
        (Init(kind="fan_in_uniform", scale=0.5), 0.5 / np.sqrt(3 * 300), 0.5 / np.sqrt(300)),
        (Init(kind="pooled_fan_normal", scale=2.0, pool_area=4), 2 / np.sqrt(325), np.inf),
        (Init(kind="constant", scale=0.25), 0.0, 0.25),
    ],
    ids=lambda value: value.kind if isinstance(value, Init) else None,
)
def test_initial_values(init, deviation, bound):
    values = np.asarray(modules.draw(init, jax.random.key(0), (400, 500), FAN_IN, FAN_OUT))
    assert values.shape == (400, 500)
    # 200,000 draws: the deviation is known to about 0.2 %, the mean to 0.3 % of it.
    assert values.std() == pytest.approx(deviation, rel=0.01, abs=1e-7)
    assert values.mean() == pytest.approx(0.25 if init.kind == "constant" else 0.0, abs=0.01 * deviation + 1e-7)
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    if np.isfinite(bound):
        assert np.abs(values).max() > 0.99 * bound
    else:
        assert np.abs(values).max() > 3.5 * deviation


def test_fans_count_the_area_of_the_kernel():
    layers = (Conv(filters=64, kernel=5, kernel_init=Init(kind="fan_in_normal"), bias_init=Init(kind="fan_in_normal")),)
    conv1 = model.init_variables(layers, (8, 8, 16), jax.random.key(0))["params"]["conv1"]
    assert conv1["kernel"].std() == pytest.approx(1 / np.sqrt(5 * 5 * 16), rel=0.03)
    assert conv1["bias"].std() == pytest.approx(1 / np.sqrt(5 * 5 * 16), rel=0.35)


def test_softmax_and_sigmoid_at_the_end_are_left_to_the_loss():
    dense = (FLAT, Dense(units=3))
    variables = model.init_variables(dense, (4, 4, 1), jax.random.key(0))
    x = images(2, 4)
    expected = x.reshape(2, 16) @ np.asarray(variables["params"]["dense1"]["kernel"])
    for last, name in [((), "linear"), ((SOFTMAX,), "softmax"), ((Activation(function="sigmoid"),), "sigmoid")]:
        assert model.output_activation(dense + last) == name
        for backend in BACKENDS:
            np.testing.assert_allclose(apply(dense + last, backend, variables, x)[0], expected, rtol=1e-4, atol=1e-5)
    assert model.output_activation((*dense, RELU)) == "linear"
    rectified = apply((*dense, RELU), ChwnBackend(), variables, x)[0]
    np.testing.assert_allclose(rectified, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("behind", ["conv", "dense"])
def test_batch_norm_is_keras_rule_and_leaves_out_rows_of_weight_zero(backend, behind):
    layers = (
        (BatchNorm(momentum=0.9, epsilon=0.01), FLAT)
        if behind == "conv"
        else (FLAT, BatchNorm(momentum=0.9, epsilon=0.01))
    )
    x = np.random.default_rng(0).normal(3, 2, size=(6, 4, 5, 2)).astype(np.float32)
    variables = model.init_variables(layers, (4, 5, 2), jax.random.key(0))
    scale, bias = np.array([0.5, -2.0]), np.array([1.0, 3.0])
    if behind == "dense":
        scale, bias = np.tile(scale, 20), np.tile(bias, 20)
    variables["params"]["batch_norm1"] = {
        "scale": jnp.asarray(scale, jnp.float32),
        "bias": jnp.asarray(bias, jnp.float32),
    }
    # Rows 4 and 5 only fill up the batch: whatever they hold must not show.
    x[4:] = 1e3
    rows = x if behind == "conv" else x.reshape(6, -1)
    axes = tuple(range(rows.ndim - 1))
    mean, var = rows[:4].mean(axes), rows[:4].var(axes)
    expected = ((rows - mean) / np.sqrt(var + 0.01) * scale + bias).reshape(6, -1)
    weight = jnp.array([1.0, 1, 1, 1, 0, 0])
    y, updated = apply(layers, backend, variables, x, True, weight_B=weight)
    np.testing.assert_allclose(y[:4], expected[:4], rtol=1e-4, atol=1e-4)
    stats = updated["batch_stats"]["batch_norm1"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-4)
    # In evaluation the running averages serve, also for a batch of one.
    y, _ = apply(layers, backend, {**variables, **updated}, x[:1])
    running = (rows[:1] - 0.1 * mean) / np.sqrt(0.9 + 0.1 * var + 0.01) * scale + bias
    np.testing.assert_allclose(y, running.reshape(1, -1), rtol=1e-4, atol=1e-4)


def test_variance_survives_a_mean_far_from_zero():
    """E[x^2] - E[x]^2 in float32 would be off by about 1e6 / 2^24 = 6 % here."""
    layers = (FLAT, BatchNorm())
    x = np.random.default_rng(0).normal(1000, 1, size=(64, 1, 1)).astype(np.float32)
    variables = model.init_variables(layers, (1, 1, 1), jax.random.key(0))
    variables["batch_stats"]["batch_norm1"]["mean"] = jnp.array([1000.5])
    _, updated = apply(layers, ChwnBackend(), variables, x, True)
    var = (updated["batch_stats"]["batch_norm1"]["var"] - 0.99) / 0.01
    np.testing.assert_allclose(var, x.var(dtype=np.float64), rtol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_batch_norm_and_dropout_do_not_depend_on_the_number_of_devices(backend):
    """`vmap` with a named axis stands in for the devices."""
    layers = (conv(3, 3), BatchNorm(), RELU, Dropout(rate=0.3), FLAT, Dense(units=5), BatchNorm(), Dropout(rate=0.5))
    variables = model.init_variables(layers, (5, 5, 1), jax.random.key(0))
    x, weight = jnp.asarray(images(8, 5)), jnp.array([1.0, 1, 1, 0, 1, 1, 1, 0])
    expected, updated = apply(layers, backend, variables, x, True, weight_B=weight)
    assert (np.asarray(expected) == 0).any()

    def one(x, weight):
        return apply(layers, backend, variables, x, True, axis_name="data", weight_B=weight)

    for devices in (2, 4):
        split = jax.jit(jax.vmap(one, axis_name="data"))
        shares, stats = split(x.reshape(devices, -1, 5, 5), weight.reshape(devices, -1))
        np.testing.assert_array_equal(np.asarray(shares).reshape(8, -1) == 0, np.asarray(expected) == 0)
        np.testing.assert_allclose(shares.reshape(8, -1), expected, rtol=1e-4, atol=1e-5)
        for a, b in zip(jax.tree.leaves(stats), jax.tree.leaves(updated), strict=True):
            np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=1e-5, atol=1e-6)


def test_dropout_rate_and_scale():
    """Masks are drawn in the backend's own layout; rates, scaling and evaluation mode are common."""
    layers = (Dropout(rate=0.2), FLAT)
    x = np.ones((64, 11, 11, 3), np.float32)  # 363 units per image, an odd number
    for backend in BACKENDS:
        y = np.asarray(apply(layers, backend, {}, x, True)[0])
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.8)}
        # 23,232 draws: the share of zeros has a deviation of 0.26 %. No two images or units share their mask.
        assert (y == 0).mean() == pytest.approx(0.2, abs=0.011)
        assert len(np.unique(y, axis=0)) == 64
        assert len(np.unique(y, axis=1).T) == 363
        np.testing.assert_array_equal(apply(layers, backend, {}, x, False)[0], x.reshape(64, -1))


def test_dropout_of_rate_zero_needs_no_random_numbers():
    network = model.build((Dropout(rate=0.0), FLAT), backend=ChwnBackend())
    y = network.apply({}, images(2, 3), train=True)
    np.testing.assert_array_equal(y, images(2, 3).reshape(2, 9))


def test_dropout_layers_have_masks_of_their_own():
    once = apply((FLAT, Dropout(rate=0.5)), ChwnBackend(), {}, np.ones((16, 8, 8), np.float32), True)[0]
    twice = apply(
        (FLAT, Dropout(rate=0.5), Dropout(rate=0.5)), ChwnBackend(), {}, np.ones((16, 8, 8), np.float32), True
    )[0]
    assert np.asarray(once != 0).mean() == pytest.approx(0.5, abs=0.08)
    assert np.asarray(twice != 0).mean() == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_seeds_by_vmap(backend):
    """Several networks side by side: the same numbers as one after the other."""
    keys = jax.random.split(jax.random.key(0), 2)
    variables = jax.vmap(lambda key: model.init_variables(SMALL, (8, 8, 1), key))(keys)
    x = images(4, 8)
    both = jax.jit(jax.vmap(lambda v: apply(SMALL, backend, v, x, True)[0]))(variables)
    for i in range(2):
        alone = apply(SMALL, backend, jax.tree.map(lambda a, i=i: a[i], variables), x, True)[0]
        np.testing.assert_allclose(both[i], alone, rtol=1e-4, atol=1e-5)


def test_image_axes():
    layers = (conv(3, 3), POOL, FLAT, Dense(units=7))
    variables = model.init_variables(layers, (6, 6, 1), jax.random.key(1))
    x = images(2, 6)
    for backend in BACKENDS:
        flat, with_channel = (apply(layers, backend, variables, a)[0] for a in (x, x[..., None]))
        assert flat.shape == (2, 7)
        assert flat.dtype == jnp.float32
        np.testing.assert_array_equal(flat, with_channel)
