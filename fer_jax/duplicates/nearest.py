"""Pairs whose descriptors point the same way, found with inverted lists instead of by comparing all pairs.

For datasets so large that all N^2 / 2 products of `correlation.alike` take too long. The rows are sorted into lists
around centres (k-means). A column is compared only with the rows in the lists of its PROBES nearest centres:
IVF flat, Jégou, Douze and Schmid (2011), Product quantization for nearest neighbor search, section IV, as in faiss
(Douze et al. 2024, The Faiss library). Every computed product is exact. A pair in a list that was not probed is
missed. Runs on the CPU only; no JAX.

Letters: N images, D numbers of a descriptor, P pairs.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Literal

import numpy as np

from fer_jax.data.faces import DataError

Candidates = Literal["blocks", "index"]  # all products, or those of one inverted list

SMALL = 100_000  # up to so many images every candidate is compared, and chance gives few false alarms
# Lists per square root of N. Finding the nearest centres and searching their lists then cost alike, N^1.5 in all.
LISTS = 4
LEAST_ROWS = 39  # rows per list, on average: with fewer, k-means places a centre badly (the default of faiss)
# In FER-2013 (738 lists) this loses 73 of the 17,276 exact and near pairs that all products find, and 4 % of the
# candidates.
PROBES = 16
TRAINED_ROWS, ITERATIONS = 64, 10  # of k-means, rows per centre: higher values find hardly more pairs
PART = 16_384  # columns sought at once: bounds the memory for what they find


def faiss_module() -> ModuleType:
    """The package faiss. Raises DataError with the remedy if it is not installed."""
    try:
        import faiss  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise DataError(
            "candidates 'index' need faiss, which is not installed: pip install 'fer-repro[audit-large]', "
            "or compare all pairs: candidates 'blocks'"
        ) from error
    return faiss


class InvertedLists:
    """Rows (N, D), of length 1 or 0, sorted into lists. Raises DataError if faiss is not installed."""

    def __init__(self, rows_ND: np.ndarray) -> None:
        faiss = faiss_module()
        n, size = rows_ND.shape
        self.lists = max(1, min(round(LISTS * math.sqrt(n)), n // LEAST_ROWS))
        self.index = faiss.index_factory(size, f"IVF{self.lists},Flat", faiss.METRIC_INNER_PRODUCT)
        self.index.nprobe = min(PROBES, self.lists)
        self.index.cp.min_points_per_centroid = 1
        self.index.cp.max_points_per_centroid = TRAINED_ROWS
        self.index.cp.niter = ITERATIONS
        rows = np.ascontiguousarray(rows_ND, np.float32)
        self.index.train(rows)
        self.index.add(rows)

    def above(self, columns_MD: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (a, b), int32 (P,), for which rows_ND[a] and columns_MD[b] have a product of at least `cut`.

        The same pairs as `correlation.above`, except products within rounding of the cut and pairs in lists not probed.
        cut: above 0. About N^1.5 (LISTS + PROBES / LISTS) D operations; memory for what PART columns find.
        """
        found = [np.zeros((2, 0), np.int32)]
        for at in range(0, len(columns_MD), PART):
            columns = np.ascontiguousarray(columns_MD[at : at + PART], np.float32)
            limits, _, a = self.index.range_search(columns, cut)
            b = at + np.repeat(np.arange(len(columns)), np.diff(limits.astype(np.int64)))
            found.append(np.stack([a, b]).astype(np.int32))
        a, b = np.concatenate(found, axis=1)
        return a, b
