"""The data set in memory: gray faces, their labels, and where each row came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from fer_jax.vocabulary.errors import UserError

# The label order of fer2013.csv (Goodfellow et al. 2013); folder names in alphabetical order are NOT this order.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
UNLABELLED = 255  # label of a row whose emotion is not known (test.csv of the Kaggle competition)

# Rows per (usage, emotion) of the official fer2013.csv, counted from the file: 28,709 + 3,589 + 3,589 rows.
OFFICIAL_COUNTS = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}


NO_STEP = -1
_DTYPES = {
    "images": np.uint8,
    "labels": np.uint8,
    "usage": np.uint8,
    "origin": np.int32,
    "copied_by": np.int8,
    "changed_by": np.int8,
}


class DataError(UserError):
    """The user's data cannot be used; the message names the file, the place in it and the remedy."""


@dataclass(frozen=True)
class Faces:
    """N gray faces. Arrays are never written to; every step makes new ones.

    images: uint8 (N, H, W), 0 black to 255 white.
    labels: uint8 (N,), index into EMOTIONS, or UNLABELLED.
    usage:  uint8 (N,), index into USAGES.
    origin: int32 (N,), the row of the imported data set that this row was made from. A copy keeps the origin of
            what it copies, so that leakage can be computed.
    synthetic: drawn by ``fer_jax.data.synthetic``; such faces cannot be compared with any paper.
    copied_by: int8 (N,), index of the last data step that made this row as a copy of another one; NO_STEP for a row
            that is no copy.
    changed_by: int8 (N,), index of the last data step that changed the picture of such a copy; NO_STEP where none did.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    origin: np.ndarray
    synthetic: bool = False
    copied_by: np.ndarray = field(default=None, repr=False)  # pyright: ignore[reportAssignmentType]
    changed_by: np.ndarray = field(default=None, repr=False)  # pyright: ignore[reportAssignmentType]
    _fingerprint: list[str] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        n = len(self.images)
        for name in ("copied_by", "changed_by"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(n, NO_STEP, np.int8))
        for name, dtype in _DTYPES.items():
            array = getattr(self, name)
            if array.dtype != dtype or len(array) != n:
                raise ValueError(
                    f"Faces.{name}: expected {n} rows of {np.dtype(dtype)}, got {array.shape} {array.dtype}"
                )
        if self.images.ndim != 3:
            raise ValueError(f"Faces.images: expected shape (N, H, W), got {self.images.shape}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels, labels and usage: equal content has an equal fingerprint, whatever the file."""
        if not self._fingerprint:
            digest = hashlib.sha256(repr(self.images.shape).encode())
            for array in (self.images, self.labels, self.usage):
                digest.update(np.ascontiguousarray(array).data)
            self._fingerprint.append(digest.hexdigest())
        return self._fingerprint[0]

    def take(self, rows: np.ndarray) -> Faces:
        """The given rows (indices or a boolean mask), in that order, with their origins."""
        return self.changed(**{name: getattr(self, name)[rows] for name in _DTYPES})

    def changed(self, **arrays: np.ndarray) -> Faces:
        """The same faces with other arrays in the place of those that are named."""
        return replace(self, **arrays, _fingerprint=[])

    def class_counts(self) -> tuple[int, ...]:
        """Rows per emotion, in label order."""
        return tuple(int(c) for c in np.bincount(self.labels, minlength=len(EMOTIONS))[: len(EMOTIONS)])

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Rows per usage and emotion."""
        return {
            name: tuple(
                int(c) for c in np.bincount(self.labels[self.usage == u], minlength=len(EMOTIONS))[: len(EMOTIONS)]
            )
            for u, name in enumerate(USAGES)
        }


def concatenate(parts: list[Faces]) -> Faces:
    """All rows of the parts, one part after the other."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _DTYPES}
    return replace(parts[0], **arrays, synthetic=any(part.synthetic for part in parts), _fingerprint=[])
