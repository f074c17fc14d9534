"""What a printed confusion matrix can mean: whole numbers behind rounded shares, and the splits they fit.

A printed share means an interval: half a digit to both sides if it was rounded, and up to a whole digit above if
digits were cut off. Everything here is an outer bound: what is called impossible is impossible, but something not
called impossible may still be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from repro.specs.spec import ClaimTable

WHOLE = {"rows": math.nan, "fraction": 1.0, "percent": 100.0}
_SLACK = 1e-9  # relative; for the last bits of float64


@dataclass(frozen=True)
class Bounds:
    """low and high of every cell: numbers of samples, (K, K) float64."""

    low: np.ndarray
    high: np.ndarray

    @property
    def possible(self) -> bool:
        return bool((self.low <= self.high).all())


def share_window(table: ClaimTable) -> tuple[np.ndarray, np.ndarray]:
    """(least, greatest) share from 0 to 1 that prints as each cell, rounded or cut; (K, K) each."""
    whole = WHOLE[table.unit]
    cells, step = np.asarray(table.cells, np.float64) / whole, table.resolution / whole
    return np.clip(cells - step / 2, 0, 1), np.clip(cells + step, 0, 1)


def count_bounds(table: ClaimTable, class_counts: Sequence[int]) -> Bounds:
    """Whole numbers that each cell can mean, given the samples of each class in the order of `table.classes`.

    For shares of columns the sums are unknown. The bounds are then those of a linear relaxation alone, 0 to the row.
    """
    rows = np.asarray(class_counts, np.float64)[:, None]
    if table.unit == "rows":
        cells = np.asarray(table.cells, np.float64)
        half = table.resolution / 2 if table.resolution > 1 else 0.0
        return Bounds(np.ceil(cells - half), np.floor(cells + half))
    if table.of == "column":
        return Bounds(np.zeros((len(rows), len(rows))), np.broadcast_to(rows, (len(rows), len(rows))).copy())
    low, high = share_window(table)
    base = rows.sum() if table.of == "all" else rows
    return Bounds(np.ceil(low * base * (1 - _SLACK)), np.floor(high * base * (1 + _SLACK)))


def has_whole_solution(table: ClaimTable, class_counts: Sequence[int]) -> bool:
    """Whether whole numbers with these sums of rows print as the table.

    Rows are independent: a row has a solution if every cell has one and the samples of the class lie between the sums
    of the least and of the greatest. Shares of columns tie the rows together. There the real numbers between the whole
    ones are allowed too, so that True means "not excluded".
    """
    counts = np.asarray(class_counts, np.float64)
    if table.unit != "rows" and table.of == "column":
        return _column_shares_fit(table, counts)
    bounds = count_bounds(table, class_counts)
    return bounds.possible and bool(((bounds.low.sum(1) <= counts) & (counts <= bounds.high.sum(1))).all())


def _column_shares_fit(table: ClaimTable, counts: np.ndarray) -> bool:
    """Linear feasibility: cells k_ij and columns c_j with low_ij c_j <= k_ij <= high_ij c_j, sums over i equal to c_j
    and sums over j equal to the samples of class i."""
    from scipy.optimize import linprog  # takes a second, and few papers print shares of columns

    size = len(counts)
    low, high = share_window(table)
    cells, total = size * size, size * size + size

    def row_of(entries: Mapping[int, float]) -> np.ndarray:
        row = np.zeros(total)
        for index, value in entries.items():
            row[index] = value
        return row

    upper = [row_of({i * size + j: -1.0, cells + j: low[i, j]}) for i in range(size) for j in range(size)]
    upper += [row_of({i * size + j: 1.0, cells + j: -high[i, j]}) for i in range(size) for j in range(size)]
    equal = [row_of({i * size + j: 1.0 for j in range(size)}) for i in range(size)]
    equal += [row_of({**{i * size + j: 1.0 for i in range(size)}, cells + j: -1.0}) for j in range(size)]
    found = linprog(
        np.zeros(total),
        A_ub=np.array(upper),
        b_ub=np.zeros(len(upper)),
        A_eq=np.array(equal),
        b_eq=np.concatenate([counts, np.zeros(size)]),
        bounds=(0, None),
        method="highs",
    )
    return found.status == 0


# --- sums of rows ---------------------------------------------------------------------------------------------------


def official_splits(order: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Samples of each class in FER-2013's splits, and in those that papers join, in the given order of labels."""
    training, public, private = (np.array(OFFICIAL_COUNTS[k]) for k in ("Training", "PublicTest", "PrivateTest"))
    named = {
        "Training": training,
        "PublicTest": public,
        "PrivateTest": private,
        "PublicTest and PrivateTest": public + private,
        "all of FER-2013": training + public + private,
    }
    return {name: tuple(int(v) for v in counts[list(order)]) for name, counts in named.items()}


