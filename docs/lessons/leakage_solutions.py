"""Solutions of the exercises of leakage.ipynb. Try them yourself first.

To see the notebook with them, run ``from leakage_solutions import *`` after each exercise.
"""

from __future__ import annotations

import numpy as np


def exact_pairs(images: np.ndarray, train: np.ndarray, test: np.ndarray) -> list[tuple[int, int]]:
    """Equal images have equal bytes, so one look-up per test image is enough."""
    rows_of: dict[bytes, list[int]] = {}
    for row in train:
        rows_of.setdefault(images[row].tobytes(), []).append(row)
    return [(row, other) for other in test for row in rows_of.get(images[other].tobytes(), [])]


def near_pairs(images: np.ndarray, train: np.ndarray, test: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Correlation of small versions, which forgives noise, compression, brightness and contrast; both orientations."""

    def small(some: np.ndarray) -> np.ndarray:
        blocks = some.reshape(len(some), 12, 4, 12, 4).mean((2, 4)).reshape(len(some), -1)
        blocks -= blocks.mean(1, keepdims=True)
        return blocks / np.linalg.norm(blocks, axis=1, keepdims=True)

    known, asked = small(images[train]), images[test]
    score = np.maximum(known @ small(asked).T, known @ small(asked[:, :, ::-1]).T)
    return [(int(train[i]), int(test[j])) for i, j in np.argwhere(score >= threshold)]


def accuracy_by_copy(right: np.ndarray, is_copy: np.ndarray) -> tuple[float, float]:
    return float(right[is_copy].mean()), float(right[~is_copy].mean())


def gain_on_same_images(
    right_official: np.ndarray, right_clean: np.ndarray, is_copy: np.ndarray
) -> tuple[float, float]:
    """Both networks are judged on the same images, so that an image's difficulty cancels out."""
    gain = right_official.astype(float) - right_clean
    return float(gain[is_copy].mean()), float(gain[~is_copy].mean())


def share_that_repeats_training(predicted: np.ndarray, training_label: np.ndarray) -> float:
    return float((predicted == training_label).mean())
