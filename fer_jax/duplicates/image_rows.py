"""Some images of a large array, without a copy of them."""

from __future__ import annotations

import numpy as np

from fer_jax.duplicates.descriptors import resized


class ImageRows:
    """images[rows], resized to what is compared, read a part at a time: the whole may be larger than the memory.

    images: uint8 (N, H, W), an array or a `numpy.memmap`. rows: their numbers, (R,). Indexed by a slice or by numbers
    from 0 to R - 1; gives uint8 (P, SIZE, SIZE).
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: slice | np.ndarray) -> np.ndarray:
        return resized(self.images[self.rows[place]])
