"""This suite's own training, as `repro run` does it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from fer_jax.machine.devices import choose_devices, peak_memory_bytes
from fer_jax.train.engine import Engine
from fer_jax.train.states import TrainState
from repro.bench.contenders import complete_batches
from repro.bench.workload import Workload

DISTURBANCE = 1e-6  # eight units in the last place of float32


def devices_of(device: str) -> list[jax.Device]:
    """All devices of a kind, `cpu` or `gpu`."""
    return choose_devices("gpu" if device == "gpu" else "cpu")


class Own:
    """`fer_jax.train.engine.Engine` on one device, or on the first `devices` (None: all)."""

    def __init__(self, mode: str, workload: Workload, device: str, devices: int | None = 1) -> None:
        del mode  # there is one
        self.workload = workload
        self.engine = Engine(workload.network, devices_of(device)[:devices], precision=workload.precision)
        self.data = self.engine.put_samples(workload.images, workload.labels)
        self.learning_rate = workload.network.training.optimizer.learning_rate
        self.versions = {name: version(name) for name in ("jax", "jaxlib", "flax", "optax")}
        self._state: TrainState | None = None

    def reset(self, seed: int) -> None:
        self._state = self.engine.init_state(seed)

    def disturb(self) -> None:
        """Errors as rounding leaves them: every weight becomes larger or smaller by a millionth of it, drawn."""
        drawn = np.random.default_rng(0)

        def disturbed(weights: jax.Array) -> jax.Array:
            signs = np.where(drawn.random(weights.shape) < 0.5, np.float32(-1), np.float32(1))
            return weights * (1 + np.float32(DISTURBANCE) * signs)

        self._state = self.state._replace(params=jax.tree.map(disturbed, self.state.params))

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = complete_batches(rows_SB, len(self.workload.labels)).astype(np.int32)
        self._state, figures = self.engine.run_epoch(self.state, self.data, rows, self.learning_rate)
        loss = np.asarray(figures.loss)
        # The loss of the last step is ready before its update is.
        jax.block_until_ready(self._state)
        return loss

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = complete_batches(rows_SB, len(self.workload.labels)).astype(np.int32)
        # No split is named, so no row is mirrored at random.
        return self.engine.predict(self.state, self.data, rows, split="", epoch=0)[0]

    def device_memory_bytes(self) -> int | None:
        devices = self.engine.devices
        return None if devices[0].platform == "cpu" else peak_memory_bytes(devices)

    @property
    def state(self) -> TrainState:
        assert self._state is not None, "reset comes first"
        return self._state

    def variables(self) -> dict[str, Any]:
        """The current weights, in the form of `Workload.variables`."""
        state = self.state
        return jax.tree.map(np.asarray, {"params": dict(state.params), "batch_stats": dict(state.batch_stats)})
