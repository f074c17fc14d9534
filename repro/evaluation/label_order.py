"""The order of a network's outputs: named orders, names of emotions, and the order that fits given answers best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_jax.data.formats.names import emotion_label, unknown_emotion
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError

LEFT_OUT = "contempt"  # an eighth emotion of FER+ and AffectNet, which FER-2013 does not have
ALPHABETICAL = tuple(sorted(EMOTIONS))
# The orders in which outputs usually come. Image folders are read in alphabetical order of their names.
NAMED_ORDERS: dict[str, tuple[str, ...]] = {
    "fer2013": EMOTIONS,
    "alphabetical": ALPHABETICAL,
    "ferplus": ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", LEFT_OUT),
    "affectnet": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", LEFT_OUT),
    "face-api": ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"),
}


def parse_order(text: str) -> tuple[str, ...]:
    """The order that `--labels` names: one of NAMED_ORDERS, or emotions with commas between them.

    Each of the seven emotions must be there once; `contempt` may be, and is left out of the answers.
    Raises EvaluationError.
    """
    if text.strip().lower() in NAMED_ORDERS:
        return NAMED_ORDERS[text.strip().lower()]
    try:
        return checked_order(text.split(","))
    except EvaluationError as error:
        raise EvaluationError(f"--labels: {error}; named orders: {', '.join(NAMED_ORDERS)}") from None


def checked_order(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the outputs, as EMOTIONS has them. Raises EvaluationError unless each emotion is there once."""
    order = []
    for name in names:
        found = emotion_label(name)
        if found is None and name.strip().lower() != LEFT_OUT:
            raise EvaluationError(unknown_emotion(name))
        order.append(LEFT_OUT if found is None else EMOTIONS[found])
    missing = [name for name in EMOTIONS if name not in order]
    twice = sorted({name for name in order if order.count(name) > 1})
    if missing or twice:
        what = f"{twice[0]!r} appears twice" if twice else f"{missing[0]!r} is missing"
        raise EvaluationError(f"{what}; each of {', '.join(EMOTIONS)} must be there once")
    return tuple(order)


def in_order_of_emotions(outputs: np.ndarray, order: Sequence[str]) -> np.ndarray:
    """The columns of outputs (N, K) whose names are `order`, as (N, 7) in the order of EMOTIONS."""
    return outputs[:, [order.index(name) for name in EMOTIONS]]


def accuracy_in(order: Sequence[str], answered: np.ndarray, label: np.ndarray) -> float:
    """The share of right answers if the outputs have this order. answered: (N,), number of the highest output. label:
    (N,), index into EMOTIONS."""
    meant = np.array([EMOTIONS.index(name) if name in EMOTIONS else -1 for name in order])
    return float((meant[answered] == label).mean())


def best_order(answered: np.ndarray, label: np.ndarray, outputs: int) -> tuple[tuple[str, ...], float]:
    """The order of the outputs with the highest accuracy, and that accuracy: the assignment problem on the table of
    answers (Kuhn 1955, Naval Research Logistics Quarterly 2, 83-97), so that no order is left out.

    answered: (N,), number of the highest output. label: (N,), index into EMOTIONS. outputs: 7, or 8 if one is
    `contempt`.
    """
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((outputs, outputs), np.int64)  # output, emotion; an eighth column is LEFT_OUT
    np.add.at(table, (answered, label), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    names = (*EMOTIONS, LEFT_OUT)
    return tuple(names[column] for column in columns), float(table[rows, columns].sum() / max(1, len(label)))


def order_words(order: Sequence[str]) -> str:
    """The order as `--labels` takes it."""
    known = [name for name, named in NAMED_ORDERS.items() if named == tuple(order)]
    return known[0] if known else ",".join(order)
