"""Datasets, and the search for images that are in a training and in a test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.duplicates.search import duplicates_of, find_duplicates, picture_groups
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.fer2013 import USAGES
from repro.api.shown import Shown
from repro.runs.dataset import Dataset, open_dataset
from repro.text import units
from repro.text.document import Block, Cell, Column, Inline, Paragraph, count, table

if TYPE_CHECKING:
    import pandas as pd

SIDE = 48  # pixels: images of two sizes are compared at this one
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's mode L


def load_data(source: str | Path | None = None) -> Dataset:
    """A dataset: its faces, name and what was guessed when it was read.

    source: a path (csv, zip, npz, parquet, a folder, ...), the word "synthetic", or None for the dataset imported last,
    else synthetic faces. Raises DataError for a path that cannot be read.
    """
    return open_dataset(None if source is None else str(source))


@dataclass(frozen=True, repr=False)
class SplitAudit(Shown):
    """Images that a training and a test set share.

    n_train, n_test: numbers of images. leaked: int (L,), sorted indices of the test images that are also in training;
    a copy of a copy counts. train, test: int (P,), the indices of the two images of each pair. exact: bool (P,), all
    pixels are equal. score: float (P,), 1 for equal images. mirrored: bool (P,).
    """

    n_train: int
    n_test: int
    leaked: np.ndarray
    train: np.ndarray
    test: np.ndarray
    exact: np.ndarray
    score: np.ndarray
    mirrored: np.ndarray

    @property
    def share(self) -> float:
        """Of the test images: how many are also in training."""
        return len(self.leaked) / self.n_test if self.n_test else 0.0

    def to_frame(self) -> pd.DataFrame:
        """One row per pair: train, test, exact, mirrored, score."""
        import pandas as pd

        names = ("train", "test", "exact", "mirrored", "score")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def blocks(self) -> Sequence[Block]:
        exact = np.unique(self.test[self.exact])
        rows: list[list[Cell | Inline]] = [
            ["Exact copies", *self._shares(len(exact))],
            ["Near copies only", *self._shares(len(np.setdiff1d(self.leaked, exact)))],
            ["Together", *self._shares(len(self.leaked))],
        ]
        found = (
            f"{len(self.leaked):,} of {self.n_test:,} test images ({units.percentage(self.share, None)}) are also "
            f"among the {counted(self.n_train, 'training image')}."
        )
        columns = (Column("Test images in training"), Column("Images", "right"), Column("Share", "right"))
        return (Paragraph(found), table(columns, rows))

    def _shares(self, images: int) -> tuple[Cell, Cell]:
        share = images / self.n_test if self.n_test else 0.0
        return count(images), Cell(units.percentage(share, None), share)


def audit_arrays(x_train: np.ndarray, x_test: np.ndarray, *, threshold: float | None = None) -> SplitAudit:
    """Find test images that are also in training: equal, or a crop, mirrored, captioned or compressed copy.

    x_train, x_test: uint8 (N, H, W) or (N, H, W, 3), of any size from 8 x 8 on. Images of two sizes are compared at 48
    x 48. threshold: least score of a near copy; the default, 0.91, or 0.93 for more than 100,000 images,
    was chosen for faces at 48 x 48 (docs/duplicates.md). Time and memory grow as for `repro audit data`: 35,887 faces
    take about a minute on two cores.

    Raises UserError for arrays of another type or shape.
    """
    given = [checked_images(x, name) for x, name in ((x_train, "x_train"), (x_test, "x_test"))]
    train, test = (_gray(x) for x in given)
    same_shape = given[0].shape[1:] == given[1].shape[1:]
    if train.shape[1:] != test.shape[1:]:
        from fer_jax.duplicates.descriptors import resized  # here, because it loads JAX

        train, test = resized(train), resized(test)
    pairs = find_duplicates(np.concatenate([train, test]), threshold=threshold)
    between = pairs.take((pairs.row_a < len(train)) & (pairs.row_b >= len(train)))
    a, b = between.row_a, between.row_b - len(train)
    # Gray and resized images may be equal though the given ones are not.
    exact = [same_shape and np.array_equal(given[0][i], given[1][j]) for i, j in zip(a, b, strict=True)]
    group = picture_groups(len(train) + len(test), pairs)
    leaked = np.flatnonzero(np.isin(group[len(train) :], group[: len(train)]))
    return SplitAudit(len(train), len(test), leaked, a, b, np.array(exact, bool), between.score, between.mirrored)


def audit_split(
    data: Dataset | Faces, train: Sequence[int] | np.ndarray | str, test: Sequence[int] | np.ndarray | str
) -> SplitAudit:
    """Find samples of `test` that show an image of `train`. A sample that is in both counts as an exact copy.

    train, test: samples of the dataset, by their place in it, or the name of an official split ("Training",
    "PublicTest", "PrivateTest"). The search of a whole dataset is kept in the cache. Raises UserError for places
    outside the dataset and unknown names.
    """
    faces = data if isinstance(data, Faces) else data.faces
    rows = [_rows(faces, split, name) for split, name in ((train, "train"), (test, "test"))]
    pairs = duplicates_of(faces)
    own = np.arange(len(faces), dtype=np.int32)
    ones = np.ones(len(own), bool)
    # Each pair in both directions, and each sample with itself.
    a, b = np.concatenate([pairs.row_a, pairs.row_b, own]), np.concatenate([pairs.row_b, pairs.row_a, own])
    exact, mirrored = np.r_[pairs.exact, pairs.exact, ones], np.r_[pairs.mirrored, pairs.mirrored, ~ones]
    score = np.r_[pairs.score, pairs.score, ones.astype(np.float32)]
    place = [np.full(len(faces), -1) for _ in rows]
    for at, of in zip(place, rows, strict=True):
        at[of] = np.arange(len(of))
    kept = (place[0][a] >= 0) & (place[1][b] >= 0)
    order = np.lexsort((place[0][a[kept]], place[1][b[kept]]))
    found = (place[0][a], place[1][b], exact, score, mirrored)
    group = picture_groups(len(faces), pairs)
    leaked = np.flatnonzero(np.isin(group[rows[1]], group[rows[0]]))
    return SplitAudit(len(rows[0]), len(rows[1]), leaked, *(values[kept][order] for values in found))


def checked_images(images: np.ndarray, name: str) -> np.ndarray:
    """The images, if they are uint8 (N, H, W) or (N, H, W, 3). Raises UserError, which says what to do."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise UserError(
            f"{name}: uint8 pixels from 0 to 255 are needed, not {images.dtype}; scale and round them first"
        )
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
        raise UserError(f"{name}: shape (N, H, W) or (N, H, W, 3) is needed, not {images.shape}")
    if len(images) and min(images.shape[1:3]) < 8:
        raise UserError(
            f"{name}: images of at least 8 x 8 pixels are needed, not {images.shape[1]} x {images.shape[2]}"
        )
    return images


def _gray(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 3 else np.rint(images.astype(np.float32) @ _LUMA).astype(np.uint8)


def _rows(faces: Faces, split: Sequence[int] | np.ndarray | str, name: str) -> np.ndarray:
    if isinstance(split, str):
        if split not in USAGES:
            raise UserError(f"{name}: no split {split!r}; accepted: {', '.join(USAGES)}")
        return np.flatnonzero(faces.usage == USAGES.index(split))
    rows = np.asarray(split)
    if rows.dtype == bool and rows.shape == (len(faces),):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or (len(rows) and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(faces))):
        raise UserError(f"{name}: samples from 0 to {len(faces) - 1:,} are needed, or the name of a split")
    if len(np.unique(rows)) < len(rows):
        raise UserError(f"{name}: a row is named twice")
    return rows
