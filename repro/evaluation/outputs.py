"""What a network gave, as probabilities of the seven emotions: checked, and turned from scores if they are scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError
from repro.evaluation.label_order import in_order_of_emotions

# labels: of each sample only the predicted emotion is known.
OutputKind = Literal["probabilities", "scores", "labels"]
ROUNDING = 1e-2  # half precision and text with three digits stay below this


def checked_outputs(outputs: np.ndarray, samples: int, where: str, advice: str = "") -> np.ndarray:
    """float64 (N, K). Raises EvaluationError for another shape, and with the advice for values that are not finite."""
    outputs = np.asarray(outputs)
    if outputs.dtype.kind not in "fiub":
        raise EvaluationError(f"{where}: outputs of type {outputs.dtype}; numbers are needed")
    if outputs.ndim > 2:
        outputs = outputs.reshape(len(outputs), -1) if outputs.size else outputs
    if outputs.ndim != 2 or len(outputs) != samples:
        raise EvaluationError(
            f"{where}: outputs of shape {outputs.shape} for {counted(samples, 'face')}; one line of {len(EMOTIONS)} "
            "per face is needed"
        )
    outputs = outputs.astype(np.float64)
    bad = ~np.isfinite(outputs).all(1)
    if bad.any():
        raise EvaluationError(
            f"{where}: {int(bad.sum()):,} of {samples:,} outputs are not finite (NaN or infinite), the first for "
            f"sample {int(bad.argmax()):,}{f'; {advice}' if advice else ''}"
        )
    return outputs


def check_count(outputs: int, where: str) -> None:
    """Raises EvaluationError unless there is one output per emotion, or one more (see `label_order.LEFT_OUT`)."""
    if outputs not in (len(EMOTIONS), len(EMOTIONS) + 1):
        raise EvaluationError(
            f"{where}: {counted(outputs, 'output')}, but FER-2013 has {len(EMOTIONS)} emotions "
            f"({', '.join(EMOTIONS)}); it was trained for something else"
        )


def kind_of(outputs: np.ndarray) -> OutputKind:
    """Probabilities if no value is negative and each line adds up to 1, else scores."""
    sums = outputs.sum(1)
    whole = outputs.min(initial=0) >= -1e-6 and np.abs(sums - 1).max(initial=0) < ROUNDING
    return "probabilities" if whole else "scores"


def of_percentages(outputs: np.ndarray) -> np.ndarray | None:
    """Probabilities of percentages: the same by 100 if no value is negative and each line adds up to 100; else None.

    A softmax of percentages would be sure of nearly every answer."""
    sums = outputs.sum(1)
    percentages = len(outputs) and outputs.min() >= 0 and np.abs(sums - 100).max() < 100 * ROUNDING
    return outputs / 100 if percentages else None


def probabilities(outputs: np.ndarray, kind: OutputKind, order: Sequence[str]) -> np.ndarray:
    """float64 (N, 7) in the order of EMOTIONS. Scores go through a softmax. An output for contempt is left out, and the
    others are divided by their sum."""
    if kind == "scores":
        shifted = np.exp(outputs - outputs.max(1, keepdims=True))
        outputs = shifted / shifted.sum(1, keepdims=True)
    found = np.clip(in_order_of_emotions(outputs, order), 0, None)
    total = found.sum(1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1), 1 / len(EMOTIONS))
