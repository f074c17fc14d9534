"""The settings that all runs of a command share: data, devices, results folder, and the user's options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax

from fer_jax.machine.devices import device_kind
from repro.runs.dataset import Dataset


@dataclass(frozen=True)
class RunContext:
    """devices: of one kind; they share each batch. results: the folder that holds `runs`. fresh: ignore existing
    results and train from scratch. checkpoint_every_s (as in `fer_jax.train.loop.fit`) and seeds_at_once: None for the
    device's default."""

    dataset: Dataset
    devices: list[jax.Device]
    results: Path
    fresh: bool = False
    checkpoint_every_s: float | None = None
    seeds_at_once: int | None = None

    @property
    def device_kind(self) -> str:
        """cpu or gpu."""
        return device_kind(self.devices[0])
