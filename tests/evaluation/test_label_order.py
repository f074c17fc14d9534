"""Orders of labels: named, listed, guessed wrong."""

from __future__ import annotations

import numpy as np
import pytest

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError
from repro.evaluation.label_order import (
    NAMED_ORDERS,
    accuracy_in,
    best_order,
    in_order_of_emotions,
    order_words,
    parse_order,
)


@pytest.mark.parametrize("name", NAMED_ORDERS)
def test_every_named_order_holds_each_emotion_once(name):
    assert sorted(set(parse_order(name)) - {"contempt"}) == sorted(EMOTIONS)
    assert order_words(parse_order(name)) == name
    assert parse_order(",".join(NAMED_ORDERS[name])) == NAMED_ORDERS[name]


def test_names_are_taken_as_people_write_them():
    assert parse_order("Anger, Disgusted, scared, joy, Sadness, surprised, NEUTRAL") == EMOTIONS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("angry,disgust", "'fear' is missing"),
        ("angry,angry,disgust,fear,happy,sad,surprise,neutral", "'angry' appears twice"),
        ("angry,disgust,feer,happy,sad,surprise,neutral", "did you mean 'fear'"),
        ("numerical", "named orders: fer2013, alphabetical"),
    ],
)
def test_an_order_that_is_none(text, words):
    with pytest.raises(EvaluationError, match=words):
        parse_order(text)


@pytest.mark.parametrize("name", NAMED_ORDERS)
def test_the_best_order_is_found_from_answers_with_errors(name):
    order = NAMED_ORDERS[name]
    random = np.random.default_rng(3)
    label = random.integers(0, 7, 700)
    answered = np.array([order.index(EMOTIONS[one]) for one in label])
    wrong = random.random(700) < 0.4
    answered[wrong] = random.integers(0, len(order), wrong.sum())
    found, accuracy = best_order(answered, label, len(order))
    assert found == order and accuracy == accuracy_in(order, answered, label)
    if len(order) == len(EMOTIONS):
        assert accuracy_in(EMOTIONS, answered, label) <= accuracy


def test_columns_are_put_into_the_order_of_the_emotions():
    order = parse_order("ferplus")
    outputs = np.array([[order.index(name) for name in order]], float)
    assert in_order_of_emotions(outputs, order)[0].tolist() == [float(order.index(name)) for name in EMOTIONS]
