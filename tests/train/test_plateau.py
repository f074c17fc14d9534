"""The learning rate against sequences worked out by hand from Keras' ReduceLROnPlateau."""

import json

import pytest

from fer_jax.train.plateau import LearningRate, has_stopped
from fer_jax.vocabulary.settings import Constant, EarlyStopping, ReduceOnPlateau


def plateau(**settings):
    given = {"split": "validation", "metric": "loss", "factor": 0.5, "patience": 2, "min_delta": 0.01, **settings}
    return ReduceOnPlateau(**given)


def rates(schedule, values, start=1.0):
    """The rate after each of the values."""
    rate = LearningRate(schedule, start)
    seen = []
    for value in values:
        rate.after_epoch({"validation": {schedule.metric: value}, "test": {schedule.metric: -value}})
        seen.append(rate.value)
    return seen


def test_constant():
    rate = LearningRate(Constant(), 0.1)
    rate.after_epoch({})
    assert rate.value == 0.1


def test_reduced_after_patience_and_counted_anew():
    # best 2.0, 1.5, then two waits, cut; two more waits, cut again.
    assert rates(plateau(), [2.0, 1.5, 1.6, 1.7, 1.8, 1.9]) == [1, 1, 1, 0.5, 0.5, 0.25]


def test_an_improvement_must_exceed_min_delta():
    # 1.995 is no improvement on 2.0 by more than 0.01, and does not become the best; 1.98 is one, and resets the count.
    assert rates(plateau(), [2.0, 1.995, 1.98, 1.975, 1.97]) == [1, 1, 1, 1, 0.5]
    # Keras compares with best - min_delta: 1.99 is not below 1.99.
    assert rates(plateau(), [2.0, 1.99, 1.99]) == [1, 1, 0.5]


def test_a_cut_does_not_reset_the_best():
    # After the cut 1.7 is worse than the best, 1.5, so it is waited for again.
    assert rates(plateau(patience=1), [1.5, 1.8, 1.7, 1.4, 1.41]) == [1, 0.5, 0.25, 0.25, 0.125]


def test_accuracy_is_better_when_higher():
    schedule = plateau(metric="accuracy", patience=1)
    assert rates(schedule, [0.3, 0.4, 0.405, 0.5, 0.2]) == [1, 1, 0.5, 0.5, 0.25]


def test_never_below_the_minimum():
    schedule = plateau(factor=0.1, patience=1, min_learning_rate=0.05)
    assert rates(schedule, [1.0, 1.0, 1.0, 1.0]) == pytest.approx([1, 0.1, 0.05, 0.05], abs=0)


def test_an_accuracy_of_zero_is_a_value():
    assert rates(plateau(metric="accuracy", patience=1), [0.0, 0.0, 0.5]) == [1, 0.5, 0.5]


@pytest.mark.parametrize("cut", range(7))
def test_goes_on_from_its_memory(cut):
    values = [2.0, 1.5, 1.6, 1.7, 1.8, 1.9]
    rate = LearningRate(plateau(), 1.0)
    for value in values[:cut]:
        rate.after_epoch({"validation": {"loss": value}})
    memory = json.loads(json.dumps(rate.memory(), allow_nan=False))
    again = LearningRate(plateau(), 1.0)
    again.restore(memory)
    seen = []
    for value in values[cut:]:
        again.after_epoch({"validation": {"loss": value}})
        seen.append(again.value)
    assert seen == rates(plateau(), values)[cut:]


def test_the_form_of_pytorch():
    """torch.optim.lr_scheduler.ReduceLROnPlateau: reduces when more than `patience` evaluations were not better than
    best * (1 - threshold). With patience 2: 1.6, 1.7 and 1.8 are waited for, then cut; the next three again."""
    given = plateau(form="pytorch", min_delta=0.1)
    assert rates(given, [2.0, 1.5, 1.6, 1.7, 1.8, 1.9, 1.9, 1.9]) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    # 1.81 is not below 2.0 * 0.9, 1.79 is
    assert rates(plateau(form="pytorch", min_delta=0.1, patience=1), [2.0, 1.81, 1.79, 1.79]) == [1, 1, 1, 1]
    higher = plateau(form="pytorch", metric="accuracy", min_delta=0.1, patience=1)
    assert rates(higher, [0.5, 0.56, 0.61, 0.66, 0.67, 0.67]) == [1, 1, 1, 1, 1, 0.5]


@pytest.mark.parametrize(
    ("rule", "values", "stops_after"),
    [
        # Keras' EarlyStopping: waits for `patience` epochs in a row that are not better than the best.
        ({"patience": 2}, [2.0, 1.5, 1.6, 1.4, 1.5, 1.45, 1.0], 6),
        ({"patience": 3}, [2.0, 1.5, 1.6, 1.4, 1.5, 1.45, 1.0], None),
        ({"patience": 1}, [1.0, 1.0], 2),
        ({"patience": 1, "min_delta": 0.1}, [1.0, 0.85, 0.76], 3),
        ({"patience": 2, "metric": "accuracy"}, [0.1, 0.3, 0.2, 0.3], 4),
    ],
)
def test_early_stopping(rule, values, stops_after):
    rule = EarlyStopping(split="validation", **{"metric": "loss", **rule})
    history = [{"splits": {"validation": {rule.metric: value}, "test": {rule.metric: -value}}} for value in values]
    stopped = [count for count in range(len(values) + 1) if has_stopped(rule, history[:count])]
    assert (stopped[0] if stopped else None) == stops_after
    assert not has_stopped(None, history)
