"""The interface that every compared framework implements: the same operations on the same samples."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Contender(Protocol):
    """One framework in one of its modes, with a network, its data and its weights on the device.

    versions: of the framework and the software below it, by name.
    """

    versions: dict[str, str]

    def reset(self, seed: int) -> None:
        """Fresh weights and optimizer. The weights are `Workload.variables[seed]`: the same numbers in every
        framework."""
        ...

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        """Make S updates on batches of rows, int (S, B), of the data already on the device. Returns the losses (S,) on
        the host, so the device has finished. Compiles on the first call with a shape."""
        ...

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (S * B, classes), of rows int (S, B) in evaluation mode, on the host."""
        ...

    def device_memory_bytes(self) -> int | None:
        """The most memory held at once on an accelerator; None on a CPU, where the process's own peak counts."""
        ...
