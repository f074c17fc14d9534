"""Settings of today's recipes in whole runs: the same after an interruption, on several devices, and side by side."""

import json

import jax
import msgspec
import numpy as np
import pytest
from tiny_runs import Killed, digest, stop_at

from fer_jax.data.faces import Faces
from fer_jax.train import averaging
from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.engine import Engine
from fer_jax.train.loop import SeedData, fit, fit_seeds
from fer_jax.vocabulary.settings import (
    AdamW,
    Cosine,
    EarlyStopping,
    Loss,
    OneCycle,
    ReduceOnPlateau,
    Sgd,
)

CPU = jax.devices("cpu")
STOPPING = EarlyStopping(split="validation", metric="loss", patience=2)
# Each recipe has several of the new settings. 203 rows in batches of 32: seven batches an epoch, an odd number for
# `accumulate`, so that a gradient waits at the end of every second epoch.
RECIPES = {
    "adamw": {
        "optimizer": AdamW(learning_rate=0.01, clip_global_norm=1.0),
        "schedule": Cosine(warmup_epochs=1.0),
        "loss": Loss(kind="cross_entropy", label_smoothing=0.1, class_weights="balanced"),
        "average_weights": 0.9,
        "accumulate": 2,
    },
    "sgd": {
        "optimizer": Sgd(
            learning_rate=0.05, momentum=0.9, nesterov=True, rate_in_velocity=False, weight_decay=1e-3, clip_value=0.1
        ),
        "schedule": OneCycle(),
        "loss": Loss(kind="focal", class_weights=(1.0, 2.0, 1.0, 1.0, 1.0, 0.5, 1.0), class_weights_mean="weights"),
        "accumulate": 3,
    },
}


@pytest.fixture
def splits(tiny_faces):
    return {"train": tiny_faces(203), "validation": tiny_faces(101, usage=1), "test": tiny_faces(60, usage=2)}


def interrupted(network, splits, folder, epochs):
    """The run, killed after each of these epochs and resumed."""

    for epoch in epochs:
        checkpoints = Checkpoints(folder)
        with pytest.raises(Killed):
            fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints, report=stop_at(epoch))
        checkpoints.close()
    checkpoints = Checkpoints(folder)
    result = fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints)
    checkpoints.close()
    return result


def same(one, other):
    assert json.dumps(one.history) == json.dumps(other.history)
    assert (one.best, one.reported_epoch) == (other.best, other.reported_epoch)
    assert digest(one.state) == digest(other.state)
    assert json.dumps(one.metrics) == json.dumps(other.metrics)


# One of each is tried beside every change.
ONE_RECIPE = ["adamw", pytest.param("sgd", marks=pytest.mark.slow)]


@pytest.mark.parametrize("recipe", ONE_RECIPE)
def test_interrupted_after_every_epoch(tiny_network, splits, tmp_path, recipe):
    network = tiny_network(epochs=4, report="best", report_metric="loss", **RECIPES[recipe])
    same(interrupted(network, splits, tmp_path, (1, 2, 3)), fit(network, splits, seed=1, devices=CPU[:1]))


@pytest.mark.parametrize("recipe", ONE_RECIPE)
def test_one_and_four_devices_and_beside_another_seed(tiny_network, splits, recipe):
    network = tiny_network(epochs=2, batch_size=30, **RECIPES[recipe])

    def figures(result):
        return [value["loss"] for e in result.history for value in (e["train"], e["splits"]["validation"])]

    one, four = (fit(network, splits, seed=3, devices=CPU[:n]) for n in (1, 4))
    np.testing.assert_allclose(figures(four), figures(one), atol=2e-5, rtol=0)
    together = fit_seeds(network, [SeedData(3, splits), SeedData(4, splits)], devices=CPU[:1])
    np.testing.assert_allclose(figures(together[0]), figures(one), atol=1e-4, rtol=0)
    assert figures(together[1]) != figures(together[0])
    assert [e["learning_rate"] for e in one.history] == [e["learning_rate"] for e in together[0].history]


