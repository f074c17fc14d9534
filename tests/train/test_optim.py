"""Optimizers against their formulas, written out in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.train.optim import make_optimizer
from fer_jax.vocabulary.settings import Adagrad, Adam, AdamW, Lion, Nadam, RmsProp, Sgd

STEPS = 8
RNG = np.random.default_rng(4)
START = RNG.normal(size=(5, 3))
# From far above to far below every epsilon, so that where it is added shows.
GRADIENTS = RNG.normal(size=(STEPS, 5, 3)) * np.array([1e-6, 1e-3, 1.0])
# The rate falls on the way, as it does under reduce_on_plateau.
RATES = [0.1] * 4 + [0.02] * 4


def run(settings, name="kernel", accumulate=1):
    """Changes of the parameters from step to step, (STEPS, 5, 3) float32. name: of the parameters."""
    params: dict[str, jax.Array] = {name: jnp.asarray(START, jnp.float32)}
    state = make_optimizer(settings, RATES[0], accumulate).init(params)
    moves = []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        optimizer = make_optimizer(settings, jnp.asarray(rate, jnp.float32), accumulate)
        updates, state = optimizer.update({name: jnp.asarray(gradient, jnp.float32)}, state, params)
        assert isinstance(updates, dict)
        moves.append(np.asarray(jax.tree.leaves(updates)[0]))
        params = {name: params[name] + moves[-1]}
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


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_the_rate_outside_the_velocity(nesterov):
    """PyTorch: v = momentum v + g; p -= rate v, or p -= rate (g + momentum v) with Nesterov."""
    velocity, moves = np.zeros((5, 3)), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        velocity = 0.9 * velocity + gradient
        moves.append(-rate * (gradient + 0.9 * velocity if nesterov else velocity))
    settings = Sgd(learning_rate=0.1, momentum=0.9, nesterov=nesterov, rate_in_velocity=False)
    agree(settings, moves, rtol=1e-4)
    inside = run(Sgd(learning_rate=0.1, momentum=0.9, nesterov=nesterov))
    np.testing.assert_allclose(inside[:4], run(settings)[:4], rtol=1e-5)
    assert np.abs(inside[4] / run(settings)[4] - 1).max() > 1, "the rate fell before update 4"


@pytest.mark.parametrize("momentum_decay", [0.004, 1.0])
def test_nadam(momentum_decay):
    """Dozat 2016, algorithm 2, with the schedule of momenta of Keras and PyTorch."""
    b1, b2, epsilon = 0.9, 0.99, 1e-4
    m, v, product, moves = np.zeros((5, 3)), np.zeros((5, 3)), 1.0, []

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    for t, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), 1):
        product *= mu(t)
        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient**2
        ahead = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * gradient / (1 - product)
        moves.append(-rate * ahead / (np.sqrt(v / (1 - b2**t)) + epsilon))
    agree(Nadam(learning_rate=0.1, b1=b1, b2=b2, epsilon=epsilon, momentum_decay=momentum_decay), moves)


@pytest.mark.parametrize("in_root", [False, True])
@pytest.mark.parametrize("initial", [0.0, 0.1])
def test_adagrad(in_root, initial):
    """Duchi et al. 2011; Keras: sqrt(c + epsilon), PyTorch: sqrt(c) + epsilon."""
    epsilon, total, moves = 1e-4, np.full((5, 3), initial), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        total = total + gradient**2
        moves.append(-rate * gradient / (np.sqrt(total + epsilon) if in_root else np.sqrt(total) + epsilon))
    settings = Adagrad(learning_rate=0.1, epsilon=epsilon, initial_accumulator=initial, epsilon_in_root=in_root)
    agree(settings, moves)


def test_rmsprop_of_pytorch():
    """c = decay c + (1 - decay) g^2; v = momentum v + g / (sqrt(c) + epsilon); p -= rate v."""
    square, velocity, moves = np.zeros((5, 3)), np.zeros((5, 3)), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        square = 0.99 * square + 0.01 * gradient**2
        velocity = 0.9 * velocity + gradient / (np.sqrt(square) + 1e-4)
        moves.append(-rate * velocity)
    settings = {"decay": 0.99, "momentum": 0.9, "epsilon": 1e-4, "epsilon_in_root": False, "rate_in_velocity": False}
    agree(RmsProp(learning_rate=0.1, **settings), moves)


def decoupled(rule, weight_decay):
    """Moves of a rule of (gradient, rate, t) with p -= rate * weight_decay * p besides."""
    p, moves = START.copy(), []
    for t, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), 1):
        moves.append(rule(gradient, rate, t) - rate * weight_decay * p)
        p = p + moves[-1]
    return moves


def test_adamw():
    """Loshchilov & Hutter 2019, algorithm 2, with the rate as the schedule's multiplier, as PyTorch has it."""
    b1, b2, epsilon = 0.9, 0.99, 1e-4
    m, v = np.zeros((5, 3)), np.zeros((5, 3))

    def rule(gradient, rate, t):
        nonlocal m, v
        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient**2
        return -rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon)

    settings = AdamW(learning_rate=0.1, b1=b1, b2=b2, epsilon=epsilon, weight_decay=0.05)
    agree(settings, decoupled(rule, 0.05))


