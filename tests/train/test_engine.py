"""Steps and evaluations on one device and on several, against NumPy and against each other."""

import jax
import numpy as np
import pytest

from fer_jax.train.batches import NO_ROW, evaluation_batches
from fer_jax.train.engine import Engine
from fer_jax.vocabulary.layers import Activation, Dense, Flatten
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training

SIZE, RATE, L2 = 5, 0.3, 0.01
LINEAR = (Flatten(), Dense(units=7), Activation(function="softmax"))


def linear_engine(devices, l2_biases=True, **more):
    training = Training(
        batch_size=6,
        epochs=1,
        loss=Loss(kind="cross_entropy", l2=L2, l2_biases=l2_biases),
        optimizer=Sgd(learning_rate=RATE),
    )
    network = Network(LINEAR, training, SIZE, subtract=10.0, divide=200.0, **more)
    return Engine(network, jax.devices("cpu")[:devices])


def samples(count=20):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8), random.integers(0, 7, count).astype(np.uint8)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_step_in_numpy(kernel, bias, images, labels, l2_biases):
    """Loss without L2, and the parameters after one step of gradient descent, in float64."""
    x = ((images.astype(np.float64) - 10) / 200).reshape(len(images), -1)
    p = softmax(x @ kernel + bias)
    loss = -np.log(p[np.arange(len(labels)), labels]).mean()
    slope = (p - np.eye(7)[labels]) / len(labels)
    kernel_slope = x.T @ slope + 2 * L2 * kernel
    bias_slope = slope.sum(0) + 2 * L2 * bias * l2_biases
    return loss, (p.argmax(1) == labels).sum(), kernel - RATE * kernel_slope, bias - RATE * bias_slope


@pytest.mark.parametrize(("devices", "l2_biases"), [(1, False), (1, True), (2, True), (4, False), (4, True)])
def test_steps_against_numpy(devices, l2_biases):
    """L2 and the mean over the batch do not depend on the number of devices, nor on samples that fill up a batch."""
    images, labels = samples()
    engine = linear_engine(devices, l2_biases)
    state = engine.init_state(seed=1)
    kernel = np.asarray(state.params["dense1"]["kernel"], np.float64)
    bias = np.asarray(state.params["dense1"]["bias"], np.float64)
    batches = np.full((4, 8), NO_ROW, np.int32)  # the second is incomplete, the third leaves devices without a row
    for i, chosen in enumerate([[0, 5, 9, 3, 12, 19], [7, 7, 1, 2], [4], [11, 12, 13, 14, 15, 16]]):
        batches[i, : len(chosen)] = chosen

    state, figures = engine.run_epoch(state, engine.put_samples(images, labels), batches, RATE)
    for i, batch in enumerate(batches):
        real = batch[batch != NO_ROW]
        loss, correct, kernel, bias = one_step_in_numpy(kernel, bias, images[real], labels[real], l2_biases)
        assert float(figures.loss[i]) == pytest.approx(loss, rel=1e-5)
        assert (int(figures.correct[i]), int(figures.examples[i])) == (correct, len(real))
    np.testing.assert_allclose(state.params["dense1"]["kernel"], kernel, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(state.params["dense1"]["bias"], bias, rtol=2e-5, atol=1e-6)
    assert int(state.step) == 4


def test_the_learning_rate_is_that_of_the_call():
    """It changes between epochs without a new optimizer."""
    images, labels = samples()
    engine = linear_engine(1, l2_biases=False)
    data, batch = engine.put_samples(images, labels), np.arange(6, dtype=np.int32)[None]
    before = np.asarray(engine.init_state(0).params["dense1"]["kernel"])
    moves = [
        np.asarray(engine.run_epoch(engine.init_state(0), data, batch, rate)[0].params["dense1"]["kernel"]) - before
        for rate in (0.1, 0.05)
    ]
    np.testing.assert_allclose(moves[0], 2 * moves[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("devices", "count"), [(1, 1), (1, 19), (2, 7), (2, 19), (4, 1), (4, 8), (4, 19)])
def test_every_row_is_predicted_in_order(devices, count):
    images, labels = samples(count)
    engine = linear_engine(devices)
    state = engine.init_state(seed=1)
    batches = evaluation_batches(count, 8, devices)
    probability, loss = engine.predict(state, engine.put_samples(images, labels), batches, "test", 1)
    x = ((images.astype(np.float64) - 10) / 200).reshape(count, -1)
    expected = softmax(x @ np.asarray(state.params["dense1"]["kernel"], np.float64))
    assert probability.shape == (count, 7)
    np.testing.assert_allclose(probability, expected, rtol=1e-4)
    np.testing.assert_allclose(loss, -np.log(expected[np.arange(count), labels]), rtol=1e-4)


def test_the_same_seed_gives_the_same_parameters_on_any_number_of_devices(tiny_network):
    network = tiny_network(convolutional=True)
    one, two = (Engine(network, jax.devices("cpu")[:n]).init_state(seed=5) for n in (1, 2))
    jax.tree.map(np.testing.assert_array_equal, one, two)
    other = Engine(network, jax.devices("cpu")[:1]).init_state(seed=6)
    assert (np.asarray(one.params["conv1"]["kernel"]) != np.asarray(other.params["conv1"]["kernel"])).all()


@pytest.mark.parametrize("devices", [1, 4])
def test_random_flips_mirror_about_half_of_the_rows(devices):
    """Each prediction is that of the row or of its mirror image, anew in every epoch; other splits stay as they are."""
    images, labels = samples(60)
    engine = linear_engine(devices, random_flip={"test": 0.5})
    state = engine.init_state(seed=2)
    batches = evaluation_batches(60, 20, devices)

    def predict(pixels, split, epoch=1):
        return engine.predict(state, engine.put_samples(pixels, labels), batches, split, epoch)[0]

    plain, mirrored = predict(images, "validation"), predict(images[:, :, ::-1], "validation")
    flips = []
    for epoch in (1, 2):
        found = predict(images, "test", epoch)
        is_plain = np.isclose(found, plain, rtol=1e-5).all(1)
        is_mirrored = np.isclose(found, mirrored, rtol=1e-5).all(1)
        assert (is_plain ^ is_mirrored).all()
        flips.append(is_mirrored)
        assert 15 <= is_mirrored.sum() <= 45  # 30 +- 4 standard deviations
    assert (flips[0] != flips[1]).any()
    assert (flips[0][:20] != flips[0][20:40]).any()  # not the same choice in every batch


@pytest.mark.usefixtures("fresh_programs")
def test_compiling_is_timed_apart_and_done_once_per_shape():
    images, labels = samples()
    engine = linear_engine(1)
    data, batch = engine.put_samples(images, labels), np.arange(6, dtype=np.int32)[None]
    state, _ = engine.run_epoch(engine.init_state(0), data, batch, RATE)
    once = engine.compile_s
    assert once > 0
    state, _ = engine.run_epoch(state, data, batch, RATE / 2)
    assert engine.compile_s == once
    engine.run_epoch(state, data, np.concatenate([batch, batch]), RATE)
    assert engine.compile_s > once
