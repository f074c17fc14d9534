"""Everything to train except the samples: plain data without JAX, so that it can be sent to any process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_jax.vocabulary.augmentations import NO_PIPELINE, InputPipeline, PixelValue
from fer_jax.vocabulary.layers import Layer
from fer_jax.vocabulary.settings import Training


@dataclass(frozen=True)
class Network:
    """What to train, without data: layers, pixel normalisation ((x - subtract) / divide), splits with random mirroring,
    what else is done to samples on the device, and the training settings."""

    layers: tuple[Layer, ...]
    training: Training
    image_size: int
    subtract: PixelValue = 0.0
    divide: PixelValue = 1.0
    random_flip: dict[str, float] | None = None
    pipeline: InputPipeline = NO_PIPELINE

    @property
    def stored_size(self) -> int:
        """Pixels along a side of the samples, of which the network may get a part."""
        return self.pipeline.stored_size or self.image_size

    @property
    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """(offset, factor) of the normalisation, which is (x - offset) * factor; float32 without axes, or
        (image_size, image_size)."""
        return np.asarray(self.subtract, np.float32), np.asarray(1.0 / np.asarray(self.divide), np.float32)
