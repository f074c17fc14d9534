"""Which images of a dataset show the same photograph: identical pixels, or a slightly changed copy.

A near duplicate is a copy with another brightness, contrast, JPEG compression or crop (scale 0.7 to 1.4, up to eight of
48 pixels off), mirrored or not, in any combination. A caption or border along an edge may cover part of it. Another
photograph of the same person is not a duplicate. docs/duplicates.md reports how well this works. Importing this module
does not load JAX; searching does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.duplicates.nearest import SMALL, Candidates, faiss_module
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.kept_arrays import read_arrays, write_arrays

if TYPE_CHECKING:
    from fer_jax.duplicates.stages import CarryOut

DUPLICATES_VERSION = 2  # raise it whenever other pairs may be found: kept results are then computed again
# Least score of a near pair (see `registration.fine_match`). We looked at 48 pairs of FER-2013 just above it: all show
# one photograph. Between 0.86 and 0.90 a quarter are two photographs of one person (docs/duplicates.md). Different
# synthetic faces reach 0.907, or mirrored 0.927 because faces are symmetric, hence the margin.
THRESHOLD = 0.91
# The same for more than SMALL images, because there are more faces that merely resemble each other: of the near pairs
# among 992,800 drawn faces 35 % from 0.91 on show two faces, 8 % from 0.93 on; among 29,200 it is 9 % from 0.91 on.
LARGE_THRESHOLD = 0.93
MIRRORED_MARGIN = 0.03
# Gray levels. JPEG at quality 50 and rounding leave errors of about this size; below it, noise would be compared.
MIN_STD = 3.0
PART = 4096  # images whose deviations are computed at once: as float32 they take 38 MB


@dataclass(frozen=True)
class Pairs:
    """P pairs of rows that show the same image, sorted by row_a, then row_b; row_a < row_b.

    row_a, row_b: int32 (P,). exact: bool (P,), all pixels are equal; else near. score: float32 (P,), the normalised
    correlation of `registration.fine_match`, 1 for exact pairs. mirrored: bool (P,). dx, dy: int16 (P,), pixels: the
    centre of row_a corresponds to (dy, dx) from the centre of row_b, after mirroring row_b if mirrored.
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

    def take(self, which: np.ndarray) -> Pairs:
        """The given pairs (indices or a boolean mask), in that order."""
        return Pairs(*(values[which] for values in vars(self).values()))


def default_threshold(images: int) -> float:
    """Least score of a near pair in a dataset of so many images."""
    return THRESHOLD if images <= SMALL else LARGE_THRESHOLD


def find_duplicates(
    images: np.ndarray,
    *,
    threshold: float | None = None,
    candidates: Candidates = "blocks",
    report: Callable[[int, int], None] | None = None,
    carry_out: CarryOut | None = None,
) -> Pairs:
    """All pairs of rows that show the same image.

    images: uint8 (N, H, W). threshold: least score of a near pair, MIRRORED_MARGIN more for a mirrored one; None for
    `default_threshold`. candidates: how to find the pairs that are then compared pixel by pixel: by all products in
    blocks, or in the inverted lists of `fer_jax.duplicates.nearest`, which can miss a pair. report is called with the
    number of searches done and their total number. There is one search of whole images and one per corner, for each of
    two orientations. Almost constant images never count as near duplicates. carry_out: carries out the search in parts,
    perhaps shared with other processes (see `stages.CarryOut`); then nothing is reported.

    In blocks the cost grows as N^2: the ten searches take 10 x 64 products for each of the N^2 / 2 pairs, 0.8 x 10^12
    operations for the 35,887 faces of FER-2013. With the index they grow as N^1.5. In both cases the number of
    candidates to compare grows with all pairs: 13 in 100,000 for FER-2013. So does the number of different faces taken
    for copies. K identical rows make K^2 / 2 pairs.

    Raises ValueError if the images have another shape or type or are too small to be shifted, or for an unknown
    `candidates`. Raises DataError if the index needs faiss and it is not installed.
    """
    if candidates not in get_args(Candidates):
        raise ValueError(f"find_duplicates: candidates {candidates!r}; accepted are {', '.join(get_args(Candidates))}")
    if candidates == "index":
        faiss_module()  # otherwise the failure would come only after the images have been described
    if images.ndim != 3 or images.dtype != np.uint8 or min(images.shape[1:]) < 8:
        raise ValueError(
            f"find_duplicates: images must be uint8 (N, H, W), at least 8x8, got {images.dtype} {images.shape}"
        )
    if threshold is None:
        threshold = default_threshold(len(images))
    members = _identical(images)
    near = _near(images, np.array([rows[0] for rows in members], int), threshold, candidates, report, carry_out)
    exact = np.array([pair for rows in members for pair in combinations(rows, 2)], np.int32).reshape(-1, 2)
    equal = Pairs(exact[:, 0], exact[:, 1], *_unchanged(len(exact)))
    return _sorted(equal, _of_all_rows(near, members))


def _unchanged(pairs: int) -> tuple[np.ndarray, ...]:
    """The fields of exact pairs other than row_a and row_b."""
    shift = np.zeros(pairs, np.int16)
    return np.ones(pairs, bool), np.ones(pairs, np.float32), np.zeros(pairs, bool), shift, shift


