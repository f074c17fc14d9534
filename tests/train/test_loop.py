"""The training loop: the same on any number of devices, the same again, the same after an interruption."""

import json
from types import SimpleNamespace

import jax
import msgspec
import numpy as np
import pytest
from tiny_runs import Killed, digest, stop_at

from fer_jax.train import loop
from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.loop import confusion, fit
from fer_jax.vocabulary.layers import changed_layers
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Adam, Loss, ReduceOnPlateau, Sgd

CPU = jax.devices("cpu")


@pytest.fixture
def splits(tiny_faces):
    """203 training rows: the last batch of 32 or 30 is incomplete; 101 and 260: neither is a multiple of a batch."""
    return {"train": tiny_faces(203), "validation": tiny_faces(101, usage=1), "test": tiny_faces(260, usage=2)}


def losses(result):
    entries = result.history
    per_epoch = [[e["train"]["loss"], e["minibatch"]["loss"], e["splits"]["validation"]["loss"]] for e in entries]
    return np.array([*np.ravel(per_epoch), *(m["loss"] for m in result.metrics.values())])


def without_dropout(network):
    layers = changed_layers(network.layers, lambda one: msgspec.structs.replace(one, rate=0.0) if one.draws else one)
    return Network(layers, network.training, network.image_size, 0.0, 255.0, network.random_flip)


def trained_on(network, splits, devices):
    return fit(network, splits, seed=3, devices=CPU[:devices])


FLIPS = {"train": 0.5, "validation": 0.5}


