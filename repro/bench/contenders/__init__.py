"""All contenders, by name. A framework is imported only when its contender starts, and only in that process."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from repro.bench.contender import Contender
    from repro.bench.workload import Workload

_CLASSES = {
    "own": ("repro.bench.contenders.own", "Own"),
    "torch": ("repro.bench.contenders.torch_rival", "TorchRival"),
    "keras": ("repro.bench.contenders.keras_rival", "KerasRival"),
}
NAMES = tuple(_CLASSES)

_PACKAGES = {"own": ("jax", "flax"), "torch": ("torch",), "keras": ("keras", "tensorflow")}
_MODES = {
    ("own", "cpu"): ("default",),
    ("own", "gpu"): ("default",),
    ("torch", "cpu"): ("eager", "eager-channels_last", "compile", "compile-channels_last"),
    ("torch", "gpu"): (
        *("eager", "eager-channels_last", "compile", "compile-channels_last"),
        *("max-autotune", "max-autotune-channels_last", "cuda-graph", "cuda-graph-channels_last"),
    ),
    # On CPU, XLA's convolutions are many times slower inside a loop than outside, so that mode is for GPUs.
    ("keras", "cpu"): ("graph", "graph-loop", "jit"),
    ("keras", "gpu"): ("graph", "graph-loop", "jit", "jit-loop"),
}


def modes(name: str, device: str) -> tuple[str, ...]:
    """The modes in which a contender can run on `cpu` or `gpu`. The comparison uses the fastest.

    Raises ValueError for an unknown contender or kind of device.
    """
    if (name, device) not in _MODES:
        raise ValueError(f"no contender {name!r} on {device!r}; there are {', '.join(NAMES)} on cpu and gpu")
    return _MODES[name, device]


def installed(name: str) -> bool:
    """Whether the packages of a contender can be found, without importing them."""
    return all(importlib.util.find_spec(package) is not None for package in _PACKAGES[name])


def start(name: str, mode: str, workload: Workload, device: str) -> Contender:
    """A contender with its data on the device. Call `reset` before training.

    Raises ValueError if it does not have the mode, ImportError if its framework is not installed.
    """
    if mode not in modes(name, device):
        raise ValueError(f"{name} has no mode {mode!r} on {device}; it has {', '.join(modes(name, device))}")
    module, class_name = _CLASSES[name]
    return getattr(importlib.import_module(module), class_name)(mode, workload, device)


def complete_batches(rows_SB: np.ndarray, count: int) -> np.ndarray:
    """The rows as int64, the index type of PyTorch and TensorFlow.

    Raises ValueError for a row outside the data: a framework might read a different one, or crash.
    """
    if rows_SB.ndim != 2 or rows_SB.size == 0 or rows_SB.min() < 0 or rows_SB.max() >= count:
        raise ValueError(
            f"rows must be (steps, batch), each from 0 to {count - 1}; incomplete batches are not compared"
        )
    return np.ascontiguousarray(rows_SB, np.int64)
