"""Faces through an opened network, in batches, with the time that the network itself takes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from repro.evaluation.models.opened import OpenedModel
from repro.evaluation.outputs import checked_outputs
from repro.evaluation.preprocessing import Preprocessing, prepared

BATCH = 64


@dataclass(frozen=True)
class Predicted:
    """outputs: float64 (N, K), finite. seconds: of the network alone, without its first batch, which covers `timed`
    samples."""

    outputs: np.ndarray
    seconds: float
    timed: int

    @property
    def images_per_s(self) -> float:
        return self.timed / self.seconds if self.seconds > 0 else 0.0


def predict(
    opened: OpenedModel, faces_NHW: np.ndarray, how: Preprocessing, dtype: str, where: str, batch: int = BATCH
) -> Predicted:
    """faces_NHW: uint8, N above 0. batch: if the network has no fixed one; the last of a fixed batch is filled up with
    the first face. Raises EvaluationError if the network cannot compute it, or for outputs that are not finite."""
    size = opened.batch or batch
    outputs: list[np.ndarray] = []
    seconds, timed = 0.0, 0
    for start in range(0, len(faces_NHW), size):
        part = faces_NHW[start : start + size]
        filled = len(part)
        if opened.batch and filled < size:
            part = np.concatenate([part, np.repeat(faces_NHW[:1], size - filled, 0)])
        ready = prepared(part, how, dtype)
        began = time.perf_counter()
        given = opened.predict(ready)
        took = time.perf_counter() - began
        if start:
            seconds, timed = seconds + took, timed + filled
        outputs.append(given[:filled])
    advice = "are --scale, --mean and --deviation those of its training?"
    return Predicted(checked_outputs(np.concatenate(outputs), len(faces_NHW), where, advice), seconds, timed)
