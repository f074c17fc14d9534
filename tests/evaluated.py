"""Faces in three splits with known copies, and answers to them, for the tests of `repro evaluate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.evaluation.subsets import CopyPairs
from repro.runs.dataset import Dataset

SIZES = (60, 30, 40)  # Training, PublicTest, PrivateTest
FIRST_PRIVATE = SIZES[0] + SIZES[1]


def three_splits() -> Faces:
    """48 x 48, in the order of fer2013.csv. PrivateTest's samples 0 and 1 are copies of Training's 0 and 1, the second
    with another label; its sample 2 is a copy of PublicTest's 0; its sample 4 is its sample 3 again."""
    random = np.random.default_rng(5)
    n = sum(SIZES)
    labels = (np.arange(n) % len(EMOTIONS)).astype(np.uint8)
    coarse = random.integers(0, 256, (n, 6, 6))
    images = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)
    # The label is written into a corner, so that a network can read it.
    images[:, :4, :4] = (labels * 30)[:, None, None]
    for to, of in ((0, 0), (1, 1), (2, SIZES[0]), (4, FIRST_PRIVATE + 3)):
        images[FIRST_PRIVATE + to] = images[of]
        labels[FIRST_PRIVATE + to] = labels[of]
    labels[FIRST_PRIVATE + 1] = (labels[1] + 1) % len(EMOTIONS)
    usage = np.repeat(np.arange(3), SIZES).astype(np.uint8)
    return Faces(images, labels, usage, np.arange(n, dtype=np.int32))


def dataset() -> Dataset:
    return Dataset(three_splits(), "drawn")


def corner(faces_NHW: np.ndarray, right: float = 0.9) -> np.ndarray:
    """Probabilities (N, 7) of a network that reads the corner: the label that is written there gets `right`."""
    read = np.rint(faces_NHW[:, 0, 0].astype(float) / 30).astype(int)
    found = np.full((len(read), len(EMOTIONS)), (1 - right) / (len(EMOTIONS) - 1))
    found[np.arange(len(read)), read] = right
    return found


def write_csv(path: Path, head: str, lines: list[str]) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n" if head else "\n".join(lines) + "\n", encoding="utf-8")
    return path


def known_pairs() -> CopyPairs:
    """The copies of `three_splits`, which a search would find in half a minute."""
    faces, private = three_splits(), FIRST_PRIVATE
    pairs = [(0, private), (1, private + 1), (SIZES[0], private + 2), (private + 3, private + 4)]
    rows = [row for pair in pairs for row in pair]
    return CopyPairs(
        np.array(pairs, np.int64),
        {row: int(faces.labels[row]) for row in rows},
        {row: USAGES[faces.usage[row]] for row in rows},
    )
