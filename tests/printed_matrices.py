"""Confusion matrices as papers print them: counts and rounded shares."""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.forensics import matrix_arithmetic as arithmetic
from repro.specs.spec import ClaimTable

SPLITS = arithmetic.official_splits(range(7))


def table(cells: Any, *, classes: tuple[str, ...] = EMOTIONS, **fields: Any) -> ClaimTable:
    defaults: dict[str, Any] = {"unit": "rows", "resolution": 1}
    rows = tuple(tuple(float(v) for v in row) for row in cells)
    return ClaimTable(id="t", split="test", classes=classes, cells=rows, quote="q", place="p", **defaults | fields)


def shares(matrix: np.ndarray, of: str, decimals: int, *, cut: bool = False, **fields: Any) -> ClaimTable:
    """The matrix as a paper prints it: per cent, rounded or cut to some digits."""
    sums = {"all": matrix.sum(), "row": matrix.sum(1, keepdims=True), "column": matrix.sum(0, keepdims=True)}[of]
    exact = 100 * np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums > 0)
    printed = np.floor(exact * 10**decimals + 1e-9) / 10**decimals if cut else np.round(exact, decimals)
    return table(printed, unit="percent", of=of, resolution=10.0**-decimals, **fields)


def drawn(counts: tuple[int, ...], seed: int = 0, right: float = 0.6) -> np.ndarray:
    random = np.random.default_rng(seed)
    out = np.zeros((len(counts), len(counts)), int)
    for i, count in enumerate(counts):
        chances = np.full(len(counts), (1 - right) / (len(counts) - 1))
        chances[i] = right
        out[i] = random.multinomial(count, chances)
    return out
