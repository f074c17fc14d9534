"""Copies planted into clean faces at known places, changed as pictures are on their way through the web."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_jax.data.altered import CHANGES
from fer_jax.duplicates.search import Pairs


@dataclass(frozen=True)
class Planted:
    """Pictures among which each of some has one copy. truth: the pairs of rows (a, b), a < b, and what was changed."""

    images: np.ndarray
    truth: dict[tuple[int, int], str]

    def recall(self, pairs: Pairs) -> dict[str, float]:
        """Share of the copies of each kind that were found."""
        found = rows(pairs)
        return {kind: float(np.mean([pair in found for pair in self.of(kind)])) for kind in set(self.truth.values())}

    def of(self, *kinds: str) -> set[tuple[int, int]]:
        return {pair for pair, kind in self.truth.items() if kind in kinds}

    def false_alarms(self, pairs: Pairs) -> set[tuple[int, int]]:
        return rows(pairs) - set(self.truth)


def rows(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True))


def plant(images: np.ndarray, copies: int, seed: int) -> Planted:
    """Add `copies` copies of each kind of change, of different pictures, and shuffle all rows."""
    random = np.random.default_rng(seed)
    kinds = [kind for kind in CHANGES for _ in range(copies)]
    sources = random.permutation(len(images))[: len(kinds)]
    made = [CHANGES[kind](images[source], random) for kind, source in zip(kinds, sources, strict=True)]
    place = random.permutation(len(images) + len(made))
    mixed = np.empty((len(place), *images.shape[1:]), np.uint8)
    mixed[place] = np.concatenate([images, np.stack(made)])
    truth = {}
    for k, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        a, b = sorted((int(place[source]), int(place[len(images) + k])))
        # A change can leave every pixel as it was; then the copy is the same.
        truth[a, b] = "same" if (mixed[a] == mixed[b]).all() else kind
    return Planted(mixed, truth)
