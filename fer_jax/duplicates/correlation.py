"""All pairs of descriptors that point the same way, from products in blocks.

Letters: N images, D numbers of a descriptor, P pairs.
"""

from __future__ import annotations

from collections import deque
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.machine.processor import on_each_core

BLOCK = 2048  # a block of scores is BLOCK x BLOCK x 4 bytes = 16 MB: near the size of a processor's cache
GROUPED = 4096  # pairs whose windows are compared at once
GROUP = 32  # one bit per row and group of this many columns leaves the device: 128 KB a block

_HIGHEST = jax.lax.Precision.HIGHEST  # on a GPU the default would round factors to 10 bits


def alike(rows_ND: np.ndarray, columns_ND: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (a, b), a < b, int32 (P,), for which rows_ND[a] and columns_ND[b] have a product of at least `cut`.

    N^2 D operations, in blocks on and above the diagonal; memory for two blocks. The scores stay on the device.
    """
    n = len(rows_ND)
    block = min(BLOCK, max(1, -(-n // GROUP)) * GROUP)
    padding = ((0, -n % block), (0, 0))
    rows, columns = (
        [jnp.asarray(part) for part in np.split(np.pad(x, padding), max(1, -(-n // block)))]
        for x in (rows_ND, columns_ND)
    )
    found = [np.zeros((2, 0), np.int32)]
    # One block ahead: the device computes while the host looks at the previous block's result.
    pending: deque[tuple[int, int, jax.Array]] = deque()
    for r, c in zip(*np.triu_indices(len(rows)), strict=True):
        pending.append((int(r) * block, int(c) * block, _hits(rows[r], columns[c], cut)))
        if len(pending) > 1:
            found.append(_pairs(rows_ND, columns_ND, *pending.popleft(), cut))
    found += [_pairs(rows_ND, columns_ND, *left, cut) for left in pending]
    a, b = np.concatenate(found, axis=1)
    return a, b


def above(rows_ND: np.ndarray, columns_MD: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (a, b), int32 (P,), for which rows_ND[a] and columns_MD[b] have a product of at least `cut`. For few
    columns, that need not be those of the rows: N M D operations on the host, in blocks."""

    def of_block(place: tuple[int, int]) -> np.ndarray:
        r, c = place
        products = rows_ND[r : r + BLOCK] @ columns_MD[c : c + BLOCK].T
        return np.stack(np.nonzero(products >= cut)) + np.array([[r], [c]])

    blocks = product(range(0, len(rows_ND), BLOCK), range(0, len(columns_MD), BLOCK))
    a, b = np.concatenate([np.zeros((2, 0), int), *on_each_core(of_block, blocks)], axis=1).astype(np.int32)
    return a, b


def best_of_windows(one_WND: np.ndarray, other_WND: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The largest product of any window of one_WND[:, a] with any of other_WND[:, b], float32 (P,)."""

    def best(at: int) -> np.ndarray:
        part = slice(at, at + GROUPED)
        one, other = one_WND[:, a[part]].astype(np.float32), other_WND[:, b[part]].astype(np.float32)
        return np.matmul(one.transpose(1, 0, 2), other.transpose(1, 2, 0)).max((1, 2))

    return np.concatenate([np.zeros(0, np.float32), *on_each_core(best, range(0, len(a), GROUPED))])


@jax.jit
def _hits(rows_ND: jax.Array, columns_ND: jax.Array, cut: float) -> jax.Array:
    """For each row of a block and each group of columns (every N/GROUP-th), whether a score reaches the cut."""
    scores = jnp.matmul(rows_ND, columns_ND.T, precision=_HIGHEST)
    return scores.reshape(len(rows_ND), GROUP, -1).max(1) >= cut


def _pairs(rows_ND: np.ndarray, columns_ND: np.ndarray, r: int, c: int, hits: jax.Array, cut: float) -> np.ndarray:
    """The pairs of the block that starts at row r and column c, int32 (2, P), from the groups that were hit."""
    row, group = np.nonzero(np.asarray(hits))
    a = np.repeat(row + r, GROUP)
    b = (group[:, None] + c + len(hits) // GROUP * np.arange(GROUP)).ravel()
    above = (a < b) & (b < len(columns_ND))
    a, b = a[above], b[above]
    # In parts: if everything is alike, the descriptors of all pairs of a block would take 1.6 GB.
    parts = [slice(at, at + 2**16) for at in range(0, len(a), 2**16)]
    scores = [np.einsum("nd,nd->n", rows_ND[a[part]], columns_ND[b[part]]) for part in parts]
    kept = np.concatenate([np.zeros(0), *scores]) >= cut
    return np.stack([a[kept], b[kept]]).astype(np.int32)
