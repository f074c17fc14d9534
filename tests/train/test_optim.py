"""Optimizers and losses against their formulas, written out in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.train.optim import example_losses, l2_penalty, make_optimizer, probabilities
from fer_jax.vocabulary.settings import Adam, Loss, RmsProp, Sgd

STEPS = 8
RNG = np.random.default_rng(4)
START = RNG.normal(size=(5, 3))
# From far above to far below every epsilon, so that where it is added shows.
GRADIENTS = RNG.normal(size=(STEPS, 5, 3)) * np.array([1e-6, 1e-3, 1.0])
# The rate falls on the way, as it does under reduce_on_plateau.
RATES = [0.1] * 4 + [0.02] * 4


def run(settings):
    """Changes of the parameters from step to step, (STEPS, 5, 3) float32."""
    params: dict[str, jax.Array] = {"kernel": jnp.asarray(START, jnp.float32)}
    state = make_optimizer(settings, RATES[0]).init(params)
    moves = []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        optimizer = make_optimizer(settings, jnp.asarray(rate, jnp.float32))
        updates, state = optimizer.update({"kernel": jnp.asarray(gradient, jnp.float32)}, state, params)
        assert isinstance(updates, dict)
        moves.append(np.asarray(jax.tree.leaves(updates)[0]))
    return np.stack(moves)


def agree(settings, expected, rtol=2e-5):
    np.testing.assert_allclose(run(settings), np.stack(expected), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum, nesterov):
    """Keras: v = momentum v - rate g; p += v, or p += momentum v - rate g with Nesterov."""
    velocity, moves = np.zeros((5, 3)), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        velocity = momentum * velocity - rate * gradient
        moves.append(momentum * velocity - rate * gradient if nesterov else velocity)
    agree(Sgd(learning_rate=0.1, momentum=momentum, nesterov=nesterov), moves)


@pytest.mark.parametrize("epsilon_hat", [False, True])
def test_adam(epsilon_hat):
    """Kingma & Ba 2015: algorithm 1, and the form at the end of section 2 that Keras computes."""
    b1, b2, epsilon = 0.9, 0.99, 1e-4
    m, v, moves = np.zeros((5, 3)), np.zeros((5, 3)), []
    for t, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), 1):
        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient**2
        if epsilon_hat:
            moves.append(-rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon))
        else:
            moves.append(-rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon))
    agree(Adam(learning_rate=0.1, b1=b1, b2=b2, epsilon=epsilon, epsilon_hat=epsilon_hat), moves)


def test_the_two_forms_of_adam_differ_where_gradients_are_small():
    hat, plain = (run(Adam(learning_rate=0.1, b2=0.99, epsilon=1e-4, epsilon_hat=e))[0] for e in (True, False))
    assert (np.abs(plain[:, 0]) > 5 * np.abs(hat[:, 0])).all()


@pytest.mark.parametrize("initial", [0.0, 1.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop(momentum, initial):
    """c = decay c + (1 - decay) g^2; v = momentum v - rate g / sqrt(c + epsilon): epsilon under the root."""
    decay, epsilon = 0.95, 1e-6
    square, velocity, moves = np.full((5, 3), initial), np.zeros((5, 3)), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        square = decay * square + (1 - decay) * gradient**2
        velocity = momentum * velocity - rate * gradient / np.sqrt(square + epsilon)
        moves.append(velocity)
    settings = RmsProp(learning_rate=0.1, decay=decay, momentum=momentum, epsilon=epsilon, initial_accumulator=initial)
    agree(settings, moves)


LOGITS = np.random.default_rng(5).normal(size=(6, 7)) * 3
LABELS = np.array([0, 6, 3, 3, 1, 5])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def losses(kind, output, logits=LOGITS):
    return np.asarray(example_losses(Loss(kind=kind), jnp.asarray(logits, jnp.float32), jnp.asarray(LABELS), output))


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
