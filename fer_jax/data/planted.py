"""Copies of training images planted into the evaluated splits of a dataset, so that it is known what there is to find.

As in FER-2013, an evaluated sample shows the photograph of a training sample: the same pixels, or changed a little.
Some copies carry another label than their original.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fer_jax.data.altered import CHANGES
from fer_jax.data.faces import DataError, Faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES

EXACT = "same"
# Of these at least 118 of 120 are found among synthetic faces (docs/duplicates.md), so that a list that misses many is
# the fault of who made it.
NEAR = ("flipped", "brightened", "contrasted", "compressed", "shifted", "cropped")
EXACT_SHARE = 0.5


@dataclass(frozen=True)
class PlantedCopy:
    """row: of the copy, in an evaluated split. original: row of the training sample that it shows. change: EXACT, or
    one of NEAR. conflict: whether the two carry different labels."""

    row: int
    original: int
    change: str
    conflict: bool


def plant_copies(faces: Faces, duplicates: float, conflicts: float, seed: int = 0) -> tuple[Faces, list[PlantedCopy]]:
    """Replace a share of the samples of PublicTest and of PrivateTest by copies of training images.

    duplicates: the share, 0 to 1. conflicts: the share of the samples that are copies with another label than their
    original, at most `duplicates`. Labels and splits stay as they are: an original is drawn from the training samples
    of the same label, or of another one for a conflict. No original is used twice. The copies are in the order of their
    rows. Raises DataError if there are too few training samples, and ValueError for shares that cannot be.
    """
    if not 0 <= conflicts <= duplicates <= 1:
        raise ValueError(f"conflicts {conflicts:g} and duplicates {duplicates:g}: 0 <= conflicts <= duplicates <= 1")
    random = np.random.default_rng([seed, 0x9C])
    free = {label: _shuffled(random, (faces.usage == 0) & (faces.labels == label)) for label in range(len(EMOTIONS))}
    images, copies = faces.images.copy(), []
    for usage in (1, 2):
        rows = _shuffled(random, faces.usage == usage)
        count, torn = (math.floor(share * len(rows) + 0.5) for share in (duplicates, conflicts))
        changes = _changes(random, count)
        for place, (row, change) in enumerate(zip(rows[:count], changes, strict=True)):
            conflict = place < torn
            original = _original(random, free, int(faces.labels[row]), conflict)
            altered = CHANGES[change](faces.images[original], random)
            images[row] = altered
            same = np.array_equal(altered, faces.images[original])  # a change can leave every pixel as it was
            copies.append(PlantedCopy(row, original, EXACT if same else change, conflict))
    return faces.changed(images=images), sorted(copies, key=lambda copy: copy.row)


def _shuffled(random: np.random.Generator, mask: np.ndarray) -> list[int]:
    return random.permutation(np.flatnonzero(mask)).tolist()


def _changes(random: np.random.Generator, count: int) -> list[str]:
    """Half of them exact, the others of all kinds alike, in random order."""
    exact = round(EXACT_SHARE * count)
    kinds = [EXACT] * exact + [NEAR[i % len(NEAR)] for i in range(count - exact)]
    return [kinds[i] for i in random.permutation(count)]


def _original(random: np.random.Generator, free: dict[int, list[int]], label: int, conflict: bool) -> int:
    """An unused training sample of the label, or of another one: each sample of the others is equally likely."""
    if not conflict:
        found = label
    else:
        left = np.array([0 if other == label else len(rows) for other, rows in free.items()], float)
        found = int(random.choice(len(left), p=left / left.sum())) if left.any() else label
    if not free[found] or (conflict and found == label):
        raise DataError(f"{USAGES[0]} has too few samples of {EMOTIONS[label]} for this many copies; ask for fewer")
    return free[found].pop()
