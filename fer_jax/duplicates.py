"""Which faces of a data set are the same picture: identical pixels, or a copy that was changed a little.

A near duplicate is a picture that another becomes by brightness, contrast, JPEG compression, mirroring and a shift of
up to two pixels, in any combination; most crops that are a little larger or turned are found too (see
``fer_jax.correlation``). No JAX until it is searched for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from fer_jax.faces import Faces
from fer_jax.nearest import InvertedLists, faiss_module

DUPLICATES_VERSION = 1  # to be raised whenever other pairs may be found: kept results are then computed again
# Chosen on planted copies of drawn faces (tests/test_duplicates.py): above every pair of different drawings, below
# nearly every copy. FER-2013's pairs between 0.84 and this that we looked at were one picture too: other crops of it.
THRESHOLD = 0.92
# Product of descriptors from which pictures are compared pixel by pixel: 8 of 5,435 near pairs of FER-2013 lie below.
CANDIDATE_CUT = 0.75
# Gray levels. JPEG at quality 50 and rounding leave errors of about this size: below, noise would be compared.
MIN_STD = 3.0
PART = 4096  # pictures whose deviations are computed at once: as float32 they take 38 MB

Candidates = Literal["blocks", "index"]


@dataclass(frozen=True)
class Pairs:
    """P pairs of rows that show the same picture, sorted by row_a, then row_b; row_a < row_b.

    row_a, row_b: int32 (P,). exact: bool (P,), all pixels are equal; else near. score: float32 (P,), the normalised
    correlation, 1 for exact pairs. mirrored: bool (P,). dx, dy: int8 (P,), pixels: what is at (y, x) in row_a is at
    (y + dy, x + dx) in row_b, after mirroring row_b where mirrored.
    """

    row_a: np.ndarray
    row_b: np.ndarray
    exact: np.ndarray
    score: np.ndarray
    mirrored: np.ndarray
    dx: np.ndarray
    dy: np.ndarray

    def __len__(self) -> int:
        return len(self.row_a)

    def take(self, rows: np.ndarray) -> Pairs:
        """The given pairs (indices or a boolean mask), in that order."""
        return Pairs(*(getattr(self, field.name)[rows] for field in fields(self)))


def find_duplicates(
    images: np.ndarray,
    *,
    threshold: float = THRESHOLD,
    candidates: Candidates = "blocks",
    report: Callable[[int, int], None] | None = None,
) -> Pairs:
    """All pairs of rows that show the same picture.

    images: uint8 (N, H, W). threshold: least score of a near pair (see `correlation.best_correlation`). candidates: how
    the pairs are sought that are then compared pixel by pixel, by all products in blocks, or in the inverted lists of
    `fer_jax.nearest`, which can miss a pair. report is called with the number of searches done and of all: one for each
    of two orientations and four shifts. Almost constant pictures are never near another.

    In blocks the cost grows as N^2: the eight searches take 8 x 48 products for each of the N^2 / 2 pairs, 0.5 x 10^12
    operations for the 35,887 faces of FER-2013. With the index they grow as N^1.5. The candidates to compare are either
    way a share of all pairs: of FER-2013's 5 in 100,000. So are different faces that are taken for the same.
    K identical rows make K^2 / 2 pairs.

    Raises ValueError for images of another shape or type, or too small to be shifted, or for other candidates;
    DataError where the index needs faiss and it is not installed.
    """
    if candidates not in get_args(Candidates):
        raise ValueError(f"find_duplicates: candidates {candidates!r}; accepted are {', '.join(get_args(Candidates))}")
    if candidates == "index":
        faiss_module()  # or the failure would come only after the pictures have been described
    if images.ndim != 3 or images.dtype != np.uint8 or min(images.shape[1:]) < 8:
        raise ValueError(
            f"find_duplicates: images must be uint8 (N, H, W), at least 8x8, got {images.dtype} {images.shape}"
        )
    members = _identical(images)
    near = _near(images[[rows[0] for rows in members]], threshold, candidates, report)
    exact = np.array([pair for rows in members for pair in combinations(rows, 2)], np.int32).reshape(-1, 2)
    equal = Pairs(exact[:, 0], exact[:, 1], *_unchanged(len(exact)))
    return _sorted(equal, _of_all_rows(near, members))


def _unchanged(pairs: int) -> tuple[np.ndarray, ...]:
    """What the fields of exact pairs say, row_a and row_b left out."""
    shift = np.zeros(pairs, np.int8)
    return np.ones(pairs, bool), np.ones(pairs, np.float32), np.zeros(pairs, bool), shift, shift


def _of_all_rows(near: Pairs, members: list[list[int]]) -> Pairs:
    """What holds for the first rows of two pictures holds for all rows that are identical with them."""
    rows = [(k, a, b) for k in range(len(near)) for a in members[near.row_a[k]] for b in members[near.row_b[k]]]
    index, a, b = np.array(rows, np.int32).reshape(-1, 3).T
    grown, turned = near.take(index), a > b
    # Seen from the other picture the shift is the opposite one; across a mirror its horizontal part stays.
    dx = np.where(turned & ~grown.mirrored, -grown.dx, grown.dx)
    dy = np.where(turned, -grown.dy, grown.dy)
    return replace(grown, row_a=np.minimum(a, b), row_b=np.maximum(a, b), dx=dx, dy=dy)


def _sorted(*parts: Pairs) -> Pairs:
    joined = Pairs(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Pairs)))
    return joined.take(np.lexsort((joined.row_b, joined.row_a)))


def _identical(images: np.ndarray) -> list[list[int]]:
    """The rows of each different picture, in the order of their first rows."""
    rows_of: dict[bytes, list[int]] = {}
    for row, image in enumerate(images):
        rows_of.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), []).append(row)
    for rows in rows_of.values():
        if not (images[rows[1:]] == images[rows[0]]).all():
            raise AssertionError(f"rows {rows}: different pictures with the same 128-bit hash")
    return list(rows_of.values())


def _near(
    images: np.ndarray, threshold: float, candidates: Candidates, report: Callable[[int, int], None] | None
) -> Pairs:
    """The near pairs among different pictures."""
    from fer_jax.correlation import alike, best_correlation, describe

    if len(images) < 2:
        none = np.zeros(0, np.int32)
        return Pairs(
            none, none, none == 1, none.astype(np.float32), none == 1, none.astype(np.int8), none.astype(np.int8)
        )
    middle, corners = describe(images)
    structured = ~almost_constant(images)[:, None]
    middle, corners = middle * structured, corners * structured
    search = InvertedLists(middle).alike if candidates == "index" else partial(alike, middle)
    keys = [np.zeros(0, np.int64)]
    for mirrored, corner in np.ndindex(2, 4):
        a, b = search(corners[mirrored, corner], CANDIDATE_CUT)
        keys.append((a.astype(np.int64) * len(images) + b) * 2 + mirrored)
        if report:
            report(4 * mirrored + corner + 1, 8)
    key = np.unique(np.concatenate(keys))
    a, b, mirrored = key // 2 // len(images), key // 2 % len(images), (key % 2).astype(bool)
    score, dx, dy = best_correlation(images, a, b, mirrored)
    # Symmetric pictures are found in both orientations: the better one is kept.
    order = np.lexsort((-score, b, a))
    order = order[score[order] >= threshold]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(a[order]) != 0) | (np.diff(b[order]) != 0)
    kept = order[new]
    return Pairs(
        a[kept].astype(np.int32),
        b[kept].astype(np.int32),
        np.zeros(len(kept), bool),
        score[kept],
        mirrored[kept],
        dx[kept],
        dy[kept],
    )


def almost_constant(images: np.ndarray) -> np.ndarray:
    """bool (N,): pictures without structure, whose gray levels deviate by less than MIN_STD from their mean."""
    parts = [images[at : at + PART].std((1, 2), dtype=np.float32) for at in range(0, len(images), PART)]
    return np.concatenate([np.zeros(0, np.float32), *parts]) < MIN_STD


def picture_groups(rows: int, pairs: Pairs) -> np.ndarray:
    """The picture of each row, int32 (rows,): the smallest row that is connected with it by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs.row_a, pairs.row_b)), (rows, rows))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group].astype(np.int32)


