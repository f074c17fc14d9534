"""Runs that ended no better than the constant answer, which names one class whatever the image shows."""

from __future__ import annotations

import math

import numpy as np

from fer_jax.train.constant_answer import STANDARD_ERRORS
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.runs.records import Metrics, RunRecord
from repro.text import units


def dead_run(record: RunRecord) -> str:
    """Why a full run counts as dead, in a few words; empty for one that learned, and where no matrix was recorded.

    Dead: on every split that was evaluated at the end, the accuracy is at most `STANDARD_ERRORS` above the share of the
    most frequent class. Such a run measures no claim about a network that was trained.
    """
    if record.status != "done":
        return ""
    known = {name: m for name, m in record.metrics.items() if m.confusion is not None and m.n}
    if not known or any(_learned(metrics) for metrics in known.values()):
        return ""
    name = next((split for split in ("test", "validation") if split in known), next(iter(known)))
    matrix = np.asarray(known[name].confusion)
    answers, total = matrix.sum(0), int(matrix.sum())
    most = int(answers.argmax())
    return (
        f"dead run, seed {record.seed}: it calls {int(answers[most]):,} of {total:,} images of {name} "
        f"{EMOTIONS[most]}, and its accuracy is {units.percentage(known[name].accuracy, None)}; naming one class "
        f"always gives {units.percentage(float(matrix.sum(1).max()) / total, None)}"
    )


def _learned(metrics: Metrics) -> bool:
    samples = np.asarray(metrics.confusion).sum(1)
    constant = float(samples.max()) / float(samples.sum())
    return metrics.accuracy > constant + STANDARD_ERRORS * math.sqrt(constant * (1 - constant) / metrics.n)
