"""What goes into a step on the device and comes out of it, and the streams of random numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax import Array

# One stream of random numbers per purpose, folded into the run's key before the number of the step. So any step can be
# drawn without replaying the steps before it.
INIT_STREAM, DROPOUT_STREAM, FLIP_STREAM, EVALUATION_FLIP_STREAM = range(4)
AUGMENT_STREAM, EVALUATION_AUGMENT_STREAM, MIXING_STREAM = range(4, 7)


class TrainState(NamedTuple):
    """Everything that a step reads and writes. step: batches trained on so far. key: the run's key, never changed.
    opt_state: of the optimizer, with the running mean of the parameters if there is one (`averaging`)."""

    params: Any
    batch_stats: Any
    opt_state: Any
    step: Array
    key: Array


class EpochFigures(NamedTuple):
    """Per batch, shape (steps,): mean loss of the batch before its update, correct predictions, examples."""

    loss: Array
    correct: Array
    examples: Array


class DeviceRows(NamedTuple):
    """A split on the device: images uint8 (N, H, W), labels int32 (N,). targets: the share of each class in a sample,
    float32 (N, K), which it is trained on in place of its label; None for the labels."""

    images: Array
    labels: Array
    targets: Array | None = None


def stream_key(key: Array, stream: int, *, number: Array) -> Array:
    """The key of one purpose at one step, or at one epoch."""
    return jax.random.fold_in(jax.random.fold_in(key, stream), number)
