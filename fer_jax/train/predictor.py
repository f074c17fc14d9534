"""A trained network as a function: faces in, class probabilities out."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from fer_jax.machine.devices import device_kind
from fer_jax.train.batches import evaluation_batch, evaluation_batches
from fer_jax.train.engine import Engine
from fer_jax.train.states import TrainState
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.network import Network

# Batches sent to the device in one call if there are many faces: the call then costs nothing compared with computing.
_BATCHES_PER_CALL = 32


class Predictor:
    """Compiled for one face, one batch and many batches. The first call of each compiles (or loads a kept program).

    Args:
        variables: ``{"params": ..., "batch_stats": ...}`` in the canonical form (`fer_jax.network.model`).
        device: one device of any kind.
        temperature: as in `fer_jax.train.losses.probabilities`.
    """

    def __init__(
        self,
        network: Network,
        variables: dict[str, Any],
        device: jax.Device,
        temperature: float,
    ) -> None:
        self.network = network
        self._engine = Engine(network, [device], temperature=temperature)
        self._batch = evaluation_batch(network, device_kind(device))
        params, stats = jax.device_put((variables["params"], variables["batch_stats"]), device)
        step, unused_key = jax.device_put((np.int32(0), np.zeros(2, np.uint32)), device)
        self._state = TrainState(params, stats, (), step, unused_key)

    def __call__(self, images_NHW: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (N, 7) in the order of EMOTIONS, of uint8 faces of the network's stored_size.

        Raises ValueError for another size or type.
        """
        size = self.network.stored_size
        if images_NHW.dtype != np.uint8 or images_NHW.shape[1:] != (size, size):
            raise ValueError(
                f"faces must be uint8 (N, {size}, {size}), not {images_NHW.dtype} {tuple(images_NHW.shape)}"
            )
        out = [np.empty((0, len(EMOTIONS)), np.float32)]
        at = 0
        while at < len(images_NHW):
            samples = self._size_of_next_call(len(images_NHW) - at)
            out.append(self._call(images_NHW[at : at + samples], samples))
            at += samples
        return np.concatenate(out)

    def _size_of_next_call(self, left: int) -> int:
        many = self._batch * _BATCHES_PER_CALL
        return 1 if left == 1 else self._batch if left < many else many

    def _call(self, images_NHW: np.ndarray, samples: int) -> np.ndarray:
        """Run one of the compiled sizes, filled up with black faces whose answers are dropped."""
        faces = np.zeros((samples, *images_NHW.shape[1:]), np.uint8)
        faces[: len(images_NHW)] = images_NHW
        data = self._engine.put_samples(faces, np.zeros(samples, np.uint8))
        batches = evaluation_batches(samples, min(samples, self._batch), multiple=1)
        probability, _ = self._engine.predict(self._state, data, batches, split="", epoch=0)
        return probability[: len(images_NHW)]
