"""The settings that all runs of a command share: data, devices, results folder, and the user's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jax

from fer_jax.machine.devices import device_kind
from fer_jax.machine.hosts import own
from repro.runs.dataset import Dataset
from repro.runs.observer import RunObserver


@dataclass(frozen=True)
class RunContext:
    """devices: of one kind, perhaps of several hosts; they share each batch. results: the folder that holds `runs`.
    fresh: ignore existing results and train from scratch. checkpoint_every_s (as in `fer_jax.train.loop.fit`) and
    seeds_at_once: None for the device's default. with_network: also train a run whose record is here and whose network
    is not. say: called with one line for the user, for example that a run of earlier settings is kept aside. ready:
    called with the folder of every complete run that was trained on real faces, to prepare its network for use.
    observers: see every epoch of every run that is trained (`repro.runs.observer`)."""

    dataset: Dataset
    devices: list[jax.Device]
    results: Path
    fresh: bool = False
    checkpoint_every_s: float | None = None
    seeds_at_once: int | None = None
    with_network: bool = False
    say: Callable[[str], None] = field(default=lambda text: None, compare=False)
    ready: Callable[[Path], None] | None = field(default=None, compare=False)
    observers: tuple[RunObserver, ...] = ()

    @property
    def own_devices(self) -> list[jax.Device]:
        """Those of this host."""
        return own(self.devices)

    @property
    def device_kind(self) -> str:
        """cpu or gpu."""
        return device_kind(self.devices[0])
