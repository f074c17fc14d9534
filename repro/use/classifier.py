"""Faces in, probabilities out: by JAX from the parameters, or by ONNX Runtime from a file that was kept for it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.temperature import Temperature, Uncalibrated
from repro.use.trained import RunNetwork, TrainedNetwork

_NOT_ASKED = Uncalibrated("none was asked for")


class FaceClassifier(Protocol):
    """A network in use. temperature: with which its probabilities are stated."""

    @property
    def trained(self) -> RunNetwork: ...

    @property
    def temperature(self) -> Temperature: ...

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (N, 7) in the order of `fer_jax.vocabulary.fer2013.EMOTIONS`, of uint8 faces (N, size,
        size)."""
        ...


class Classifier:
    """A trained network by JAX, on the first CPU, where single faces are fastest."""

    def __init__(self, trained: TrainedNetwork, temperature: Temperature = _NOT_ASKED) -> None:
        from fer_jax.machine.compilation import keep_compiled_programs
        from fer_jax.machine.devices import choose_devices
        from fer_jax.train.predictor import Predictor

        keep_compiled_programs()
        self.trained, self.temperature = trained, temperature
        (device, *_) = choose_devices("cpu")
        self._predictor = Predictor(trained.network, trained.variables, device, temperature.value)

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        if not len(faces_NHW):
            return np.empty((0, len(EMOTIONS)), np.float32)
        return self._predictor(self.trained.prepared(faces_NHW))


class QuickClassifier:
    """The same network by ONNX Runtime, which starts in a tenth of the time. session: an onnxruntime.InferenceSession
    of a file that `repro export` writes."""

    def __init__(self, run: RunNetwork, temperature: Temperature, session: Any) -> None:
        self.trained, self.temperature, self._session = run, temperature, session

    def __call__(self, faces_NHW: np.ndarray) -> np.ndarray:
        if not len(faces_NHW):
            return np.empty((0, len(EMOTIONS)), np.float32)
        (probabilities,) = self._session.run(None, {self._session.get_inputs()[0].name: faces_NHW})
        return probabilities
