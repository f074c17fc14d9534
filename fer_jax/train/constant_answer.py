"""When a run has plainly failed: no epoch beats the constant answer, which ignores the image. No JAX here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.settings import Loss

# A run is stopped only after both. In every committed run that learns, the first or the second epoch beats the constant
# answer; ten passes leave a slow starter five times as long. Long schedules often have small learning rates, so
# a longer run gets a fifth of its updates.
PASSES = 10
SHARE_OF_UPDATES = 0.2
STANDARD_ERRORS = 3.0  # of a binomial share: an accuracy this close to the constant answer's is not above it


@dataclass(frozen=True)
class ConstantAnswer:
    """The best that one fixed output reaches on a split with these samples per class.

    accuracy: share of the most frequent class. loss: mean over the samples, the lowest that any fixed output has.
    """

    samples: int
    accuracy: float
    loss: float

    @property
    def accuracy_limit(self) -> float:
        """An accuracy above this cannot come from a constant answer: `STANDARD_ERRORS` above the share."""
        error = math.sqrt(self.accuracy * (1 - self.accuracy) / self.samples)
        return self.accuracy + STANDARD_ERRORS * error

    def beaten_by(self, figures: Mapping[str, float]) -> bool:
        """figures: accuracy and loss of an evaluation, or of the running mean over a training epoch.

        A loss counts too, without a margin. It falls as soon as the probabilities depend on the image, often long
        before another class becomes the most probable one.
        """
        return figures["accuracy"] > self.accuracy_limit or figures["loss"] < self.loss


def constant_answer(labels: np.ndarray, loss: Loss, *, weighted: bool = False) -> ConstantAnswer:
    """labels: (N,) class numbers, N >= 1. The losses in a history exclude weight decay, so this loss does too.
    weighted: with the class weights of the loss, which a history's training losses include and its evaluations do not.

    The shares p themselves minimise the cross-entropy, to their entropy, -sum p log p; with class weights w the shares
    of the weighted samples do. They also minimise the squared error, a mean over K classes, to sum p (1 - p) / K. For
    the squared hinge the scores 2 p - 1 do, to 4 p (1 - p) for each class. The focal loss is taken at p, which is above
    its minimum. K only counts classes with samples. If a class is missing, this keeps the bound above the true one, as
    a bound above the minimum does: fewer runs are stopped.
    """
    counts = np.bincount(labels.astype(np.int64))
    share = counts[counts > 0] / counts.sum()
    weights = _weights(loss, counts)[counts > 0] if weighted else np.ones(len(share))
    mass = float((weights * share).sum())
    p = weights * share / mass
    if loss.label_smoothing:
        p = (1 - loss.label_smoothing) * p + loss.label_smoothing / len(p)
    if loss.kind in ("cross_entropy", "focal"):
        costs = -np.log(p) * ((1 - p) ** loss.gamma if loss.kind == "focal" else 1)
        least = float((p * costs).sum())
    elif loss.kind == "squared_hinge":
        least = float(4 * (p * (1 - p)).sum() / (len(p) if loss.over_classes == "mean" else 1))
    else:
        least = float((p * (1 - p)).sum() / len(p))
    scale = mass if weighted and loss.class_weights_mean == "samples" else 1.0
    return ConstantAnswer(int(counts.sum()), float(share.max()), scale * least)


def _weights(loss: Loss, counts: np.ndarray) -> np.ndarray:
    """The class weights as `fer_jax.train.losses.class_weights` has them. counts: samples of each class, (K,)."""
    if loss.class_weights is None:
        return np.ones(len(counts))
    if loss.class_weights == "balanced":
        return counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1))
    return np.array(loss.class_weights)[: len(counts)]


def never_learned(
    history: Sequence[Mapping[str, Any]], answers: Mapping[str, ConstantAnswer], *, planned_updates: int
) -> str:
    """Why the run has plainly failed, in one sentence; empty if it has not, or if it is too early to say.

    A run has failed if it has trained on at least `PASSES` times its training samples, has made at least
    `SHARE_OF_UPDATES` of its updates, and no epoch so far beats the constant answer: neither the running mean over the
    training samples nor a split that is evaluated after the epoch (`ConstantAnswer.beaten_by`). One epoch that does
    is enough to let the run go to its end.

    history: entries as `fer_jax.train.history.history_entry` makes them. answers: by split, `train` among them.
    planned_updates: of the whole run.
    """
    if not history:
        return ""
    seen = sum(entry["train"]["n"] for entry in history)
    last = history[-1]
    if seen < PASSES * answers["train"].samples or last["step"] < SHARE_OF_UPDATES * planned_updates:
        return ""
    if any(_beats(entry, answers) for entry in history):
        return ""
    best = {
        name: max((entry["train"] if name == "train" else entry["splits"][name])["accuracy"] for entry in history)
        for name in ("train", *last["splits"])
    }
    figures = ", ".join(f"{name} {best[name]:.1%} (constant {answers[name].accuracy:.1%})" for name in best)
    return (
        f"not above the constant answer in {counted(last['epoch'], 'epoch')}: best accuracy {figures}; "
        "--keep-going trains to the end"
    )


def _beats(entry: Mapping[str, Any], answers: Mapping[str, ConstantAnswer]) -> bool:
    return answers["train"].beaten_by(entry["train"]) or any(
        answers[name].beaten_by(figures) for name, figures in entry["splits"].items()
    )
