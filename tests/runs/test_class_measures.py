"""repro.runs.class_measures: against figures worked out by hand, and against the definitions written out."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import claim

from repro.runs.class_measures import class_measures, from_confusion, from_ranking, ranking, top_k

NAMES = ("a", "b", "c")
# 10 of a (7 right), 5 of b (4 right), 5 of c (2 right); predicted: a 8, b 7, c 5
MATRIX = ((7, 2, 1), (0, 4, 1), (1, 1, 3))
PRECISION, RECALL = (7 / 8, 4 / 7, 3 / 5), (7 / 10, 4 / 5, 3 / 5)
F1 = tuple(2 * p * r / (p + r) for p, r in zip(PRECISION, RECALL, strict=True))
WEIGHTS = (10 / 20, 5 / 20, 5 / 20)


def weighted(values: tuple[float, ...]) -> float:
    return sum(v * w for v, w in zip(values, WEIGHTS, strict=True))


def test_per_class():
    found = class_measures(MATRIX)
    assert found.precision == pytest.approx(PRECISION)
    assert found.recall == pytest.approx(RECALL)
    assert found.f1 == pytest.approx(F1)
    assert list(found.support) == [10, 5, 5] and list(found.false_positives) == [1, 3, 2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"quantity": "precision", "emotion": "b"}, PRECISION[1]),
        ({"quantity": "recall", "emotion": "a"}, RECALL[0]),
        ({"quantity": "f1", "emotion": "c"}, F1[2]),
        ({"quantity": "precision", "average": "macro"}, sum(PRECISION) / 3),
        ({"quantity": "recall", "average": "weighted"}, 14 / 20),  # the weighted recall is the accuracy
        ({"quantity": "f1", "average": "macro"}, sum(F1) / 3),
        ({"quantity": "f1", "average": "weighted"}, weighted(F1)),
        ({"quantity": "precision", "average": "weighted"}, weighted(PRECISION)),
        *(({"quantity": q, "average": "micro"}, 14 / 20) for q in ("precision", "recall", "f1")),
        ({"quantity": "balanced_accuracy"}, sum(RECALL) / 3),
        ({"quantity": "rank", "unit": "rank", "emotion": "b", "value": 1}, 1),  # recalls 0.7, 0.8, 0.6
        ({"quantity": "rank", "unit": "rank", "emotion": "c", "value": 1}, 3),
        ({"quantity": "rank", "unit": "rank", "emotion": "c", "value": 1, "by": "precision"}, 2),
        ({"quantity": "rank", "unit": "rank", "emotion": "b", "value": 1, "by": "false_positives"}, 1),
    ],
)
def test_claims_on_a_matrix(fields, expected):
    assert from_confusion(claim(**fields), MATRIX, NAMES) == pytest.approx(expected)


def test_a_class_that_is_never_predicted_has_precision_0():
    matrix = ((3, 0), (2, 0))
    assert from_confusion(claim(quantity="precision", emotion="b"), matrix, ("a", "b")) == 0
    assert from_confusion(claim(quantity="f1", average="macro"), matrix, ("a", "b")) == pytest.approx(0.75 / 2)


def test_a_class_without_samples_has_no_recall_and_counts_in_no_mean():
    matrix = ((3, 1), (0, 0))
    assert from_confusion(claim(quantity="recall", emotion="b"), matrix, ("a", "b")) is None
    assert from_confusion(claim(quantity="balanced_accuracy"), matrix, ("a", "b")) == 0.75
    assert from_confusion(claim(quantity="recall", average="macro"), matrix, ("a", "b")) == 0.75
    assert from_confusion(claim(quantity="balanced_accuracy"), ((0, 0), (0, 0)), ("a", "b")) is None


def test_equal_values_share_their_places():
    matrix = ((5, 5, 0), (0, 5, 5), (0, 0, 10))
    places = [from_confusion(claim(quantity="rank", unit="rank", value=1, emotion=n), matrix, NAMES) for n in NAMES]
    assert places == [2.5, 2.5, 1]


# --- from probabilities -----------------------------------------------------------------------------------------------

PROBABILITY = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3]])
LABEL = np.array([0, 0, 1, 2])


def test_top_k_by_hand():
    # row 1: its label 0 ties with class 2 for the second place: half
    assert [top_k(PROBABILITY, LABEL, k) for k in (1, 2, 3)] == [2 / 4, (1 + 0.5 + 1 + 1) / 4, 1.0]


def test_auc_by_hand():
    found = ranking(PROBABILITY, LABEL)
    assert found is not None
    # class 0: positives 0.7 and 0.3 against 0.1 and 0.2: always above. Class 1: 0.6 above 0.2, 0.4 and 0.5.
    # class 2: 0.3 against 0.1, 0.3, 0.3: one above, two ties.
    assert found.auc == pytest.approx((1.0, 1.0, 2 / 3))
    # all pairs: positives 0.7, 0.3, 0.6, 0.3 against 0.2, 0.1, 0.4, 0.3, 0.1, 0.3, 0.2, 0.5
    pairs = list(product((0.7, 0.3, 0.6, 0.3), (0.2, 0.1, 0.4, 0.3, 0.1, 0.3, 0.2, 0.5)))
    assert found.auc_micro == pytest.approx(sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs))


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_auc_is_the_share_of_pairs_in_the_right_order(seed, rows):
    random = np.random.default_rng(seed)
    probability, label = random.integers(0, 6, (rows, 3)) / 5, random.integers(0, 3, rows)
    found = ranking(probability, label)
    assert found is not None
    for k in range(3):
        yes, no = probability[label == k, k], probability[label != k, k]
        pairs = [(p > n) + 0.5 * (p == n) for p, n in product(yes, no)]
        assert found.auc[k] == (pytest.approx(np.mean(pairs)) if pairs else None)
    assert found.top_k[-1] == 1.0 and list(found.top_k) == sorted(found.top_k)


def test_claims_on_probabilities():
    found = ranking(PROBABILITY, LABEL)
    assert found is not None
    support = np.array([2, 1, 1])

    def value(**fields: Any) -> float | None:
        return from_ranking(claim(**fields), found, support, NAMES)

    assert value(quantity="top_k", k=1) == 0.5
    assert value(quantity="top_k", k=4) is None, "there are three classes"
    assert value(quantity="auc", emotion="c") == pytest.approx(2 / 3)
    assert value(quantity="auc", average="macro") == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert value(quantity="auc", average="weighted") == pytest.approx((2 + 1 + 2 / 3) / 4)
    assert value(quantity="auc", average="micro") == found.auc_micro


def test_a_class_without_samples_has_no_auc():
    found = ranking(PROBABILITY[:3], LABEL[:3])
    assert found is not None and found.auc[2] is None
    macro = from_ranking(claim(quantity="auc", average="macro"), found, np.array([2, 1, 0]), NAMES)
    assert macro == pytest.approx((found.auc[0] + found.auc[1]) / 2)  # type: ignore[operator]
    assert ranking(PROBABILITY[:0], LABEL[:0]) is None
