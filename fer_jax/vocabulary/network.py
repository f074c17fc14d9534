"""What is trained, apart from the rows: plain data without JAX, so that it can be sent to any process."""

from __future__ import annotations

from dataclasses import dataclass

from fer_jax.vocabulary.layers import Layer
from fer_jax.vocabulary.settings import Training


@dataclass(frozen=True)
class Network:
    """What to train, without data: layers, how pixels are normalised ((x - subtract) / divide), which splits are
    mirrored at random, and the training settings."""

    layers: tuple[Layer, ...]
    training: Training
    image_size: int
    subtract: float = 0.0
    divide: float = 1.0
    random_flip: dict[str, float] | None = None
