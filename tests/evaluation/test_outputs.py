"""Outputs of networks: shapes, NaN, and scores that are no probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError
from repro.evaluation.label_order import parse_order
from repro.evaluation.outputs import check_count, checked_outputs, kind_of, probabilities


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (np.zeros((3, 7)), r"shape \(3, 7\) for 4 faces"),
        (np.zeros(4), r"shape \(4,\) for 4 faces"),
        (np.array([[1.0] * 7, [np.nan] * 7, [np.inf] * 7, [0.0] * 7]), "2 of 4 outputs are not finite.*for sample 1$"),
        (np.array([["a"]] * 4), "numbers are needed"),
    ],
)
def test_outputs_that_cannot_be_used(outputs, words):
    with pytest.raises(EvaluationError, match=words):
        checked_outputs(outputs, 4, "net.onnx")


@pytest.mark.parametrize(
    ("count", "told"), [(1, "1 output"), (2, "2 outputs"), (9, "9 outputs"), (1000, "1,000 outputs")]
)
def test_another_number_of_outputs_is_another_task(count, told):
    with pytest.raises(EvaluationError, match=f"net: {told}, but FER-2013 has 7 emotions"):
        check_count(count, "net")


def test_scores_go_through_a_softmax_and_probabilities_stay():
    scores = np.random.default_rng(0).normal(0, 50, (5, 7))
    assert kind_of(scores) == "scores"
    found = probabilities(scores, "scores", EMOTIONS)
    assert kind_of(found) == "probabilities" and (found.argmax(1) == scores.argmax(1)).all()
    assert probabilities(found, "probabilities", EMOTIONS) == pytest.approx(found)


def test_contempt_is_left_out():
    order = parse_order("ferplus")
    line = np.full(8, 0.05)
    line[order.index("contempt")], line[order.index("fear")] = 0.5, 0.15
    (found,) = probabilities(line[None], "probabilities", order)
    assert found.sum() == pytest.approx(1) and found.argmax() == EMOTIONS.index("fear")
    assert found[EMOTIONS.index("fear")] == pytest.approx(0.15 / 0.45)


def test_layers_of_one_pixel_are_flattened():
    assert checked_outputs(np.zeros((2, 7, 1, 1)), 2, "net").shape == (2, 7)
