"""What a network's answers on a split are worth: accuracy with and without copies, per emotion, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.subsets import EvaluatedSamples
from repro.runs.class_measures import average, class_measures
from repro.statistics import SampleShare, ShareDifference, independent_difference, share, standardised_difference
from repro.statistics.calibration import Calibration, calibration

Confusion = tuple[tuple[int, ...], ...]


class SubsetScore(msgspec.Struct, frozen=True, kw_only=True):
    """hits of n samples, which show so many different images, with the 95 % interval for other images of this kind."""

    hits: int
    n: int
    images: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return self.hits / self.n if self.n else float("nan")

    @property
    def share(self) -> SampleShare:
        return SampleShare(self.hits, self.n, self.low, self.high)


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Of the samples whose copies in training all carry another label: how many were answered with such a label, and
    how many with their own."""

    samples: int
    as_copies: int
    as_labelled: int


class SplitScore(msgspec.Struct, frozen=True, kw_only=True):
    """One split. subsets: by name as in `EvaluatedSamples.subsets`. copies, others: hits and samples of each emotion,
    with and without a copy in training. confusion[label][predicted], of all samples and of the clean ones. recall:
    None if no sample is of that kind. calibration: None without probabilities; tempered: with the temperature that was
    fitted on PublicTest, None on PublicTest itself."""

    subsets: dict[str, SubsetScore]
    copies: tuple[tuple[int, int], ...]
    others: tuple[tuple[int, int], ...]
    confusion: Confusion
    clean_confusion: Confusion
    recall: Recall | None = None
    calibration: Calibration | None = None
    tempered: Calibration | None = None

    @property
    def official(self) -> SubsetScore:
        return self.subsets["official"]

    @property
    def clean(self) -> SubsetScore:
        return self.subsets["clean"]

    @property
    def gained_by_copies(self) -> ShareDifference | None:
        """Accuracy on copies minus accuracy on the others."""
        return independent_difference(self.subsets["copies only"].share, self.subsets["without copies"].share)

    @property
    def gained_within_emotions(self) -> ShareDifference | None:
        """The same within each emotion: copies are not of all emotions alike."""
        return standardised_difference(np.array(self.copies), np.array(self.others))


@dataclass(frozen=True)
class Answers:
    """Of one split. sample: sorted numbers of its samples, (N,). label, predicted: (N,), index into EMOTIONS.
    probability: float64 (N, 7), or None if only the answers are known."""

    sample: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None

    @property
    def right(self) -> np.ndarray:
        return self.predicted == self.label


def split_score(answers: Answers, found: EvaluatedSamples, tempered: np.ndarray | None = None) -> SplitScore:
    """tempered: (N, 7), probabilities with the fitted temperature."""
    return SplitScore(
        subsets={
            name: subset_score(answers.right[mask], found.samples.group[mask]) for name, mask in found.subsets.items()
        },
        copies=_by_emotion(answers, found.samples.has_copy),
        others=_by_emotion(answers, ~found.samples.has_copy),
        confusion=confusion_of(answers.label, answers.predicted),
        clean_confusion=confusion_of(answers.label[found.clean], answers.predicted[found.clean]),
        recall=_recall(answers, found),
        calibration=None if answers.probability is None else calibration(answers.probability, answers.label),
        tempered=None if tempered is None else calibration(tempered, answers.label),
    )


def subset_score(right: np.ndarray, group: np.ndarray) -> SubsetScore:
    found = share(right, group)
    return SubsetScore(hits=found.hits, n=found.n, images=len(np.unique(group)), low=found.low, high=found.high)


def _by_emotion(answers: Answers, where: np.ndarray) -> tuple[tuple[int, int], ...]:
    counted, hits = (
        np.bincount(answers.label[mask], minlength=len(EMOTIONS)) for mask in (where, where & answers.right)
    )
    return tuple((int(hit), int(n)) for hit, n in zip(hits, counted, strict=True))


def confusion_of(label: np.ndarray, predicted: np.ndarray) -> Confusion:
    table = np.zeros((len(EMOTIONS),) * 2, np.int64)
    np.add.at(table, (label, predicted), 1)
    return tuple(tuple(line) for line in table.tolist())


def _recall(answers: Answers, found: EvaluatedSamples) -> Recall | None:
    other = found.other_label
    if not other.any():
        return None
    copied = found.samples.copy_labels[np.arange(len(other)), answers.predicted]
    return Recall(
        samples=int(other.sum()), as_copies=int(copied[other].sum()), as_labelled=int(answers.right[other].sum())
    )


def averages(confusion: Confusion) -> Mapping[str, float]:
    """Balanced accuracy and macro F1."""
    found = class_measures(confusion)
    return {
        "balanced accuracy": average(found.recall, found.support, "macro") or 0.0,
        "macro F1": average(found.f1, found.support, "macro") or 0.0,
    }
