"""What all runs of a command share: data, devices, where results go, and what the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax

from fer_jax.machine.devices import device_kind
from repro.runs.dataset import Dataset


@dataclass(frozen=True)
class RunContext:
    """devices: of one kind; they share each batch. results: the folder that holds `runs`. fresh: train again what is
    done, from the start. checkpoint_every_s (as of `fer_jax.train.loop.fit`) and seeds_at_once: None for the default of
    the device."""

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