# --- early stopping and the best epoch ------------------------------------------------------------------------------

FAST = Sgd(learning_rate=0.5, momentum=0.9)


def stopped_at(result, rule):
    """The epoch after which Keras' rule ends, worked out on the history of an unstopped run."""
    values = [entry["splits"][rule.split][rule.metric] for entry in result.history]
    best = 0
    for epoch, value in enumerate(values):
        if value < values[best]:
            best = epoch
        if epoch - best >= rule.patience:
            return epoch + 1
    return len(values)


@pytest.mark.parametrize("report", ["last", "best"])
def test_early_stopping_is_the_beginning_of_the_whole_run(tiny_network, splits, tmp_path, report):
    settings = {"epochs": 12, "optimizer": FAST, "report": report, "report_metric": "loss"}
    whole = fit(tiny_network(**settings), splits, seed=1, devices=CPU[:1])
    end = stopped_at(whole, STOPPING)
    assert 3 <= end < 12, "or it shows nothing"
    network = tiny_network(**settings, early_stopping=STOPPING)
    short = fit(network, splits, seed=1, devices=CPU[:1])
    assert json.dumps(short.history) == json.dumps(whole.history[:end])
    losses = [entry["splits"]["validation"]["loss"] for entry in short.history]
    assert short.reported_epoch == (end if report == "last" else 1 + int(np.argmin(losses)))
    assert short.metrics["validation"]["loss"] == losses[short.reported_epoch - 1]
    same(interrupted(network, splits, tmp_path, (1, end - 1)), short)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.epochs()["last"] == [end]
    same(fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints), short)
    checkpoints.close()


def test_a_stopped_run_leaves_a_checkpoint_though_none_is_due(tiny_network, splits, tmp_path):
    network = tiny_network(epochs=12, optimizer=FAST, early_stopping=STOPPING)
    checkpoints = Checkpoints(tmp_path)
    result = fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints, checkpoint_every_s=1e9)
    assert checkpoints.epochs()["last"] == [len(result.history)]
    checkpoints.close()


def test_seeds_side_by_side_stop_each_on_its_own(tiny_network, tiny_faces, splits):
    network = tiny_network(epochs=12, optimizer=FAST, early_stopping=STOPPING, average_weights=0.1)

    def of(seed):
        train = splits["train"]
        order = np.random.default_rng(seed).permutation(len(train))
        shuffled = Faces(train.images[order], train.labels[order], train.usage[order], train.origin[order])
        return SeedData(seed, {**splits, "train": shuffled})

    together = fit_seeds(network, [of(seed) for seed in (0, 1, 2)], devices=CPU[:1])
    ends = [len(result.history) for result in together]
    assert len(set(ends)) > 1, "or it shows nothing"
    for seed, result in enumerate(together):
        alone = fit(network, of(seed).splits, seed=seed, devices=CPU[:1])
        np.testing.assert_allclose(
            result.history[0]["train"]["loss"], alone.history[0]["train"]["loss"], atol=1e-5, rtol=0
        )
        last = result.history[-1]["splits"]["validation"]
        assert last == {key: result.metrics["validation"][key] for key in ("loss", "accuracy", "n")}


# --- averaged weights, accumulated gradients, class weights ----------------------------------------------------------


