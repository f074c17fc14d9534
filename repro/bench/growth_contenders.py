"""This suite's contender for the axes of growth: with many samples, on several devices, with several seeds."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from fer_jax.machine.devices import peak_memory_bytes
from fer_jax.train.engine import Engine
from fer_jax.train.states import TrainState
from repro.bench import contenders
from repro.bench.contender import Contender
from repro.bench.contenders.own import Own, devices_of
from repro.bench.workload import Workload

NOISE = 8  # gray levels by which a repeated face differs from its original, at most


def with_samples(workload: Workload, samples: int) -> Workload:
    """The first `samples` faces. If there are too few, they are repeated with different noise."""
    images, labels = workload.images, workload.labels
    if samples <= len(images):
        return dataclasses.replace(workload, images=images[:samples], labels=labels[:samples])
    noise = np.random.default_rng(0).integers(-NOISE, NOISE + 1, images.shape, np.int16)
    out = np.empty((samples, *images.shape[1:]), np.uint8)
    out[: len(images)] = images
    for copy, first in enumerate(range(len(images), samples, len(images)), 1):
        part = out[first : first + len(images)]
        moved = np.roll(noise, copy, axis=0)[: len(part)]  # different noise on each face at no cost
        np.clip(images[: len(part)] + moved, 0, 255, out=moved)
        part[:] = moved
    return dataclasses.replace(workload, images=out, labels=np.resize(labels, samples))


def start_with_samples(workload: Workload, device: str, samples: int) -> Contender:
    """Make the samples in the contender's own process, so that they need not be sent there."""
    return contenders.start("own", "default", with_samples(workload, samples), device)


def start_on_all_devices(workload: Workload, device: str) -> Own:
    """Every batch is split over all devices of the process."""
    return Own("default", workload, device, devices=None)


class SeedsTogether:
    """Several seeds in one program, each with its own samples, weights and order."""

    def __init__(self, workload: Workload, device: str, seeds: int) -> None:
        self.seeds = seeds
        self.engine = Engine(
            workload.network,
            devices_of(device)[:1],
            seeds=seeds if seeds > 1 else None,
            precision=workload.precision,
        )
        images, labels = workload.images, workload.labels
        if seeds > 1:
            images, labels = (np.broadcast_to(array, (seeds, *array.shape)) for array in (images, labels))
        self.data = self.engine.put_samples(images, labels)
        rate = workload.network.training.optimizer.learning_rate
        self.learning_rate = rate if seeds == 1 else np.full(seeds, rate, np.float32)
        self.versions = {"jax": jax.__version__}
        self._state: TrainState | None = None

    def reset(self, seed: int) -> None:
        self._state = self.engine.join([self.engine.init_state(seed + i) for i in range(self.seeds)])

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        """A batch holds those of all seeds in sequence: int (S, seeds * B). The losses are means over seeds."""
        assert self._state is not None, "reset comes first"
        rows = rows_SB.astype(np.int32)
        if self.seeds > 1:
            rows = np.ascontiguousarray(rows.reshape(len(rows), self.seeds, -1).transpose(1, 0, 2))
        self._state, figures = self.engine.run_epoch(self._state, self.data, rows, self.learning_rate)
        loss = np.asarray(figures.loss)
        jax.block_until_ready(self._state)
        return loss if self.seeds == 1 else loss.mean(0)

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        raise NotImplementedError("only training is compared between numbers of seeds")

    def device_memory_bytes(self) -> int | None:
        return None if self.engine.devices[0].platform == "cpu" else peak_memory_bytes(self.engine.devices)
