"""Trained networks as functions of faces: the one that comes with the suite, or one that was trained here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.api.shown import Shown
from repro.runs.records import RECORD_NAME
from repro.text.document import Block, Paragraph
from repro.use.classifier import Classifier
from repro.use.export.errors import need_onnx
from repro.use.fitting import temperature_of
from repro.use.packaged import DEFAULT_NETWORK, is_packaged
from repro.use.temperature import temperature_text, unsure_below
from repro.use.trained import TrainedNetwork, find_trained, load_trained


@dataclass(frozen=True, repr=False)
class LoadedModel(Shown):
    """A trained network: which one, how accurate, how calibrated. size: in pixels, of the faces that it takes."""

    trained: TrainedNetwork
    classifier: Classifier

    @property
    def emotions(self) -> tuple[str, ...]:
        """What the seven probabilities are of, in their order."""
        return EMOTIONS

    @property
    def size(self) -> int:
        return self.trained.size

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (N, 7), of gray faces, uint8 (N, size, size), cut as in FER-2013.

        Raises UserError for another shape or type.
        """
        faces = np.asarray(faces)
        if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (self.size, self.size):
            shape = "x".join(map(str, faces.shape))
            raise UserError(f"faces must be uint8 (N, {self.size}, {self.size}), not {faces.dtype} of shape {shape}")
        return self.classifier(faces)

    def export(self, path: str | Path) -> Path:
        """Write it as one ONNX file, as `repro export` does. Raises UserError if that is not possible."""
        need_onnx()
        from repro.use.export.onnx_file import write_onnx  # here, because it needs onnx

        write_onnx(Path(path), self.trained, self.classifier.temperature)
        return Path(path)

    def blocks(self) -> Sequence[Block]:
        temperature = self.classifier.temperature
        certainty = temperature_text(temperature, unsure_below(temperature, None))
        return tuple(Paragraph((text,)) for text in (f"{self.trained.whence}: {self.trained.describe()}", certainty))


def load_model(name: str | Path = DEFAULT_NETWORK, *, results: str | Path = "results") -> LoadedModel:
    """A trained network, for use on faces.

    name: that of the network that comes with the suite, or a paper's id, whose best run in the folder `results` is
    taken; if that network was trained here too, that run. Or the path of a run's folder, or of a packaged file. Raises
    UserError if there is no such network.
    """
    path = Path(name)
    named = isinstance(name, Path) or is_packaged(path) or (path / RECORD_NAME).exists() or path.name == RECORD_NAME
    found = find_trained(Path(results), **({"run": str(name)} if named else {"paper": str(name)}))
    trained = load_trained(found)
    return LoadedModel(trained, Classifier(trained, temperature_of(trained)))
