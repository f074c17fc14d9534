"""Rates against the formulas of their sources, and against optax where it has the same schedule."""

import itertools
import math

import msgspec
import numpy as np
import optax
import pytest

from fer_jax.train.batches import Stretch
from fer_jax.train.schedules import BatchClock, clock_of, update_rates
from fer_jax.vocabulary.settings import (
    Constant,
    Cosine,
    DecayPerUpdate,
    Exponential,
    Loss,
    OneCycle,
    Piecewise,
    Polynomial,
    ReduceOnPlateau,
    Sgd,
    StepDecay,
    Training,
    shortened,
)

CLOCK = BatchClock(epoch=10, whole=200)  # 20 epochs of 10 batches
EPOCH = np.arange(200) // 10


def rates(schedule, clock=CLOCK, rate=0.2):
    """Of all batches, worked out in stretches of different lengths."""
    cuts = (0, 1, clock.whole // 3, clock.whole)
    parts = [update_rates(schedule, rate, clock, Stretch(1, a, b - a)) for a, b in itertools.pairwise(cuts)]
    return np.concatenate(parts)


def of_optax(schedule, count=200):
    return np.array([float(schedule(step)) for step in range(count)])


PLATEAU = ReduceOnPlateau(split="validation", metric="loss", factor=0.5, patience=1)


@pytest.mark.parametrize("schedule", [Constant(), PLATEAU])
def test_the_rate_as_it_is(schedule):
    assert (rates(schedule) == 0.2).all()


def test_decay_per_update_is_that_of_keras_optimizers():
    expected = [0.2 / (1 + 1e-2 * t) for t in range(200)]
    np.testing.assert_allclose(rates(DecayPerUpdate(decay=1e-2)), expected, rtol=1e-12)


def test_step_as_in_wujie2018():
    """mainpro_FER.py: if epoch > start: factor ** ((epoch - start) // every), epochs from 0."""
    expected = [0.2 * 0.9 ** ((e - 8) // 5) if e > 8 else 0.2 for e in EPOCH]
    np.testing.assert_allclose(rates(StepDecay(every=5, factor=0.9, start=8)), expected, rtol=1e-12)


def test_step_of_updates():
    expected = [0.2 * 0.5 ** (t // 30) for t in range(200)]
    np.testing.assert_allclose(rates(StepDecay(every=30, factor=0.5, unit="updates")), expected, rtol=1e-12)


@pytest.mark.parametrize("unit", ["epochs", "updates"])
def test_piecewise(unit):
    t = EPOCH if unit == "epochs" else np.arange(200)
    expected = np.where(t < 4, 0.2, np.where(t < 9, 0.1, 0.02))
    np.testing.assert_allclose(rates(Piecewise(at=(4, 9), factors=(0.5, 0.1), unit=unit)), expected, rtol=1e-12)


@pytest.mark.parametrize("staircase", [False, True])
def test_exponential_is_that_of_optax(staircase):
    schedule = Exponential(factor=0.8, every=7, unit="updates", staircase=staircase)
    expected = of_optax(optax.exponential_decay(0.2, 7, 0.8, staircase=staircase))
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-5)


def test_exponential_by_epochs():
    np.testing.assert_allclose(rates(Exponential(factor=0.8)), 0.2 * 0.8**EPOCH, rtol=1e-12)


@pytest.mark.parametrize(("length", "unit"), [(0, "epochs"), (20, "epochs"), (200, "updates"), (8, "epochs")])
def test_cosine_is_that_of_optax_and_stays_at_its_end(length, unit):
    whole = length * 10 if length and unit == "epochs" else 200
    expected = of_optax(optax.cosine_decay_schedule(0.2, whole, alpha=0.05))
    schedule = Cosine(min_learning_rate=0.01, length=length, length_in=unit)
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-5)


def test_cosine_by_epochs_is_the_formula_of_pytorch():
    expected = [0.2 / 2 * (1 + math.cos(math.pi * e / 20)) for e in EPOCH]
    np.testing.assert_allclose(rates(Cosine(unit="epochs")), expected, rtol=1e-12)


def test_polynomial_is_that_of_optax():
    expected = of_optax(optax.polynomial_schedule(0.2, 0.01, 2.0, 200))
    np.testing.assert_allclose(rates(Polynomial(power=2.0, min_learning_rate=0.01)), expected, rtol=1e-5)


def test_one_cycle_is_that_of_pytorch():
    """As torch 2.13 has it: OneCycleLR(max_lr=0.2, total_steps=20), to 7 digits."""
    expected = [
        *(0.008, 0.02633437, 0.07433437, 0.1336656, 0.1816656, 0.2, 0.1974928, 0.1900969, 0.1781832, 0.1623491),
        *(0.1433886, 0.1222524, 0.1000004, 0.0777484, 0.0566122, 0.03765167, 0.02181756, 0.009903874, 0.002507999),
        8e-07,
    ]
    np.testing.assert_allclose(rates(OneCycle(), BatchClock(1, 20)), expected, rtol=1e-6)


SCHEDULES = [
    Constant(),
    DecayPerUpdate(decay=1e-2),
    Exponential(factor=0.8),
    Cosine(),
    Polynomial(),
    StepDecay(every=3, factor=0.5),
    Piecewise(at=(4,), factors=(0.1,)),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: str(s.__struct_config__.tag))
@pytest.mark.parametrize("warmup", [{"warmup_epochs": 3.0}, {"warmup_updates": 30}])
def test_warmup_rises_by_equal_amounts_to_the_schedule_behind_it(schedule, warmup):
    warm = rates(msgspec.structs.replace(schedule, warmup_from=0.1, **warmup))
    np.testing.assert_allclose(warm[:30], 0.02 + 0.18 * np.arange(30) / 30, rtol=1e-12)
    if isinstance(schedule, StepDecay | Piecewise):  # by the epochs of the whole training
        np.testing.assert_array_equal(warm[30:], rates(schedule)[30:])
    else:
        np.testing.assert_allclose(warm[30:], rates(schedule, BatchClock(10, 170)), rtol=1e-12)


def test_warmup_and_cosine_are_those_of_optax():
    expected = of_optax(optax.warmup_cosine_decay_schedule(0.0, 0.2, 40, 200))
    np.testing.assert_allclose(rates(Cosine(warmup_epochs=4.0)), expected, rtol=1e-5, atol=1e-8)


def test_updates_of_several_batches():
    """Four batches an update: the rate is constant within one, and 200 batches are 50 updates."""
    clock = BatchClock(10, 200, accumulate=4)
    for schedule in (DecayPerUpdate(decay=0.1), Cosine(), Exponential(factor=0.5, unit="updates"), OneCycle()):
        every = rates(schedule, clock)[::4]
        np.testing.assert_array_equal(rates(schedule, clock), np.repeat(every, 4))
        np.testing.assert_allclose(every, rates(schedule, BatchClock(10, 50))[:50], rtol=1e-12)


def training(**settings):
    return Training(batch_size=30, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.2), **settings)


def test_the_clock_of_a_run():
    assert clock_of(training(epochs=5), 100) == BatchClock(4, 20)
    assert clock_of(training(epochs=5, last_batch="drop", accumulate=2), 100) == BatchClock(3, 15, 2)
    assert clock_of(training(steps=11, evaluate_every_steps=5), 100) == BatchClock(4, 11)


@pytest.mark.parametrize("whole", [{"epochs": 9}, {"steps": 41, "evaluate_every_steps": 10}])
def test_a_shortened_training_has_the_rates_of_the_whole(whole):
    """`repro run --epochs 3` shows how the whole run begins."""
    settings = training(schedule=Cosine(warmup_epochs=1.0), **whole)
    short = shortened(settings, 3)
    given = Stretch(1, 0, 12)
    one, other = (update_rates(s.schedule, 0.2, clock_of(s, 100), given) for s in (settings, short))
    np.testing.assert_array_equal(one, other)
    assert clock_of(short, 100).whole < clock_of(settings, 100).whole
