"""From all pairs of images to near duplicates, in stages: each costs more than the one before and sees fewer pairs.

1. Products of short descriptors, of all pairs or of those in one inverted list.
2. In large datasets: the best product of any window of one image with any window of the other.
3. A coarse comparison of pixels, then a fine one.

The number of pairs that resemble each other by chance grows with the square of the dataset. So in large datasets the
cuts of the stages 2 and 3 follow from how many pairs per image are let through. docs/duplicates.md has what that costs
and loses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise

import numpy as np

from fer_jax.duplicates.correlation import above, alike, best_of_windows
from fer_jax.duplicates.descriptors import describe
from fer_jax.duplicates.image_rows import ImageRows
from fer_jax.duplicates.nearest import SMALL, Candidates, InvertedLists
from fer_jax.duplicates.registration import coarse_match, fine_match

Report = Callable[[int, int], None]
# Carries out the parts of a search: it gets their number and what finds the pairs of one, by its number from 0, and
# gives the pairs of all, in the order of the parts. So processes can share a search (`repro.audit.shared_search`).
CarryOut = Callable[[int, Callable[[int], "CandidatePairs"]], "list[CandidatePairs]"]

# From columns (M, D) and a cut to the pairs (row, column) that reach it.
Search = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]

# In datasets of more than SMALL images at most so many pairs per image are compared, coarsely and in detail.
COARSE_PER_IMAGE, FINE_PER_IMAGE = 12.0, 3.0
# At least so sharp, and no sharper, whatever the number of pairs. Of 11,746 near pairs of FER-2013 the least cuts lose
# 0.1 and 0.2 %, and leave 20 and 6.8 % of the other candidates (docs/duplicates.md).
LEAST_WINDOWS, LEAST_TOGETHER = 0.72, 1.15
MOST_WINDOWS, MOST_TOGETHER = 0.88, 1.35
SAMPLED = 8192  # columns from which the cuts are found
COLUMNS = 16_384  # sought at once in the index
TILE = 65_536  # images of one side of the tiles in which pairs are compared


@dataclass(frozen=True)
class Cuts:
    """The least values with which a pair reaches the next stage.

    whole, corner: products of descriptors, of whole images, and of the middle of one with a corner of the other. Lower
    cuts give many more candidates and hardly more copies. windows: the best product of any two windows. coarse: the
    correlation of `registration.coarse_match`. together: windows + coarse / 2; a copy is rarely weak in both.
    """

    whole: float = 0.60
    corner: float = 0.66
    windows: float = 0.0
    coarse: float = 0.75
    together: float = 0.0


@dataclass(frozen=True)
class CandidatePairs:
    """P pairs of images a < b, by their place in `ImageRows`.

    mirrored: bool (P,), b is compared mirrored. value: float32 (P,), of the last stage. maps: (P, 4), as
    `registration.coarse_match` gives them; (P, 0) before.
    """

    a: np.ndarray
    b: np.ndarray
    mirrored: np.ndarray
    value: np.ndarray
    maps: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def take(self, which: np.ndarray) -> CandidatePairs:
        return CandidatePairs(*(values[which] for values in vars(self).values()))


def joined(parts: list[CandidatePairs]) -> CandidatePairs:
    """The pairs of all parts, which have passed the same stage."""
    whole = np.zeros(0, np.int32)
    nothing = CandidatePairs(whole, whole, whole == 1, whole.astype(np.float32), np.zeros((0, 4), np.float32))
    some = [one for one in parts if len(one)] or [nothing]
    return CandidatePairs(*(np.concatenate([getattr(one, name) for one in some]) for name in vars(nothing)))


def near_pairs(
    images: ImageRows,
    constant: np.ndarray,
    candidates: Candidates,
    report: Report | None,
    carry_out: CarryOut | None = None,
) -> CandidatePairs:
    """The pairs that reach the fine comparison, with its score and map. constant: bool (R,), images to leave out."""
    if carry_out is not None:
        parts = column_parts(len(images))
        # Begun with the first part that is searched here: perhaps others have searched all.
        begun = cache(lambda: _begin(images, constant, candidates))

        def find(part: int) -> CandidatePairs:
            search, cuts = begun()
            return _all_in_detail(images, search.among(parts[part], cuts), cuts)

        return joined(carry_out(len(parts), find))
    search, cuts = _begin(images, constant, candidates)
    kept = joined(list(search.all(cuts, report)))
    del search  # and the descriptors
    return _all_in_detail(images, kept, cuts)


def _begin(images: ImageRows, constant: np.ndarray, candidates: Candidates) -> tuple[_Search, Cuts]:
    large = len(images) > SMALL
    as_is, mirrored = describe(images, np.float16 if large else np.float32)
    for windows in (as_is, mirrored):
        windows[:, constant] = 0
    search = _Search(as_is, mirrored, candidates)
    return search, _cuts_by_sample(search, images) if large else Cuts()


def _all_in_detail(images: ImageRows, found: CandidatePairs, cuts: Cuts) -> CandidatePairs:
    return joined([_in_detail(images, tile, cuts) for tile in _tiles(found)])


def column_parts(images: int) -> list[np.ndarray]:
    """The columns of each part of a search. Its pairs are those of its columns with all images before them."""
    return [np.arange(at, min(at + COLUMNS, images)) for at in range(0, images, COLUMNS)]


class _Search:
    """Stages 1 and 2."""

    def __init__(self, as_is: np.ndarray, mirrored: np.ndarray, candidates: Candidates) -> None:
        self.as_is, self.mirrored = as_is, mirrored
        self.indexed = candidates == "index"
        rows = (as_is[window].astype(np.float32, copy=False) for window in (0, 1))
        # Whole images and middles. The lists hold their own copy, so only one of the two is kept.
        self.lists = [InvertedLists(one) for one in rows] if self.indexed else []
        self.rows = [] if self.indexed else list(rows)

    def all(self, cuts: Cuts, report: Report | None) -> Iterator[CandidatePairs]:
        """With the index a part of the columns at a time: what all find may be larger than the memory."""
        parts = column_parts(self.as_is.shape[1]) if self.indexed else [None]
        for k, columns in enumerate(parts):
            yield self.among(columns, cuts, report if len(parts) == 1 else None)
            if report and len(parts) > 1:
                report(k + 1, len(parts))

    def among(self, columns: np.ndarray | None, cuts: Cuts, report: Report | None = None) -> CandidatePairs:
        """Of the pairs (a, b) with b among the columns, those that reach the cuts. Their value is that of stage 2."""
        n = self.as_is.shape[1]
        keys = [np.zeros(0, np.int64)]
        # Whole images with whole images, and the middle of one with the corners of the other.
        whole, middle = self._of_all() if columns is None else self._of_some(int(columns.max(initial=0)))
        columns = np.arange(n) if columns is None else columns
        for turned, described in enumerate((self.as_is, self.mirrored)):
            for search, windows, cut in ((whole, [0], cuts.whole), (middle, [2, 3, 4, 5], cuts.corner)):
                for window in windows:
                    a, b = search(described[window][columns].astype(np.float32, copy=False), cut)
                    b = columns[b]
                    ordered = a < b
                    keys.append((a[ordered].astype(np.int64) * n + b[ordered]) * 2 + turned)
                    if report:
                        report(len(keys) - 1, 10)
        key = np.unique(np.concatenate(keys))
        a, b, mirrored = key // 2 // n, key // 2 % n, (key % 2).astype(bool)
        value = np.ones(len(a), np.float32)
        if cuts.windows:
            for turned, described in ((False, self.as_is), (True, self.mirrored)):
                which = mirrored == turned
                value[which] = best_of_windows(self.as_is, described, a[which], b[which])
        none_yet = np.zeros((len(a), 0), np.float32)
        found = CandidatePairs(a.astype(np.int32), b.astype(np.int32), mirrored, value, none_yet)
        return found.take(value >= cuts.windows)

    def _of_all(self) -> list[Search]:
        return [partial(alike, one) for one in self.rows]

    def _of_some(self, last: int) -> list[Search]:
        """Searches of some columns, none behind the last: images behind it begin no pair."""
        if self.indexed:
            return [one.above for one in self.lists]
        return [partial(above, one[:last]) for one in self.rows]


def _cuts_by_sample(search: _Search, images: ImageRows) -> Cuts:
    """The least cuts that let through no more pairs per image than COARSE_PER_IMAGE and FINE_PER_IMAGE."""
    columns = np.unique(np.linspace(0, len(images) - 1, SAMPLED).astype(int))
    cuts = Cuts(windows=LEAST_WINDOWS)
    found = search.among(columns, cuts)
    cuts = replace(cuts, windows=_cut(found.value, COARSE_PER_IMAGE * len(columns), LEAST_WINDOWS, MOST_WINDOWS))
    found = joined([_coarsely(images, tile, cuts) for tile in _tiles(found.take(found.value >= cuts.windows))])
    return replace(cuts, together=_cut(found.value, FINE_PER_IMAGE * len(columns), LEAST_TOGETHER, MOST_TOGETHER))


def _cut(values: np.ndarray, wanted: float, least: float, most: float) -> float:
    """The cut that `wanted` values reach, between least and most."""
    count = int(wanted)
    reached = float(-np.partition(-values, count)[count]) if count < len(values) else least
    return min(max(reached, least), most)


def _tiles(found: CandidatePairs) -> Iterator[CandidatePairs]:
    """The pairs by the part of the images that a is in, and b: of each tile few images are needed."""
    tile = found.a.astype(np.int64) // TILE * 2**31 + found.b // TILE
    order = np.argsort(tile, kind="stable")
    ends = np.flatnonzero(np.diff(tile[order], prepend=-1, append=-1))
    for begin, end in pairwise(ends):
        yield found.take(order[begin:end])


def _coarsely(images: ImageRows, pairs: CandidatePairs, cuts: Cuts) -> CandidatePairs:
    """The pairs that reach the coarse cut and that of both together. Their value is the sum that `together` cuts."""
    small, a, b = _needed(images, pairs)
    coarse, maps = coarse_match(small, a, b, pairs.mirrored)
    value = pairs.value + coarse / 2
    return replace(pairs, value=value, maps=maps).take((coarse >= cuts.coarse) & (value >= cuts.together))


def _in_detail(images: ImageRows, pairs: CandidatePairs, cuts: Cuts) -> CandidatePairs:
    pairs = _coarsely(images, pairs, cuts)
    if not len(pairs):
        return pairs
    small, a, b = _needed(images, pairs)
    score, maps = fine_match(small, a, b, pairs.mirrored, pairs.maps)
    return replace(pairs, value=score, maps=maps)


def _needed(images: ImageRows, pairs: CandidatePairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images of the pairs, and the places of a and b among them."""
    rows, place = np.unique(np.concatenate([pairs.a, pairs.b]), return_inverse=True)
    a, b = np.split(place.astype(np.int32), 2)
    return images[rows], a, b
