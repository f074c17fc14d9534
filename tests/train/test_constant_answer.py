"""When a run counts as plainly failed: the rule itself, and what it says of real runs."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.constant_answer import PASSES, ConstantAnswer, constant_answer, never_learned
from fer_jax.train.history import SeedData
from fer_jax.train.loop import fit, fit_seeds
from fer_jax.train.losses import class_weights, example_losses
from fer_jax.vocabulary.settings import Loss, Sgd
from repro.runs.stored_records import find_records

CPU = jax.devices("cpu")[:1]
RESULTS = Path(__file__).resolve().parents[2] / "results"
ENTROPY = Loss(kind="cross_entropy")
STILL = Sgd(learning_rate=1e-12)  # the parameters stay where they were drawn
# Half of 1,000 samples are of class 0.
LABELS = np.repeat(np.arange(3), (500, 300, 200))
ANSWER = constant_answer(LABELS, ENTROPY)
NOTHING = {"accuracy": 0.5, "loss": 1.2, "n": 1000}


def entry(epoch: int, *, train=None, validation=None, n: int = 1000, step: int | None = None):
    return {
        "epoch": epoch,
        "step": 10 * epoch if step is None else step,
        "train": {**NOTHING, **(train or {}), "n": n},
        "splits": {"validation": {**NOTHING, **(validation or {})}},
    }


def why(history, planned_updates: int = 100) -> str:
    return never_learned(history, {"train": ANSWER, "validation": ANSWER}, planned_updates=planned_updates)


def test_the_constant_answer_is_the_best_fixed_output():
    assert (ANSWER.samples, ANSWER.accuracy) == (1000, 0.5)
    shares = np.array([0.5, 0.3, 0.2])
    assert pytest.approx(-(shares * np.log(shares)).sum()) == ANSWER.loss
    squares = constant_answer(LABELS, Loss(kind="mean_squared_error"))
    random = np.random.default_rng(0)
    for output in random.dirichlet((5, 3, 2), 200):
        assert -np.log(output[LABELS]).mean() >= ANSWER.loss
        assert ((output - np.eye(3)[LABELS]) ** 2).mean() >= squares.loss
    assert ((shares - np.eye(3)[LABELS]) ** 2).mean() == pytest.approx(squares.loss)


@pytest.mark.parametrize(
    "settings",
    [
        {"label_smoothing": 0.2},
        {"class_weights": (1.0, 2.0, 4.0)},
        {"class_weights": "balanced", "class_weights_mean": "weights"},
        {"kind": "focal"},
        {"kind": "squared_hinge"},
        {"kind": "squared_hinge", "over_classes": "sum"},
    ],
    ids=str,
)
def test_the_least_loss_of_a_fixed_output(settings):
    """By a search over outputs: the bound is the least loss; for the focal loss it lies above, but by little."""
    loss = Loss(**{"kind": "cross_entropy", **settings})
    answer = constant_answer(LABELS, loss, weighted=True)
    weights = class_weights(loss, jnp.asarray(LABELS), 3)
    sample = np.ones(1000) if weights is None else np.asarray(weights)[LABELS]
    divisor = sample.sum() if loss.class_weights_mean == "weights" else len(LABELS)

    def mean_loss(scores):
        logits = jnp.broadcast_to(jnp.asarray(scores, jnp.float32), (1000, 3))
        output = "linear" if loss.kind == "squared_hinge" else "softmax"
        return float(np.asarray(example_losses(loss, logits, jnp.asarray(LABELS), output)) @ sample / divisor)

    found = scipy.optimize.minimize(mean_loss, np.zeros(3), method="Nelder-Mead", options={"maxfev": 400}).fun
    assert found - 1e-4 <= answer.loss <= found * (1.1 if loss.kind == "focal" else 1.001)
    unweighted = constant_answer(LABELS, loss).loss
    assert (unweighted == answer.loss) == (loss.class_weights is None)


def test_above_it_is_more_than_three_standard_errors_or_a_lower_loss():
    limit = 0.5 + 3 * math.sqrt(0.5 * 0.5 / 1000)
    assert ANSWER.accuracy_limit == pytest.approx(limit)
    assert not ANSWER.beaten_by({"accuracy": limit - 1e-6, "loss": 2.0})
    assert ANSWER.beaten_by({"accuracy": limit + 1e-6, "loss": 2.0})
    assert ANSWER.beaten_by({"accuracy": 0.5, "loss": ANSWER.loss - 1e-6})


def test_a_run_gets_ten_passes():
    history = [entry(e) for e in range(1, 31)]
    assert [bool(why(history[:e])) for e in (0, 1, 9, 10, 30)] == [False, False, False, True, True]
    assert "in 10 epochs" in why(history[:10]) and "--keep-going" in why(history[:10])
    # Passes over the samples, not entries: these stretches have a tenth of a pass each, the first a single batch.
    stretches = [entry(1, n=32, step=1)] + [entry(e, n=100, step=e) for e in range(2, 200)]
    assert not why(stretches[:100]) and why(stretches[:101])


def test_a_long_run_gets_a_fifth_of_its_updates():
    history = [entry(e) for e in range(1, 101)]
    assert not why(history[:39], planned_updates=2000) and why(history[:40], planned_updates=2000)


@pytest.mark.parametrize(
    "better",
    [
        {"train": {"accuracy": 0.56}},
        {"validation": {"accuracy": 0.56}},
        {"train": {"loss": 1.02}},
        {"validation": {"loss": 1.02}},
    ],
)
def test_one_epoch_that_learned_is_enough(better):
    """Also the first of all: what falls back later is a figure of that run, no failure."""
    for place in (1, 5, 10):
        history = [entry(e, **(better if e == place else {})) for e in range(1, 31)]
        assert not why(history)


def of_record(record, epochs: int) -> str:
    loss = Loss(kind=record.spec["training"]["loss"]["kind"])
    answers = {
        name: constant_answer(np.repeat(np.arange(len(split.class_rows)), split.class_rows), loss)
        for name, split in record.data.splits.items()
    }
    history = [json.loads(json.dumps(_plain(one))) for one in record.history[:epochs]]
    return never_learned(history, answers, planned_updates=record.history[-1].step)


def _plain(one):
    return {
        "epoch": one.epoch,
        "step": one.step,
        "train": {"accuracy": one.train.accuracy, "loss": one.train.loss, "n": one.train.n},
        "splits": {name: {"accuracy": m.accuracy, "loss": m.loss} for name, m in one.splits.items()},
    }


def test_no_committed_run_that_learns_is_ever_stopped_and_the_dead_one_is():
    """The perceptron of zhaqsylyq puts 3,581 of 3,589 images into one class."""
    stopped, learned = {}, 0
    for path, record in find_records(RESULTS):
        if record.status != "done":
            continue
        ends = [e for e in range(1, len(record.history) + 1) if of_record(record, e)]
        if ends:
            stopped[path.relative_to(RESULTS / "runs").parts[:2]] = ends[0]
        else:
            learned += 1
            assert record.metrics["train"].accuracy > 1.2 * max(record.data.splits["train"].class_rows) / (
                record.data.splits["train"].rows
            )
    assert stopped in ({("zhaqsylyq", "perceptron"): PASSES}, {}), "{}: once its record itself says that it failed"
    assert learned > 40


# --- training -------------------------------------------------------------------------------------------------------


@pytest.fixture
def splits(tiny_faces):
    return {"train": tiny_faces(203), "validation": tiny_faces(101, usage=1), "test": tiny_faces(260, usage=2)}


def test_a_network_that_learns_nothing_is_stopped_only_if_asked(tiny_network, splits):
    network = tiny_network(epochs=12, optimizer=STILL)
    stopped = fit(network, splits, seed=0, devices=CPU, stop_failed=True)
    assert "not above the constant answer in 10 epochs" in stopped.error
    assert (stopped.failed_epoch, stopped.failed_step) == (10, 69)  # seven updates an epoch, counted from 0
    assert len(stopped.history) == 10 and stopped.metrics == {} and stopped.predictions == {}
    whole = fit(network, splits, seed=0, devices=CPU)
    assert whole.error == "" and whole.failed_epoch is None and len(whole.history) == 12
    assert whole.history[:10] == stopped.history


def test_a_loss_that_is_not_finite_names_its_epoch(tiny_network, splits):
    network = tiny_network(epochs=3, loss=Loss(kind="cross_entropy", l2=1e3), optimizer=Sgd(learning_rate=1e38))
    result = fit(network, splits, seed=0, devices=CPU)
    assert (result.failed_step, result.failed_epoch) == (1, 1)


def test_a_run_that_learns_is_the_same_bit_for_bit(tiny_network, splits):
    network = tiny_network(epochs=12)
    watched = fit(network, splits, seed=0, devices=CPU, stop_failed=True)
    alone = fit(network, splits, seed=0, devices=CPU)
    assert watched.error == "" and json.dumps(watched.history) == json.dumps(alone.history)
    jax.tree.map(np.testing.assert_array_equal, watched.state, alone.state)


class Killed(Exception):
    pass


def test_a_kill_before_the_end_changes_nothing(tiny_network, splits, tmp_path):
    network = tiny_network(epochs=12, optimizer=STILL)

    def train(report=None):
        checkpoints = Checkpoints(tmp_path)
        try:
            return fit(network, splits, seed=0, devices=CPU, checkpoints=checkpoints, report=report, stop_failed=True)
        finally:
            checkpoints.close()

    def stop_at_9(progress):
        if progress.entry["epoch"] == 9:
            raise Killed

    with pytest.raises(Killed):
        train(stop_at_9)
    resumed = train()
    whole = fit(network, splits, seed=0, devices=CPU, stop_failed=True)
    assert resumed.resumed == 1 and resumed.failed_epoch == 10
    assert (resumed.error, resumed.history) == (whole.error, whole.history)


def test_of_seeds_side_by_side_only_the_dead_one_ends(tiny_network, tiny_faces):
    """Every image of seed 1 is black, so that its network can learn nothing but a constant."""
    network = tiny_network(epochs=12)

    def draw(seed):
        splits = {"train": tiny_faces(203, seed=seed), "validation": tiny_faces(101, seed=seed, usage=1)}
        if seed == 1:
            splits = {name: part.changed(images=np.zeros_like(part.images)) for name, part in splits.items()}
        return splits

    given = [SeedData(seed, draw(seed)) for seed in range(3)]
    results = fit_seeds(network, given, devices=CPU, stop_failed=True)
    assert [result.failed_epoch for result in results] == [None, 10, None]
    assert [len(result.history) for result in results] == [12, 10, 12]
    assert results[0].metrics["validation"]["n"] == 101 and results[1].metrics == {}


def test_the_answer_of_one_class_alone_has_no_margin():
    assert constant_answer(np.zeros(5, np.uint8), ENTROPY) == ConstantAnswer(5, 1.0, 0.0)
