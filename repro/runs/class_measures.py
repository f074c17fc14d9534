"""Precision, recall, F1, balanced accuracy, ranks, top-k and AUC, from a confusion matrix or from probabilities.

Definitions are those of scikit-learn (`precision_recall_fscore_support`, `balanced_accuracy_score`,
`top_k_accuracy_score`, `roc_auc_score` with `multi_class="ovr"`); tests write them out. Ratios of no samples are
0, as with `zero_division=0`. A class without any sample has no recall and is left out of means. scikit-learn leaves it
out only of the balanced accuracy, and counts it as 0 in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repro.runs.records import Ranking
from repro.specs.claims import Claim

Matrix = Sequence[Sequence[float]] | np.ndarray  # counts, K x K


@dataclass(frozen=True)
class ClassMeasures:
    """Per class, each of shape (K,): precision, recall, F1, samples of other classes predicted as this class, and the
    number of its samples (support)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    false_positives: np.ndarray
    support: np.ndarray


def class_measures(confusion: Matrix) -> ClassMeasures:
    """confusion[label][predicted]: counts, K x K."""
    matrix = np.asarray(confusion, np.float64)
    hits, support, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    return ClassMeasures(precision, recall, _ratio(2 * hits, support + predicted), predicted - hits, support)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def average(values: np.ndarray, support: np.ndarray, how: str) -> float | None:
    """Mean over the classes that have samples: "macro" plain, "weighted" by their samples."""
    there = support > 0
    if not there.any():
        return None
    return float(np.average(values[there], weights=support[there] if how == "weighted" else None))


def from_confusion(claim: Claim, confusion: Matrix, emotions: Sequence[str]) -> float | None:
    """The value of a claim of quantity precision, recall, f1, balanced_accuracy or rank; None if it has no value.

    emotions: names of the rows and columns. The micro average of all three is the accuracy, because each sample has one
    label and one prediction.
    """
    found = class_measures(confusion)
    total = float(found.support.sum())
    if not total:
        return None
    if claim.quantity == "balanced_accuracy":
        return average(found.recall, found.support, "macro")
    if claim.average == "micro":
        return float(np.trace(np.asarray(confusion, np.float64)) / total)
    values = getattr(found, claim.by if claim.quantity == "rank" else claim.quantity)
    if claim.average:
        return average(values, found.support, claim.average)
    index = emotions.index(claim.emotion)
    if not found.support[index]:
        return None
    return _place(values, index) if claim.quantity == "rank" else float(values[index])


def _place(values: np.ndarray, index: int) -> float:
    """Place in descending order, from 1; equal values share the mean of their places."""
    better, equal = int((values > values[index]).sum()), int((values == values[index]).sum())
    return better + (equal + 1) / 2


# --- from probabilities -----------------------------------------------------------------------------------------------


def ranking(probability: np.ndarray, label: np.ndarray) -> Ranking | None:
    """The part of a split's probabilities that a record keeps; None for a split without samples.

    probability: (N, K), of any scale. label: (N,), integers below K.
    """
    rows, classes = probability.shape
    if not rows:
        return None
    scores = np.asarray(probability, np.float64)
    hot = np.arange(classes) == np.asarray(label)[:, None]
    per_class = tuple(_auc(scores[:, k], hot[:, k]) for k in range(classes))
    return Ranking(
        top_k=tuple(top_k(scores, np.asarray(label), k) for k in range(1, classes + 1)),
        auc=per_class,
        auc_micro=_auc(scores.reshape(-1), hot.reshape(-1)),
    )


def top_k(probability: np.ndarray, label: np.ndarray, k: int) -> float:
    """Share of samples whose label is among the k highest. If the label ties with others for the last places, its
    chance of getting one of these places counts, so that the order of the classes does not matter."""
    own = probability[np.arange(len(label)), label][:, None]
    above, equal = (probability > own).sum(1), (probability == own).sum(1)
    return float(np.clip((k - above) / equal, 0.0, 1.0).mean())


def _auc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve as the Mann-Whitney statistic, ties counted half (Hanley & McNeil 1982); None if there
    are no positive or no negative samples."""
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def from_ranking(claim: Claim, found: Ranking, support: np.ndarray, emotions: Sequence[str]) -> float | None:
    """The value of a claim of quantity top_k or auc. support: samples per class, (K,)."""
    if claim.quantity == "top_k":
        assert claim.k is not None
        return found.top_k[claim.k - 1] if claim.k <= len(found.top_k) else None
    if claim.average == "micro":
        return found.auc_micro
    if claim.emotion:
        return found.auc[emotions.index(claim.emotion)]
    known = [(value, weight) for value, weight in zip(found.auc, support, strict=True) if value is not None]
    if not known:
        return None
    values, weights = zip(*known, strict=True)
    return float(np.average(values, weights=weights if claim.average == "weighted" else None))