def test_lion():
    """Chen et al. 2023, algorithm 2."""
    m = np.zeros((5, 3))

    def rule(gradient, rate, t):
        nonlocal m
        direction = np.sign(0.9 * m + 0.1 * gradient)
        m = 0.99 * m + 0.01 * gradient
        return -rate * direction

    agree(Lion(learning_rate=0.1, weight_decay=0.05), decoupled(rule, 0.05))


def coupled(momentum, weight_decay, clipped=lambda g: g):
    """PyTorch's SGD: clipped gradient + weight_decay * p."""
    p, velocity, moves = START.copy(), np.zeros((5, 3)), []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        velocity = momentum * velocity + clipped(gradient) + weight_decay * p
        moves.append(-rate * velocity)
        p = p + moves[-1]
    return moves


TORCH_SGD = {"learning_rate": 0.1, "momentum": 0.9, "rate_in_velocity": False}


def test_weight_decay_in_the_gradient():
    agree(Sgd(**TORCH_SGD, weight_decay=0.05), coupled(0.9, 0.05))


@pytest.mark.parametrize("of", ["all", "kernels"])
def test_weight_decay_of_biases(of):
    expected = coupled(0.9, 0.05 if of == "all" else 0.0)
    found = run(Sgd(**TORCH_SGD, weight_decay=0.05, weight_decay_of=of), name="bias")
    np.testing.assert_allclose(found, np.stack(expected), rtol=2e-5, atol=1e-12)


def test_gradients_are_clipped_before_the_weight_decay():
    """As in WuJie1010's utils.clip_gradient, which limits each number of `.grad` before `optimizer.step`."""
    assert np.abs(GRADIENTS).max() > 0.5 > np.abs(GRADIENTS[..., :2]).max(), "some are clipped, some are not"
    expected = coupled(0.9, 0.05, lambda g: np.clip(g, -0.5, 0.5))
    agree(Sgd(**TORCH_SGD, weight_decay=0.05, clip_value=0.5), expected)


def test_clipping_by_norm():
    """Of two arrays with norms 5 and 13: each to 6, and both together (norm 13.93) to 6."""
    gradients = {"a": jnp.asarray([3.0, 4.0]), "b": jnp.asarray([5.0, 12.0])}

    def moved(**limit):
        optimizer = make_optimizer(Sgd(learning_rate=1.0, **limit), 1.0)
        updates, _ = optimizer.update(gradients, optimizer.init(gradients), gradients)
        return -np.concatenate([np.asarray(leaf) for leaf in jax.tree.leaves(updates)])

    whole = np.array([3.0, 4.0, 5.0, 12.0])
    np.testing.assert_allclose(moved(clip_norm=6.0), [3, 4, 5 * 6 / 13, 12 * 6 / 13], rtol=1e-6)
    np.testing.assert_allclose(moved(clip_global_norm=6.0), whole * 6 / np.sqrt(25 + 169), rtol=1e-6)
    np.testing.assert_allclose(moved(clip_global_norm=20.0), whole, rtol=1e-6)


def test_accumulated_gradients_are_averaged():
    """Two batches an update: nothing after the first, then one step with the mean of both gradients."""
    moves = run(Sgd(**TORCH_SGD), accumulate=2)
    velocity = np.zeros((5, 3))
    for update in range(4):
        velocity = 0.9 * velocity + GRADIENTS[2 * update : 2 * update + 2].mean(0)
        np.testing.assert_array_equal(moves[2 * update], 0)
        np.testing.assert_allclose(moves[2 * update + 1], -RATES[2 * update + 1] * velocity, rtol=2e-5, atol=1e-12)
