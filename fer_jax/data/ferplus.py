"""The votes of FER+ (Barsoum, Zhang, Canton Ferrer and Zhang 2016): ten people judged every face of FER-2013 again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES

# The columns of fer2013new.csv after Usage and Image name.
CHOICES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
_NAMES = {
    "neutral": "neutral",
    "happy": "happiness",
    "surprise": "surprise",
    "sad": "sadness",
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
}
# Votes and labels agree on two faces in three if the rows match, and on about one in five if the order differs.
MIN_AGREEMENT = 0.4
_REMEDY = "take fer2013new.csv as published, and FER-2013 in the order of fer2013.csv"


def read_votes(path: Path, faces: Faces) -> np.ndarray:
    """The votes for each row of `faces`, uint8 (N, 10), in the order of CHOICES.

    FER+ has no pixels: its rows match those of fer2013.csv by order alone. Raises DataError if the file cannot be read
    or has other columns, another number of rows or another order of usages. Also if its votes do not match the labels,
    as after importing FER-2013 in an order other than that of fer2013.csv.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV file ({error}); {_REMEDY}") from error
    missing = [name for name in ("Usage", *CHOICES) if rows and name not in rows[0]]
    if not rows or missing:
        what = f"has no column {missing[0]!r}" if missing else "has no rows"
        raise DataError(f"{path}: {what}, so these are not the votes of FER+; {_REMEDY}")
    if len(rows) != len(faces):
        raise DataError(f"{path}: {counted(len(rows), 'row')} of votes for {counted(len(faces), 'face')}; {_REMEDY}")
    for at, (row, usage) in enumerate(zip(rows, faces.usage.tolist(), strict=True)):
        if row["Usage"] != USAGES[usage]:
            raise DataError(f"{path}: line {at + 2}: Usage {row['Usage']!r}, the face is in {USAGES[usage]}; {_REMEDY}")
    votes = np.stack([_counts(path, at + 2, row) for at, row in enumerate(rows)])
    _check_order(path, votes, faces)
    return votes


def _counts(path: Path, line: int, row: dict[str, str | None]) -> np.ndarray:
    cells = [row[name] for name in CHOICES]
    if not all(cell and cell.isascii() and cell.isdigit() and int(cell) < 256 for cell in cells):
        raise DataError(f"{path}: line {line}: votes must be whole numbers, got {cells}; {_REMEDY}")
    return np.array(cells, np.uint8)


def _check_order(path: Path, votes: np.ndarray, faces: Faces) -> None:
    column = np.array([CHOICES.index(_NAMES[emotion]) for emotion in EMOTIONS])
    known = (faces.labels != UNLABELLED) & ~not_a_face(votes)
    if not known.any():
        return
    agreement = float((votes[known].argmax(1) == column[faces.labels[known]]).mean())
    if agreement < MIN_AGREEMENT:
        raise DataError(
            f"{path}: the votes agree with the labels on {agreement:.0%} of the faces only, so the rows are in "
            f"different orders or these faces are not FER-2013; {_REMEDY}"
        )


def emotion_votes(votes: np.ndarray) -> np.ndarray:
    """The votes for the seven emotions, uint8 (N, 7) in the order of EMOTIONS."""
    return votes[:, [CHOICES.index(_NAMES[emotion]) for emotion in EMOTIONS]]


def not_a_face(votes: np.ndarray) -> np.ndarray:
    """bool (N,): samples for which more people chose NF, not a face, than any other answer."""
    return votes[:, -1] > votes[:, :-1].max(1)


def vote_shares(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of each emotion in the votes of a sample, float32 (N, 7). A sample without a vote for any of the seven
    has its label."""
    own = emotion_votes(votes).astype(np.float32)
    total = own.sum(1, keepdims=True)
    label = np.eye(len(EMOTIONS), dtype=np.float32)[labels]
    return np.where(total > 0, own / np.maximum(total, 1), label)
