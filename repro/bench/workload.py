"""The input of every contender: a paper's network, faces, and starting weights, as plain data. No JAX at the top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import UNLABELLED
from fer_jax.vocabulary.later_fields import counted_fields
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Adam, Precision, RmsProp, Sgd, Training
from repro.specs.decode import DEFAULT_VARIANT, LoadedSpec

# Enough that a batch is no longer in the caches from its last use, few enough to send to every process at once.
SAMPLES = 8192


@dataclass(frozen=True)
class Workload:
    """Plain data without a framework, so it can be sent to any process.

    name: the paper's id. images: uint8 (N, H, W). labels: int32 (N,). precision: of multiplications, float32 or on a
    GPU also tensorfloat32 and bfloat16. variables: by seed, the weights that training starts from,
    ``{"params": {layer: {"kernel": (H, W, I, O) or (in, out), "bias": (out,)}}, "batch_stats": {...}}``.
    """

    name: str
    network: Network
    images: np.ndarray
    labels: np.ndarray
    precision: Precision = "float32"
    variables: Mapping[int, dict[str, Any]] = field(default_factory=dict)


def make_workload(
    loaded: LoadedSpec,
    faces: Faces,
    *,
    seeds: Iterable[int] = (0,),
    precision: Precision = "float32",
    samples: int = SAMPLES,
) -> Workload:
    """The default variant of a paper on `samples` evenly spaced training samples, with the paper's preprocessing.

    What the other frameworks would do in their own ways is left out for all: random steps besides flips, mixtures,
    views and the standardisation of each image. Of a network with a random crop all get the middle of the images, and
    L2 is of all kernels.
    Raises StepError if the paper's data steps cannot be applied to the faces, DataError if there are too few faces, or
    if only this suite has the paper's loss or optimizer.
    """
    spec = loaded.resolve(DEFAULT_VARIANT)
    labelled = faces.labels != UNLABELLED
    prepared = apply_steps(faces if labelled.all() else faces.take(labelled), spec.data.steps, seed=0)
    train = prepared.splits["train"]
    if len(train) < spec.training.batch_size:
        raise DataError(
            f"{loaded.id}: the data leave {counted(len(train), 'training sample')}, fewer than one batch of "
            f"{spec.training.batch_size}; give more with --data"
        )
    loss = msgspec.structs.replace(spec.training.loss, l2_layers=())
    training = msgspec.structs.replace(spec.training, loss=loss)
    if only_here := _only_here(training):
        raise DataError(f"{loaded.id}: the other frameworks of the benchmark do not have {', '.join(only_here)}")
    kept = np.linspace(0, len(train) - 1, min(samples, len(train))).astype(np.int64)
    network = Network(
        layers=spec.model.layers,
        training=training,
        image_size=prepared.image_size,
        subtract=prepared.subtract,
        divide=prepared.divide,
        random_flip=prepared.random_flip or None,
    )
    start = round((train.images.shape[1] - prepared.image_size) / 2)
    inside = slice(start, start + prepared.image_size)
    return Workload(
        name=loaded.id,
        network=network,
        images=np.ascontiguousarray(train.images[kept, inside, inside]),
        labels=train.labels[kept].astype(np.int32),
        precision=precision,
        variables={seed: initial_variables(network, seed) for seed in seeds},
    )


def _only_here(training: Training) -> list[str]:
    """The settings that `repro.bench.contenders` does not have."""
    found = [name for name in counted_fields(training) if name in ("accumulate", "average_weights")]
    for name in ("loss", "optimizer"):
        table = getattr(training, name)
        found += [f"{name}.{key}" for key in counted_fields(table) if key in table.later_fields]
    if training.loss.kind not in ("cross_entropy", "mean_squared_error"):
        found.append(f"loss {training.loss.kind}")
    if not isinstance(training.optimizer, Sgd | Adam | RmsProp):
        found.append(f"optimizer {training.optimizer.__struct_config__.tag}")
    return found


def initial_variables(network: Network, seed: int) -> dict[str, Any]:
    """The weights that a run of this suite with `seed` starts from, as NumPy arrays."""
    import jax  # here, so that the processes of the other frameworks can read a Workload without JAX

    from fer_jax.machine.devices import choose_devices
    from fer_jax.train.engine import Engine

    state = Engine(network, choose_devices("cpu")[:1]).init_state(seed)
    return jax.tree.map(np.asarray, {"params": dict(state.params), "batch_stats": dict(state.batch_stats)})


def draw_batches(samples: int, batch_size: int, steps: int, seed: int = 0) -> np.ndarray:
    """int32 (steps, batch_size): complete batches from repeated random orders of all samples.

    Raises ValueError if there are no samples.
    """
    if samples < 1:
        raise ValueError("no samples to draw batches from")
    random = np.random.default_rng([0xBE7C, seed])
    needed = steps * batch_size
    orders = [random.permutation(samples).astype(np.int32) for _ in range(-(-needed // samples))]
    return np.concatenate(orders)[:needed].reshape(steps, batch_size)