def steps_of(network, splits, count):
    """The states after each batch of the first epoch, and the rows of that batch."""
    engine = Engine(network, CPU[:1])
    state = engine.init_state(0)
    data = engine.put_samples(splits["train"].images, splits["train"].labels)
    rows = np.arange(count * 32, dtype=np.int32).reshape(count, 1, 32)
    states = [jax.device_get(state)]
    for batch in rows:
        state, _ = engine.run_epoch(state, data, batch, 0.1)
        states.append(jax.device_get(state))
    return states


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_running_mean_of_the_parameters(tiny_network, splits, accumulate):
    """mean = 0.9 * mean + 0.1 * parameters after every update, from the initial parameters on."""
    network = tiny_network(average_weights=0.9, accumulate=accumulate)
    states = steps_of(network, splits, 4)
    updated = states[accumulate::accumulate]

    def kernel(state):
        return np.asarray(state.params["dense1"]["kernel"], np.float64)

    expected = kernel(states[0])
    for state in updated:
        expected = 0.9 * expected + 0.1 * kernel(state)
    found = averaging.evaluated(network.training, states[-1])
    np.testing.assert_allclose(kernel(found), expected, atol=1e-6)
    assert np.abs(kernel(states[-1]) - expected).max() > 1e-3
    if accumulate == 2:
        assert digest(states[1].params) == digest(states[0].params) != digest(states[2].params)


def test_two_accumulated_batches_are_one_of_twice_the_size(tiny_network, splits):
    """Without batch norm and dropout the mean of two gradients is that of all samples."""
    halves = fit(tiny_network(epochs=3, accumulate=2, last_batch="drop"), splits, seed=1, devices=CPU[:1])
    training = tiny_network(epochs=3, batch_size=64, last_batch="drop")
    whole = fit(training, splits, seed=1, devices=CPU[:1])
    np.testing.assert_allclose(
        halves.metrics["test"]["loss"], whole.metrics["test"]["loss"], atol=1e-5, rtol=0
    )  # 203 rows: six batches of 32, or three of 64, of the same samples


@pytest.mark.parametrize("mean", ["samples", "weights"])
def test_class_weights_in_the_loss_of_a_batch(tiny_network, splits, mean):
    weights = np.array([1.0, 3.0, 0.5, 1.0, 2.0, 1.0, 0.0])
    plain, weighted = (
        Loss(kind="cross_entropy"),
        Loss(kind="cross_entropy", class_weights=tuple(weights), class_weights_mean=mean),
    )
    still = {"optimizer": Sgd(learning_rate=1e-12), "epochs": 1, "batch_size": 256}
    result = fit(tiny_network(loss=weighted, **still), splits, seed=0, devices=CPU[:1])
    predicted = fit(tiny_network(loss=plain, **still), splits, seed=0, devices=CPU[:1]).predictions["train"]
    label = predicted["label"]
    loss = -np.log(predicted["probability"][np.arange(len(label)), label])
    expected = (weights[label] * loss).sum() / (len(label) if mean == "samples" else weights[label].sum())
    assert result.history[0]["train"]["loss"] == pytest.approx(expected, rel=1e-5)
    assert result.metrics["train"]["loss"] == pytest.approx(loss.mean(), rel=1e-5), "evaluations are unweighted"


def test_the_history_has_the_rate_of_the_last_update(tiny_network, splits):
    schedule = Cosine(warmup_updates=3)
    result = fit(tiny_network(epochs=2, schedule=schedule), splits, seed=0, devices=CPU[:1])
    end = [0.05 / 2 * (1 + np.cos(np.pi * (t - 3) / 11)) for t in (6, 13)]
    np.testing.assert_allclose([e["learning_rate"] for e in result.history], end, rtol=1e-9)
    plateau = ReduceOnPlateau(split="validation", metric="loss", factor=0.5, patience=1, min_delta=9.0, warmup_epochs=1)
    result = fit(tiny_network(epochs=3, schedule=plateau), splits, seed=0, devices=CPU[:1])
    # risen to six sevenths of the rate by the last update of the warm-up; not better by 9 after epoch 2
    expected = [0.05 * 6 / 7, 0.05, 0.025]
    np.testing.assert_allclose([e["learning_rate"] for e in result.history], expected, rtol=1e-9)
    assert msgspec.structs.replace(plateau, warmup_epochs=0) != plateau