def row_sums(table: ClaimTable) -> np.ndarray:
    """(K,): samples of each class for counts, else its share of all samples in the table's unit."""
    return np.asarray(table.cells, np.float64).sum(1)


def sums_fit(table: ClaimTable, class_counts: Sequence[int]) -> bool:
    """Whether the sums of the rows are those of a split with these samples per class: the same numbers for counts, the
    same shares within the rounding of a row's cells for shares of all samples.

    Raises ValueError for shares of rows or columns, whose sums say nothing of a split.
    """
    counts, sums = np.asarray(class_counts, np.float64), row_sums(table)
    if table.unit == "rows":
        slack = len(counts) * table.resolution / 2 if table.resolution > 1 else 0.5
        return bool((np.abs(sums - counts) < slack).all())
    if table.of != "all":
        raise ValueError(f'shares of a "{table.of}" do not show which split they are of')
    off = counts / counts.sum() * WHOLE[table.unit] - sums
    size = len(counts)
    # Rounded cells are off by half a digit each, to both sides; cut ones lie below by up to a digit each.
    slack = _SLACK * WHOLE[table.unit]
    return bool(((-size * table.resolution / 2 - slack <= off) & (off <= size * table.resolution + slack)).all())


def largest_gap(table: ClaimTable, class_counts: Sequence[int]) -> float:
    """The largest difference between the sums of the rows and a split's samples per class, in the table's unit; shares
    are compared with shares."""
    counts, sums = np.asarray(class_counts, np.float64), row_sums(table)
    expected = counts if table.unit == "rows" else counts / counts.sum() * WHOLE[table.unit]
    return float(np.abs(expected - sums).max())


# --- values that follow from a matrix -------------------------------------------------------------------------------

Range = tuple[float, float]


def accuracy_range(bounds: Bounds) -> Range:
    """Range of the accuracy as a fraction: the diagonal out of everything."""
    return _ratio_range(
        np.trace(bounds.low), np.trace(bounds.high), *_rest(bounds, np.eye(len(bounds.low), dtype=bool))
    )


def recall_range(bounds: Bounds, index: int) -> Range:
    mask = np.zeros_like(bounds.low, dtype=bool)
    mask[index, :] = True
    return _hit_range(bounds, index, mask)


def precision_range(bounds: Bounds, index: int) -> Range:
    mask = np.zeros_like(bounds.low, dtype=bool)
    mask[:, index] = True
    return _hit_range(bounds, index, mask)


def f1_range(bounds: Bounds, index: int) -> Range:
    """2 hits / (samples of the class + predicted as it): hits / (hits + half of the others in its row and column)."""
    others = np.zeros_like(bounds.low, dtype=bool)
    others[index, :] = others[:, index] = True
    others[index, index] = False
    low, high = bounds.low[others].sum() / 2, bounds.high[others].sum() / 2
    return _ratio_range(bounds.low[index, index], bounds.high[index, index], float(low), float(high))


def _hit_range(bounds: Bounds, index: int, mask: np.ndarray) -> Range:
    others = mask.copy()
    others[index, index] = False
    rest = float(bounds.low[others].sum()), float(bounds.high[others].sum())
    return _ratio_range(bounds.low[index, index], bounds.high[index, index], *rest)


def _rest(bounds: Bounds, mask: np.ndarray) -> Range:
    return float(bounds.low[~mask].sum()), float(bounds.high[~mask].sum())


def _ratio_range(hits_low: float, hits_high: float, rest_low: float, rest_high: float) -> Range:
    """Range of hits / (hits + rest); 0 where there may be nothing at all (`zero_division=0`)."""
    low = hits_low / (hits_low + rest_high) if hits_low + rest_high > 0 else 0.0
    high = hits_high / (hits_high + rest_low) if hits_high + rest_low > 0 else 0.0
    return float(low), float(high)


def mean_range(ranges: Sequence[Range], weights: Sequence[float] | None = None) -> Range:
    """Range of the plain or weighted mean."""
    lows, highs = zip(*ranges, strict=True)
    return float(np.average(lows, weights=weights)), float(np.average(highs, weights=weights))
