"""Which rows are in which batch: counts of the documents' own datasets, and every row once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_jax.train.batches import (
    NO_ROW,
    Stretch,
    TooFewSamples,
    evaluation_batch,
    evaluation_batches,
    steps_per_epoch,
    stretches,
    training_batches,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from repro.specs.catalog import find_paper, papers_folder

ROWS_OF_TRAINING_SET = 28_709


def training(**settings):
    if "steps" not in settings:
        settings.setdefault("epochs", 1)
    return Training(loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.1), **settings)


def real(batches):
    return batches[batches != NO_ROW]


@pytest.mark.parametrize(
    ("paper", "size", "expected"),
    [
        ("arriaga2017", 64, 16),
        (papers_folder() / "bench" / "resnet18_quarter.toml", 40, 64),
        ("fer_repro_small", 48, 64),
        ("chavan2020", 48, 128),
        ("resemotenet2024", 64, 128),
    ],
    ids=str,
)
def test_the_fewer_weights_for_what_it_computes_the_fewer_images_are_evaluated_at_a_time(paper, size, expected):
    layers = find_paper(str(paper)).resolve("default").model.layers
    network = Network(layers, training(batch_size=1), size)
    assert evaluation_batch(network, "cpu") == expected and evaluation_batch(network, "gpu") == 2048


def test_keras_trains_on_the_incomplete_last_batch():
    assert steps_per_epoch(training(batch_size=32), ROWS_OF_TRAINING_SET) == 898
    batches = training_batches(training(batch_size=32), ROWS_OF_TRAINING_SET, Stretch(1, 0, 898), seed=3)
    assert batches.shape == (898, 32)
    assert (batches[-1] != NO_ROW).sum() == 28_709 - 897 * 32 == 5
    assert (batches[:-1] != NO_ROW).all()
    np.testing.assert_array_equal(np.sort(real(batches)), np.arange(ROWS_OF_TRAINING_SET))


def test_drop_leaves_out_what_does_not_fill_a_batch():
    dropping = training(batch_size=32, last_batch="drop")
    assert steps_per_epoch(dropping, ROWS_OF_TRAINING_SET) == 897
    batches = training_batches(dropping, 100, Stretch(1, 0, 3), seed=0)
    assert batches.shape == (3, 32) and (batches != NO_ROW).all()
    assert len(np.unique(batches)) == 96


@given(
    rows=st.integers(1, 200),
    batch=st.integers(1, 70),
    multiple=st.integers(1, 8),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 50),
    order=st.sampled_from(["reshuffle", "fixed"]),
)
def test_an_epoch_holds_each_row_once(rows, batch, multiple, seed, epoch, order):
    settings = training(batch_size=batch, order=order, epochs=epoch + 1)
    stretch = stretches(settings, rows)[epoch]
    batches = training_batches(settings, rows, stretch, seed, multiple)
    assert batches.dtype == np.int32 and batches.shape[1] % multiple == 0 and batches.shape[1] - batch < multiple
    np.testing.assert_array_equal(np.sort(real(batches)), np.arange(rows))
    assert (batches[:, batch:] == NO_ROW).all()
    if order == "fixed":
        np.testing.assert_array_equal(real(batches), np.arange(rows))


def test_the_order_of_an_epoch_needs_no_other_epoch():
    settings = training(batch_size=16, epochs=5)
    plan = stretches(settings, 100)
    in_turn = [training_batches(settings, 100, s, seed=1) for s in plan]
    np.testing.assert_array_equal(training_batches(settings, 100, plan[3], seed=1), in_turn[3])
    for one, other in itertools.combinations(in_turn, 2):
        assert (one != other).any()
    assert (training_batches(settings, 100, plan[3], seed=2) != in_turn[3]).any()


def test_the_order_is_the_same_in_every_version_of_numpy():
    """Worked out by hand from PCG64's raw words, whose stream NumPy promises to keep."""
    words = np.random.PCG64(np.random.SeedSequence([0x0EDE, 7, 2])).random_raw(6)
    expected = sorted(range(6), key=lambda i: words[i])
    settings = training(batch_size=6, epochs=3)
    assert training_batches(settings, 6, Stretch(3, 2, 1), seed=7)[0].tolist() == expected


def test_steps_run_through_the_epochs_without_a_seam():
    """A stretch that begins and ends within epochs holds the same batches as the epochs one after the other."""
    by_epoch = training(batch_size=32, epochs=4)
    whole = np.concatenate([training_batches(by_epoch, 100, s, seed=5) for s in stretches(by_epoch, 100)])
    by_step = training(batch_size=32, steps=16, evaluate_every_steps=5)
    pieces = [training_batches(by_step, 100, s, seed=5) for s in stretches(by_step, 100)]
    assert [len(p) for p in pieces] == [1, 5, 5, 5]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("rows", [33, 57_657])
def test_offset_modulo_is_the_formula(rows):
    settings = training(batch_size=32, steps=16_001, evaluate_every_steps=2000, order="offset_modulo")
    for stretch in stretches(settings, rows)[:3]:
        batches = training_batches(settings, rows, stretch, seed=0, multiple=3)
        assert batches.shape == (stretch.steps, 33)
        for i in range(0, stretch.steps, 97):
            offset = ((stretch.first + i) * 32) % (rows - 32)
            assert batches[i, :32].tolist() == list(range(offset, offset + 32))
        assert (batches[:, 32:] == NO_ROW).all()


def test_sixteen_thousand_and_one_steps():
    """``for step in range(16001): ...; if step % 2000 == 0: print`` prints nine times."""
    settings = training(batch_size=32, steps=16_001, evaluate_every_steps=2000, order="offset_modulo")
    plan = stretches(settings, 57_657)
    assert [s.steps for s in plan] == [1] + [2000] * 8
    assert [s.first + s.steps - 1 for s in plan] == list(range(0, 16_001, 2000))
    assert [s.epoch for s in plan] == list(range(1, 10))


def test_the_last_steps_are_evaluated_too():
    plan = stretches(training(batch_size=32, steps=10, evaluate_every_steps=4), 1000)
    assert [(s.first, s.steps) for s in plan] == [(0, 1), (1, 4), (5, 4), (9, 1)]


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 32, "last_batch": "drop"},
        {"batch_size": 32, "last_batch": "drop", "steps": 5, "evaluate_every_steps": 2},
        {"batch_size": 31, "order": "offset_modulo", "steps": 5, "evaluate_every_steps": 2},
    ],
)
def test_too_few_rows_for_one_batch(settings):
    with pytest.raises(TooFewSamples, match="31 training samples"):
        stretches(training(**settings), 31)


@given(rows=st.integers(0, 600), batch=st.integers(1, 300), multiple=st.integers(1, 8))
def test_every_row_is_evaluated_once_and_in_order(rows, batch, multiple):
    batches = evaluation_batches(rows, batch, multiple)
    assert real(batches).tolist() == list(range(rows))
    assert batches.shape[1] % multiple == 0
    assert batches.size - rows < batches.shape[1]