def test_one_and_four_devices(tiny_network, splits):
    """Convolution, batch norm, dropout, random flips, L2, an incomplete last batch, splits of any size."""
    loss = Loss(kind="cross_entropy", l2=1e-3, l2_biases=True)
    network = tiny_network(convolutional=True, random_flip=FLIPS, loss=loss)
    one, four = (losses(trained_on(network, splits, n)) for n in (1, 4))
    np.testing.assert_allclose(four, one, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dropout", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_batch_that_the_devices_cannot_share_evenly(tiny_network, splits, dropout):
    network = tiny_network(convolutional=True, random_flip=FLIPS, batch_size=30)
    if not dropout:
        network = without_dropout(network)
    one, four = (losses(trained_on(network, splits, n)) for n in (1, 4))
    np.testing.assert_allclose(four, one, atol=1e-5, rtol=0)


def test_the_same_run_twice_is_the_same_bit_for_bit(tiny_network, splits):
    network = tiny_network(convolutional=True, random_flip=FLIPS, optimizer=Adam(learning_rate=0.01))
    one, other = (fit(network, splits, seed=3, devices=CPU[:1]) for _ in range(2))
    assert json.dumps(one.history) == json.dumps(other.history)
    assert digest(one.state) == digest(other.state)
    for name in splits:
        np.testing.assert_array_equal(one.predictions[name]["probability"], other.predictions[name]["probability"])


def test_another_seed_is_another_run(tiny_network, splits):
    one, other = (fit(tiny_network(), splits, seed=s, devices=CPU[:1]) for s in (3, 4))
    assert one.history[-1]["train"]["loss"] != other.history[-1]["train"]["loss"]


def test_it_learns_and_the_metrics_are_those_of_the_predictions(tiny_network, splits):
    result = trained_on(tiny_network(epochs=12), splits, devices=2)
    assert set(result.metrics) == set(splits)
    assert result.history[-1]["train"]["accuracy"] > 0.6 > 0.4 > result.history[0]["train"]["accuracy"]
    for name, part in splits.items():
        found, predicted = result.metrics[name], result.predictions[name]
        probability = predicted["probability"].astype(np.float64)
        assert found["n"] == len(part) == len(probability)
        np.testing.assert_array_equal(predicted["label"], part.labels)
        np.testing.assert_array_equal(predicted["origin"], part.origin)
        assert found["accuracy"] == pytest.approx((probability.argmax(1) == part.labels).mean(), abs=1e-12)
        cross_entropy = -np.log(probability[np.arange(len(part)), part.labels]).mean()
        assert found["loss"] == pytest.approx(cross_entropy, rel=1e-5)
        assert found["confusion"] == confusion(part.labels, probability.argmax(1))
    last = result.history[-1]["splits"]["validation"]
    assert last == {key: result.metrics["validation"][key] for key in ("loss", "accuracy", "n")}


def test_confusion():
    counted = confusion(np.array([0, 0, 6, 3], np.uint8), np.array([0, 2, 3, 3]))
    assert counted[0] == [1, 0, 1, 0, 0, 0, 0] and counted[6][3] == 1 and counted[3][3] == 1
    assert sum(map(sum, counted)) == 4


@pytest.mark.usefixtures("fresh_programs")
def test_history_and_times(tiny_network, splits):
    told = []
    result = fit(tiny_network(epochs=3), splits, seed=0, devices=CPU[:1], report=told.append)
    assert [e["epoch"] for e in result.history] == [1, 2, 3]
    assert [e["step"] for e in result.history] == [7, 14, 21]  # 203 rows: six batches of 32, one of 11
    assert [(e["train"]["n"], e["minibatch"]["n"]) for e in result.history] == [(203, 11)] * 3
    assert [p.entry for p in told] == result.history and told[0].epochs == 3
    clock = result.clock
    assert len(clock.epochs) == 3
    assert clock.train_s == pytest.approx(sum(e["train_s"] for e in clock.epochs))
    assert sum(e["eval_s"] for e in clock.epochs) < clock.eval_s  # the final evaluation counts too
    assert min(clock.compile_s, clock.train_s, clock.eval_s) > 0 and clock.checkpoint_s == 0
    assert clock.compile_s + clock.train_s + clock.eval_s < clock.total_s
    assert clock.train_s < clock.compile_s  # 21 tiny updates: were compiling counted as training, it would be more
    assert result.trained_images == 609
    for progress, seconds in zip(told, clock.epochs, strict=True):
        assert progress.images_per_s == pytest.approx(203 / seconds["train_s"])


def test_train_figures_are_means_over_examples_not_over_batches(tiny_network, splits):
    """One batch more than the rows fill: with a rate of next to nothing every batch sees the same parameters."""
    result = trained_on(tiny_network(epochs=1, optimizer=Sgd(learning_rate=1e-12)), splits, devices=1)
    for key in ("loss", "accuracy"):
        assert result.history[0]["train"][key] == pytest.approx(result.metrics["train"][key], abs=1e-6)


def test_steps_are_evaluated_in_stretches(tiny_network, splits):
    settings = {"steps": 9, "evaluate_every_steps": 4, "order": "offset_modulo", "epochs": None}
    result = trained_on(tiny_network(**settings), splits, devices=1)
    assert [(e["epoch"], e["step"], e["train"]["n"]) for e in result.history] == [(1, 1, 32), (2, 5, 128), (3, 9, 128)]


PLATEAU = ReduceOnPlateau(split="validation", metric="loss", factor=0.5, patience=1, min_delta=0.05)


@pytest.mark.parametrize("report", ["last", "best"])
def test_interrupted_after_every_epoch(tiny_network, splits, tmp_path, report):
    """Schedule, best epoch and history go on where they stood."""
    network = tiny_network(epochs=6, schedule=PLATEAU, report=report, optimizer=Sgd(learning_rate=0.3, momentum=0.9))
    whole = fit(network, splits, seed=1, devices=CPU[:1])
    rates = [e["learning_rate"] for e in whole.history]
    assert len(set(rates)) > 1, "the schedule must change the rate for this test to mean anything"
    if report == "best":
        assert whole.reported_epoch < 6, "the best epoch must not be the last for this test to mean anything"

    for epoch in (1, 2, 5):
        checkpoints = Checkpoints(tmp_path)
        with pytest.raises(Killed):
            fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints, report=stop_at(epoch))
        checkpoints.close()
    checkpoints = Checkpoints(tmp_path)
    resumed = fit(network, splits, seed=1, devices=CPU[:1], checkpoints=checkpoints)
    checkpoints.close()

    assert resumed.resumed == 3
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    assert (resumed.best, resumed.reported_epoch) == (whole.best, whole.reported_epoch)
    assert digest(resumed.state) == digest(whole.state)
    assert json.dumps(resumed.metrics) == json.dumps(whole.metrics)
    assert len(resumed.clock.epochs) == 6 and resumed.trained_images == 6 * 203
    assert resumed.clock.checkpoint_s > 0


