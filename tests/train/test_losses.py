"""Losses against their formulas, written out in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.train.losses import class_weights, example_losses, l2_penalty, probabilities, target_losses
from fer_jax.vocabulary.settings import Loss

LOGITS = np.random.default_rng(5).normal(size=(6, 7)) * 3
LABELS = np.array([0, 6, 3, 3, 1, 5])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def losses(kind, output, logits=LOGITS, **settings):
    loss = Loss(kind=kind, **settings)
    return np.asarray(example_losses(loss, jnp.asarray(logits, jnp.float32), jnp.asarray(LABELS), output))


@pytest.mark.parametrize("output", ["softmax", "linear"])
def test_cross_entropy_of_a_softmax(output):
    expected = -np.log(softmax(LOGITS)[np.arange(6), LABELS])
    np.testing.assert_allclose(losses("cross_entropy", output), expected, rtol=1e-5)


def test_cross_entropy_of_a_softmax_has_no_clip():
    logits = np.zeros((6, 7))
    logits[:, 2] = 200.0  # the label's probability is e^-200, below the smallest float32
    np.testing.assert_allclose(losses("cross_entropy", "softmax", logits), 200.0, rtol=1e-6)


def test_cross_entropy_of_sigmoids_is_renormalised_and_clipped_as_in_keras():
    p = sigmoid(LOGITS)
    p = np.clip(p / p.sum(-1, keepdims=True), 1e-7, 1 - 1e-7)
    expected = -np.log(p[np.arange(6), LABELS])
    np.testing.assert_allclose(losses("cross_entropy", "sigmoid"), expected, rtol=1e-5)
    logits = np.full((6, 7), 5.0)
    logits[np.arange(6), LABELS] = -60.0
    np.testing.assert_allclose(losses("cross_entropy", "sigmoid", logits), -np.log(1e-7), rtol=1e-5)


@pytest.mark.parametrize(("output", "function"), [("softmax", softmax), ("sigmoid", sigmoid)])
def test_mean_squared_error(output, function):
    expected = ((function(LOGITS) - np.eye(7)[LABELS]) ** 2).mean(-1)
    np.testing.assert_allclose(losses("mean_squared_error", output), expected, rtol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_probabilities_sum_to_one_and_keep_the_order(output):
    p = np.asarray(probabilities(jnp.asarray(LOGITS, jnp.float32), output))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p.argsort(-1), LOGITS.argsort(-1))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_a_temperature_divides_the_logarithms(output):
    stated = np.asarray(probabilities(jnp.asarray(LOGITS, jnp.float32), output), float)
    raised = stated ** (1 / 2.5)
    found = np.asarray(probabilities(jnp.asarray(LOGITS, jnp.float32), output, 2.5))
    np.testing.assert_allclose(found, raised / raised.sum(-1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_no_probability_is_too_small_at_a_high_temperature(output):
    """Log-probabilities of -300 and below are zero in float32, but not at a temperature of 20."""
    logits = jnp.asarray([[-400.0, -300.0, -310.0]], jnp.float32)
    found = np.log(np.asarray(probabilities(logits, output, 20.0), float)) * 20
    np.testing.assert_allclose(found - found[:, 1:2], [[-100, 0, -10]], atol=1e-3)


@pytest.mark.parametrize("kind", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_derivatives_of_the_losses(kind, output):
    """Against differences of the NumPy formulas in float64."""

    def reference(logits):
        p = softmax(logits) if output == "softmax" else sigmoid(logits)
        if kind == "mean_squared_error":
            return ((p - np.eye(7)[LABELS]) ** 2).mean()
        return -np.log((p / p.sum(-1, keepdims=True))[np.arange(6), LABELS]).mean()

    expected = np.zeros_like(LOGITS)
    for index in np.ndindex(LOGITS.shape):
        nudge = np.zeros_like(LOGITS)
        nudge[index] = 1e-5
        expected[index] = (reference(LOGITS + nudge) - reference(LOGITS - nudge)) / 2e-5
    labels = jnp.asarray(LABELS)
    found = jax.grad(lambda x: example_losses(Loss(kind=kind), x, labels, output).mean())(
        jnp.asarray(LOGITS, jnp.float32)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


PARAMS = {
    "conv1": {"kernel": jnp.full((2, 2, 1, 3), 2.0), "bias": jnp.full((3,), 3.0)},
    "batch_norm1": {"scale": jnp.full((3,), 5.0), "bias": jnp.full((3,), 7.0)},
}


def test_l2_of_kernels_only():
    assert float(l2_penalty(Loss(kind="cross_entropy", l2=0.5), PARAMS)) == 0.5 * 12 * 4


def test_l2_of_everything():
    # 12 weights of 2, 3 biases of 3, 3 scales of 5, 3 offsets of 7
    expected = 0.5 * (12 * 4 + 3 * 9 + 3 * 25 + 3 * 49)
    assert float(l2_penalty(Loss(kind="cross_entropy", l2=0.5, l2_biases=True), PARAMS)) == expected


TARGETS = np.eye(7)[LABELS]


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_label_smoothing_is_the_cross_entropy_with_a_smoothed_target(output):
    """Szegedy et al. 2016, section 7."""
    p = softmax(LOGITS) if output == "softmax" else sigmoid(LOGITS) / sigmoid(LOGITS).sum(-1, keepdims=True)
    expected = -((0.9 * TARGETS + 0.1 / 7) * np.log(p)).sum(-1)
    np.testing.assert_allclose(losses("cross_entropy", output, label_smoothing=0.1), expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss(gamma, smoothing):
    """Lin et al. 2017, equation 4; with a smoothed target summed over the classes, as Keras does."""
    p = softmax(LOGITS)
    targets = (1 - smoothing) * TARGETS + smoothing / 7
    expected = -(targets * (1 - p) ** gamma * np.log(p)).sum(-1)
    np.testing.assert_allclose(losses("focal", "softmax", gamma=gamma, label_smoothing=smoothing), expected, rtol=1e-5)


def test_the_focal_loss_of_a_certain_answer_has_a_finite_derivative():
    logits = np.where(TARGETS > 0, 60.0, 0.0)
    loss = Loss(kind="focal", gamma=0.5)
    found = jax.grad(lambda x: example_losses(loss, x, jnp.asarray(LABELS), "softmax").sum())(jnp.asarray(logits))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("over", ["mean", "sum"])
def test_squared_hinge(over):
    """Tang 2013, equation 5, on scores; Keras averages over the classes."""
    side = 2 * TARGETS - 1
    each = np.maximum(0, 1 - side * LOGITS) ** 2
    found = losses("squared_hinge", "linear", over_classes=over)
    np.testing.assert_allclose(found, each.sum(-1) if over == "sum" else each.mean(-1), rtol=1e-5)


def test_balanced_class_weights_are_those_of_scikit_learn():
    """compute_class_weight("balanced"): samples / (classes * count), classes without samples left out."""
    labels = jnp.asarray([0, 0, 0, 0, 0, 0, 2, 2, 3])
    found = class_weights(Loss(kind="cross_entropy", class_weights="balanced"), labels, 5)
    assert found is not None
    np.testing.assert_allclose(found, [9 / (3 * 6), 0, 9 / (3 * 2), 9 / 3, 0], rtol=1e-6)
    assert class_weights(Loss(kind="cross_entropy"), labels, 5) is None
    given = class_weights(Loss(kind="cross_entropy", class_weights=(1.0, 2.0)), labels, 2)
    np.testing.assert_array_equal(given, [1, 2])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (("conv1",), 4.0),
        (("residual1",), 16.0 + 25.0),
        (("conv1", "residual1.body.separable_conv1"), 4.0 + 16.0 + 25.0),
    ],
)
def test_l2_of_layers_by_their_names(layers, expected):
    """`conv1` is not `conv10`; a residual and a separable convolution stand for all of their kernels."""
    inside = "residual1.body.separable_conv1"
    kernels = {"conv1": 2.0, "conv10": 3.0, f"{inside}.depthwise": 4.0, f"{inside}.pointwise": 5.0}
    params = {name: {"kernel": jnp.full(1, value), "bias": jnp.ones(1)} for name, value in kernels.items()}
    assert float(l2_penalty(Loss(kind="cross_entropy", l2=1.0, l2_layers=layers), params)) == expected


def test_l2_of_some_layers():
    loss = Loss(kind="cross_entropy", l2=0.5, l2_layers=("conv1",))
    assert float(l2_penalty(loss, {**PARAMS, "dense1": {"kernel": jnp.full((2, 2), 9.0)}})) == 0.5 * 12 * 4
    with_biases = Loss(kind="cross_entropy", l2=0.5, l2_biases=True, l2_layers=("batch_norm1",))
    assert float(l2_penalty(with_biases, PARAMS)) == 0.5 * (3 * 25 + 3 * 49)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
def test_shares_of_one_class_are_its_label(kind, smoothing):
    loss = Loss(kind=kind, label_smoothing=smoothing)
    logits, labels = jnp.asarray(np.random.default_rng(0).normal(0, 2, (5, 7)), jnp.float32), jnp.arange(5)
    found = target_losses(loss, logits, jnp.eye(7)[labels], "softmax")
    np.testing.assert_allclose(found, example_losses(loss, logits, labels, "softmax"), rtol=1e-5)


def test_shares_by_their_definition():
    """-sum of t log p, and with smoothing a of (1 - a) t + a / 7; gradients p - t."""
    random = np.random.default_rng(1)
    logits, shares = random.normal(0, 2, (4, 7)), random.dirichlet(np.ones(7), 4)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for a in (0.0, 0.2):
        smooth = (1 - a) * shares + a / 7
        loss = Loss(kind="cross_entropy", label_smoothing=a)

        def total(x, loss=loss):
            return target_losses(loss, x, jnp.asarray(shares, jnp.float32), "softmax").sum()

        x = jnp.asarray(logits, jnp.float32)
        np.testing.assert_allclose(total(x), -(smooth * log_p).sum(), rtol=1e-5)
        np.testing.assert_allclose(jax.grad(total)(x), np.exp(log_p) - smooth, atol=1e-5)
