"""How an array of this suite lies in a tensor of PyTorch."""

from __future__ import annotations

import math

import numpy as np


class TensorLayout:
    """Axes permuted, then its last axis reordered, then multiplied.

    merged: of the permuted array, the leading axes that are one in the tensor, whose next axis is then 1.
    """

    def __init__(
        self,
        axes: tuple[int, ...] | None = None,
        order: np.ndarray | None = None,
        factor: float = 1.0,
        merged: int = 0,
    ) -> None:
        self.axes, self.order, self.factor, self.merged = axes, order, factor, merged
        self.unmerged: tuple[int, ...] = ()

    def to_torch(self, values: np.ndarray) -> np.ndarray:
        if self.axes is not None:
            values = values.transpose(self.axes)
        if self.merged:
            self.unmerged = values.shape
            values = values.reshape(math.prod(values.shape[: self.merged]), 1, *values.shape[self.merged :])
        if self.order is not None:
            values = values[..., self.order]
        return np.array(values * np.float32(self.factor), order="C")

    def from_torch(self, values: np.ndarray) -> np.ndarray:
        """Raises ValueError for merged axes whose sizes no array has shown yet."""
        values = values / np.float32(self.factor)
        if self.order is not None:
            values = values[..., np.argsort(self.order)]
        if self.merged:
            if not self.unmerged:
                raise ValueError("nothing was loaded into this tensor")
            values = values.reshape(self.unmerged)
        return values if self.axes is None else values.transpose(np.argsort(self.axes))