def test_checkpoints_some_epochs_apart_change_nothing(tiny_network, splits, tmp_path, monkeypatch):
    """Each epoch takes a second of this clock, and a checkpoint is due every 3.5: after epoch 5, and at the end. The
    best epoch until then is kept in memory, and written with the next checkpoint."""
    network = tiny_network(epochs=7, report="best", optimizer=Sgd(learning_rate=0.5, momentum=0.9))
    whole = fit(network, splits, seed=1, devices=CPU[:1])
    assert whole.reported_epoch < 5, "or the best epoch would have a checkpoint of its own"
    now, seen = [0.0], []

    def tick():
        now[0] += 1e-6
        return now[0]

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=tick))

    def until(last):
        def told(progress):
            now[0] += 1
            seen.append((progress.entry["epoch"], checkpoints.epochs()))
            if progress.entry["epoch"] == last:
                raise Killed

        return told

    def run(last):
        return fit(
            *(network, splits),
            seed=1,
            devices=CPU[:1],
            checkpoints=checkpoints,
            checkpoint_every_s=3.5,
            report=until(last),
        )

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Killed):
        run(6)
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path)
    resumed = run(None)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5, 6, 6, 7], "it goes on behind epoch 5, the last one written"
    assert [written.get("last") for _, written in seen] == [*[None] * 4, [5], [5], [5], [5, 7]]
    assert checkpoints.epochs() == {"last": [7], "best": [whole.reported_epoch]}, "older ones are gone at the end"
    found = checkpoints.restore("best", whole.state)
    checkpoints.close()
    assert found is not None and digest(found[0]) == digest(resumed.state) == digest(whole.state)
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    assert json.dumps(resumed.metrics) == json.dumps(whole.metrics)


def test_best_is_that_of_the_best_accuracy(tiny_network, splits):
    network = tiny_network(epochs=6, report="best", optimizer=Sgd(learning_rate=0.5, momentum=0.9))
    result = fit(network, splits, seed=1, devices=CPU[:1])
    accuracies = [e["splits"]["validation"]["accuracy"] for e in result.history]
    assert result.reported_epoch == 1 + int(np.argmax(accuracies))  # of equals the first
    assert result.metrics["validation"]["accuracy"] == max(accuracies)
    assert result.best == {"validation": {"epoch": result.reported_epoch, "accuracy": max(accuracies)}}


BOUNDLESS = Loss(kind="cross_entropy", l2=1e3)  # with a rate of 1e38 the first update overflows


def test_a_loss_that_is_not_finite_stops_the_run(tiny_network, splits):
    """Update 0 is sound, but the parameters that it leaves are beyond float32."""
    network = tiny_network(epochs=3, loss=BOUNDLESS, optimizer=Sgd(learning_rate=1e38))
    result = fit(network, splits, seed=0, devices=CPU[:1])
    assert result.failed_step == 1 and "step 1 (epoch 1)" in result.error
    assert result.history == [] and result.metrics == {} and result.predictions == {}


def test_history_before_a_failure_is_kept(tiny_network, splits, tmp_path):
    """A rate that a schedule cannot raise is let through a checkpoint that holds one far too large."""
    network = tiny_network(epochs=2)
    checkpoints = Checkpoints(tmp_path)
    first = fit(network, splits, seed=0, devices=CPU[:1], checkpoints=checkpoints)
    found = checkpoints.restore("last", first.state)
    assert found is not None
    state, meta = found
    meta["rate"]["value"] = 1e38
    checkpoints.save("last", 3, state, meta)
    result = fit(tiny_network(epochs=5), splits, seed=0, devices=CPU[:1], checkpoints=checkpoints)
    checkpoints.close()
    assert result.failed_step is not None and 15 <= result.failed_step <= 20  # epoch 3 is of updates 14 to 20
    assert f"step {result.failed_step} (epoch 3)" in result.error
    assert result.history == first.history
    assert result.clock.train_s == pytest.approx(first.clock.train_s)


def test_an_evaluation_that_is_not_finite_stops_the_run_too(tiny_network, splits):
    """One update per epoch: its own loss is sound, the parameters that it leaves are not."""
    network = tiny_network(epochs=3, batch_size=256, loss=BOUNDLESS, optimizer=Sgd(learning_rate=1e38))
    result = fit(network, splits, seed=0, devices=CPU[:1])
    assert result.failed_step == 0 and "validation after step 0 (epoch 1)" in result.error
    assert result.history == [] and result.metrics == {}


def test_the_final_evaluation_is_looked_at_too(tiny_network, splits):
    settings = {"epochs": 1, "batch_size": 256, "evaluate": (), "loss": BOUNDLESS}
    network = tiny_network(optimizer=Sgd(learning_rate=1e38), **settings)
    result = fit(network, splits, seed=0, devices=CPU[:1])
    assert result.failed_step == 0 and "after step 0 (epoch 1)" in result.error
    assert len(result.history) == 1 and result.metrics == {} and result.predictions == {}