def _of_all_rows(near: Pairs, members: list[list[int]]) -> Pairs:
    """Extend the pairs of first rows to all rows that are identical with them."""
    rows = [(k, a, b) for k in range(len(near)) for a in members[near.row_a[k]] for b in members[near.row_b[k]]]
    index, a, b = np.array(rows, np.int32).reshape(-1, 3).T
    grown, turned = near.take(index), a > b
    # Seen from the other image the shift is reversed; across a mirror its horizontal part stays.
    dx = np.where(turned & ~grown.mirrored, -grown.dx, grown.dx)
    dy = np.where(turned, -grown.dy, grown.dy)
    return replace(grown, row_a=np.minimum(a, b), row_b=np.maximum(a, b), dx=dx, dy=dy)


def _sorted(*parts: Pairs) -> Pairs:
    joined = Pairs(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Pairs)))
    return joined.take(np.lexsort((joined.row_b, joined.row_a)))


def _identical(images: np.ndarray) -> list[list[int]]:
    """The rows of each different image, in the order of their first rows."""
    rows_of: dict[bytes, list[int]] = {}
    for row, image in enumerate(images):
        rows_of.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), []).append(row)
    for rows in rows_of.values():
        if not (images[rows[1:]] == images[rows[0]]).all():
            raise AssertionError(f"rows {rows}: different pictures with the same 128-bit hash")
    return list(rows_of.values())


def _near(
    images: np.ndarray,
    rows: np.ndarray,
    threshold: float,
    candidates: Candidates,
    report: Callable[[int, int], None] | None,
    carry_out: CarryOut | None,
) -> Pairs:
    """The near pairs among images[rows], which differ. They are numbered by their place in `rows`."""
    from fer_jax.duplicates.descriptors import SIZE
    from fer_jax.duplicates.image_rows import ImageRows
    from fer_jax.duplicates.stages import near_pairs
    from fer_jax.machine.process_settings import pin

    pin()
    if len(rows) < 2:
        none = np.zeros(0, np.int32)
        shift = none.astype(np.int16)
        return Pairs(none, none, none == 1, none.astype(np.float32), none == 1, shift, shift)
    found = near_pairs(ImageRows(images, rows), almost_constant(images)[rows], candidates, report, carry_out)
    a, b, mirrored, score, maps = found.a, found.b, found.mirrored, found.value, found.maps
    # Symmetric images are found in both orientations; the better one is kept.
    order = np.lexsort((-score, b, a))
    order = order[score[order] >= threshold + MIRRORED_MARGIN * mirrored[order]]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(a[order]) != 0) | (np.diff(b[order]) != 0)
    kept = order[new]
    height, width = images.shape[1:]
    dy, dx = (np.rint(maps[kept, k] * (size / SIZE)).astype(np.int16) for k, size in ((1, height), (3, width)))
    near = np.zeros(len(kept), bool)
    return Pairs(a[kept], b[kept], near, score[kept], mirrored[kept], dx, dy)


def almost_constant(images: np.ndarray) -> np.ndarray:
    """bool (N,): images without structure, whose gray levels deviate by less than MIN_STD from their mean."""
    parts = [images[at : at + PART].std((1, 2), dtype=np.float32) for at in range(0, len(images), PART)]
    return np.concatenate([np.zeros(0, np.float32), *parts]) < MIN_STD


def picture_groups(rows: int, pairs: Pairs) -> np.ndarray:
    """The duplicate group of each row, int32 (rows,): the smallest row that is connected with it by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs.row_a, pairs.row_b)), (rows, rows))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group].astype(np.int32)


def duplicates_of(faces: Faces, cache: Path | None = None) -> Pairs:
    """The pairs of `find_duplicates`, computed once per content of the faces and kept in the cache folder.

    cache: the cache folder, or None for the user's (see `cache_folder`). If it is not writable, the pairs are computed
    again every time.
    """
    least = default_threshold(len(faces))
    search = f"v{DUPLICATES_VERSION}" if least == THRESHOLD else f"v{DUPLICATES_VERSION}-{least:g}"
    path = cache_folder(cache) / "duplicates" / f"{faces.fingerprint}-{search}.npz"
    kept = _read(path, len(faces))
    if kept is not None:
        return kept
    pairs = find_duplicates(faces.images)
    arrays = {field.name: getattr(pairs, field.name) for field in fields(pairs)}
    with suppress(OSError):
        write_arrays(path, arrays)
    return pairs


def _read(path: Path, rows: int) -> Pairs | None:
    """Kept pairs, or None if there are none or the file is damaged. Older files carry no digest."""
    arrays = read_arrays(path, [field.name for field in fields(Pairs)], digest_needed=False)
    if arrays is None:
        return None
    pairs = Pairs(**arrays)
    sound = len({len(getattr(pairs, field.name)) for field in fields(pairs)}) == 1
    sound = sound and (len(pairs) == 0 or (pairs.row_a.min() >= 0 and pairs.row_b.max() < rows))
    return pairs if sound else None


def pictures_of(faces: Faces, cache: Path | None = None) -> np.ndarray:
    """The duplicate group of each row, int32 (N,): the smallest row with the same image. Kept in the cache."""
    return picture_groups(len(faces), duplicates_of(faces, cache))