def duplicates_of(faces: Faces, cache: Path | None = None) -> Pairs:
    """The pairs of `find_duplicates`, computed once per content of the faces and kept in the cache folder.

    cache: the cache folder, or None for the user's (see ``fer_jax.cache.cache_folder``). Where it cannot be written to,
    the pairs are computed again every time.
    """
    from fer_jax.cache import cache_folder, placed_whole

    path = cache_folder(cache) / "duplicates" / f"{faces.fingerprint}-v{DUPLICATES_VERSION}.npz"
    kept = _read(path, len(faces))
    if kept is not None:
        return kept
    pairs = find_duplicates(faces.images)
    with suppress(OSError), placed_whole(path) as aside, aside.open("wb") as out:
        np.savez(out, **{field.name: getattr(pairs, field.name) for field in fields(pairs)})  # type: ignore[arg-type]
    return pairs


def _read(path: Path, rows: int) -> Pairs | None:
    """Kept pairs, or None when there are none or the file is damaged."""
    import zipfile

    try:
        with path.open("rb") as file:  # np.load leaves a damaged file open
            stored = np.load(file)
            pairs = Pairs(*(stored[field.name] for field in fields(Pairs)))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    sound = len({len(getattr(pairs, field.name)) for field in fields(pairs)}) == 1
    sound = sound and (len(pairs) == 0 or (pairs.row_a.min() >= 0 and pairs.row_b.max() < rows))
    return pairs if sound else None


def pictures_of(faces: Faces, cache: Path | None = None) -> np.ndarray:
    """The picture of each row of `faces`, int32 (N,): the smallest row that shows the same. Kept in the cache."""
    return picture_groups(len(faces), duplicates_of(faces, cache))
