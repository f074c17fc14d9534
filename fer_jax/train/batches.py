"""The training order: which samples are in which batch, as index matrices by which the device gathers."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import every_layer, inner_lists, parameter_count, shapes_by_name
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Training

NO_ROW = -1  # fills an incomplete batch; such an entry has weight 0 in loss, gradients and batch statistics


class TooFewSamples(UserError, ValueError):
    """There are fewer training samples than the batches need."""


ORDER_STREAM = 0x0EDE  # separates the order of samples from everything else that is drawn from a run's seed


@dataclass(frozen=True)
class Stretch:
    """Updates `first` to `first + steps - 1` (counted from 0), followed by an evaluation. `epoch` counts from 1."""

    epoch: int
    first: int
    steps: int


def steps_per_epoch(training: Training, rows: int) -> int:
    """Updates in one pass over `rows` training samples."""
    if training.last_batch == "drop":
        return rows // training.batch_size
    return -(-rows // training.batch_size)


def stretches(training: Training, rows: int) -> list[Stretch]:
    """The run cut at its evaluations: at the end of every epoch, or for `steps` after update 1 and then after every
    `evaluate_every_steps`, like a loop over ``range(steps)`` that evaluates if ``step % every == 0``.

    Raises TooFewSamples if there are too few samples for one batch.
    """
    each = steps_per_epoch(training, rows)
    if each == 0:
        raise TooFewSamples(
            f"{counted(rows, 'training sample')} are fewer than one batch of {training.batch_size}, which is dropped"
        )
    if training.epochs is not None:
        return [Stretch(e + 1, e * each, each) for e in range(training.epochs)]
    assert training.steps is not None and training.evaluate_every_steps is not None
    if training.order == "offset_modulo" and rows <= training.batch_size:
        raise TooFewSamples(f"{counted(rows, 'training sample')} are not more than one batch of {training.batch_size}")
    cuts = [0, *range(1, training.steps + 1, training.evaluate_every_steps)]
    if cuts[-1] != training.steps:
        cuts.append(training.steps)
    return [Stretch(i + 1, a, b - a) for i, (a, b) in enumerate(itertools.pairwise(cuts))]


def training_batches(training: Training, rows: int, stretch: Stretch, seed: int, multiple: int = 1) -> np.ndarray:
    """int32 (stretch.steps, batch): the training rows of each update; NO_ROW fills an incomplete batch.

    multiple: the batch axis is filled up to a multiple of this (the number of devices that share it).
    The order of epoch e depends only on (seed, e), so that a run can resume at any epoch without replaying the others.
    """
    size = training.batch_size
    out = np.full((stretch.steps, -(-size // multiple) * multiple), NO_ROW, np.int32)
    if training.order == "offset_modulo":
        first = (np.arange(stretch.first, stretch.first + stretch.steps) * size) % (rows - size)
        out[:, :size] = first[:, None] + np.arange(size)
        return out
    each = steps_per_epoch(training, rows)
    done = 0
    while done < stretch.steps:
        epoch, k = divmod(stretch.first + done, each)
        order = _new_order(rows, seed, epoch) if training.order == "reshuffle" else np.arange(rows, dtype=np.int32)
        padded = np.full(each * size, NO_ROW, np.int32)
        padded[: min(rows, each * size)] = order[: each * size]
        take = min(each - k, stretch.steps - done)
        out[done : done + take, :size] = padded.reshape(each, size)[k : k + take]
        done += take
    return out


def _new_order(rows: int, seed: int, epoch: int) -> np.ndarray:
    """A random permutation. NumPy keeps PCG64's raw words the same across versions, but not Generator.permutation."""
    words = np.random.PCG64(np.random.SeedSequence([ORDER_STREAM, seed, epoch])).random_raw(rows)
    return np.argsort(words, kind="stable").astype(np.int32)


# Images that are evaluated at a time. A GPU takes many. A CPU is fastest where the maps between two layers stay in its
# caches, so with few, unless it costs more to read the weights again for each batch. On two cores with 2 MB of
# second-level cache each, the fastest of 16, 32, 64 and 128 was 16 for arriaga2017 (1.7 times 128), 64 for a ResNet-18
# of a quarter of the width and for teta2022 (5 % above 128), and 128 for five others.
_FEWEST_ON_CPU, _MOST_ON_CPU, _ON_ACCELERATOR = 16, 128, 2048
_VALUES_PER_WEIGHT = 20  # that the layers with products compute for a batch: chosen by the above


def evaluation_batch(network: Network, device_kind: str) -> int:
    """How many images are evaluated at a time, over all seeds. device_kind: `jax.Device.platform`."""
    if device_kind != "cpu":
        return _ON_ACCELERATOR
    image = (network.image_size, network.image_size, 1)
    shapes = shapes_by_name(network.layers, image)
    computed = sum(
        math.prod(shapes[name][1])
        for _, name, layer, _ in every_layer(network.layers)
        if not any(inner_lists(layer)) and layer.multiply_adds(shapes[name][0])
    )
    wanted = _VALUES_PER_WEIGHT * parameter_count(network.layers, image)[0] / max(computed, 1)
    size = _FEWEST_ON_CPU
    while size < min(wanted, _MOST_ON_CPU):
        size *= 2
    return size


def evaluation_batches(rows: int, batch_size: int, multiple: int = 1) -> np.ndarray:
    """int32 (steps, batch): every row once, in order, then NO_ROW to fill the last batch."""
    size = -(-min(batch_size, max(rows, 1)) // multiple) * multiple
    steps = -(-rows // size)
    out = np.full(steps * size, NO_ROW, np.int32)
    out[:rows] = np.arange(rows)
    return out.reshape(steps, size)
