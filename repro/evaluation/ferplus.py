"""Accuracy against the labels of FER+, in which ten people judged every image again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.ferplus import emotion_votes, read_votes
from repro.evaluation.records import FerPlus
from repro.evaluation.scores import Answers, subset_score
from repro.evaluation.subsets import EvaluatedSamples


def score_ferplus(
    path: Path, faces: Faces, splits: Mapping[str, Answers], seen: Mapping[str, EvaluatedSamples]
) -> dict[str, FerPlus]:
    """path: fer2013new.csv. Raises DataError if its votes do not fit the faces."""
    votes = read_votes(path, faces)
    return {split: _scored(one, votes[one.sample], seen[split]) for split, one in splits.items()}


def _scored(answers: Answers, votes: np.ndarray, found: EvaluatedSamples) -> FerPlus:
    """A sample counts if one of the seven emotions alone has the most votes of all ten choices."""
    own = emotion_votes(votes)
    label, most = own.argmax(1), own.max(1)
    counted = (most == votes.max(1)) & ((votes == most[:, None]).sum(1) == 1)
    right, group = answers.predicted == label, found.samples.group
    clean = counted & found.clean
    return FerPlus(
        score=subset_score(right[counted], group[counted]),
        clean=subset_score(right[clean], group[clean]),
        left_out=int((~counted).sum()),
        agreement=int((label == answers.label)[counted].sum()),
    )
