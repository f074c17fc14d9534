"""A tiny workload, and records of comparisons with figures chosen by the test, for the tests of `repro.bench`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_jax.vocabulary.layers import Activation, Dense, Flatten
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss, Sgd, Training
from repro.bench.records import (
    BENCH_FORMAT,
    BenchData,
    BenchRecord,
    Candidate,
    Duel,
    LearningAgreement,
    RivalComparison,
    Round,
    Timing,
)
from repro.bench.workload import Workload
from repro.runs.records import Device, Git

SIZE = 12
CPU = Device(kind="cpu", name="Test(R) CPU 7 Processor @ 2 GHz", count=1, host_cores=2)


def tiny_workload(samples: int = 256) -> Workload:
    """A dense network alone, which compiles in a tenth of the time of a convolution."""
    layers = (Flatten(), Dense(units=8), Activation(function="tanh"), Dense(units=7), Activation(function="softmax"))
    training = Training(
        batch_size=16, epochs=1, loss=Loss(kind="cross_entropy"), optimizer=Sgd(learning_rate=0.05, momentum=0.9)
    )
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (samples, SIZE, SIZE)).astype(np.uint8)
    labels = random.integers(0, 7, samples).astype(np.int32)
    return Workload("tiny", Network(layers, training, SIZE, divide=255.0), images, labels)


def timing(images_per_s: float, elapsed_s: float = 2.0, other_cores: float | None = 0.0) -> Timing:
    return Timing(images_per_s=images_per_s, elapsed_s=elapsed_s, other_cores=other_cores)


def candidate(name: str, mode: str = "default", **fields: Any) -> Candidate:
    known: dict[str, Any] = {"batch_size": 32, "compile_s": 1.5, "peak_memory_bytes": 300 << 20, **fields}
    return Candidate(name=name, mode=mode, **known)


def make_duel(ours: list[float], theirs: list[float], rival: Candidate | None = None, disturbed: int = 0) -> Duel:
    rounds = tuple(
        Round(own=timing(o), rival=timing(t), load=(0.1, 0.2), disturbed=i < disturbed)
        for i, (o, t) in enumerate(zip(ours, theirs, strict=True))
    )
    return Duel(own=candidate("own"), rival=rival or candidate("torch", "compile"), rounds=rounds)


def make_record(*duels: Duel, paper: str = "teta2022", what: Any = "train", **fields: Any) -> BenchRecord:
    """A record of training, unless `fields` (comparison, imported, growth, ...) says otherwise."""
    agreement = LearningAgreement(rival="torch", key="k", agrees=True, summary="0.01 apart, 0.05 allowed", figures={})
    comparison = RivalComparison(
        paper=paper,
        precision="float32",
        parameters=551_687,
        multiply_adds=10_000_000,
        seconds=2.0,
        agreements=(agreement,),
        scouted=(
            candidate("own", timings=(timing(3000),)),
            candidate("torch", "compile", timings=(timing(2000), timing(2200))),
            candidate("torch", "eager", error="RuntimeError: no | luck"),
        ),
        duels=duels,
    )
    whole: dict[str, Any] = {
        "format": BENCH_FORMAT,
        "what": what,
        "device": CPU,
        "threads": 2,
        "data": BenchData(name="fer2013", fingerprint="ab12cd34ef", synthetic=False, rows=8192, image_size=48),
        "matmul_flops_per_s": 200e9,
        "load_at_start": 0.12,
        "comparison": comparison if what in ("train", "predict") else None,
        "versions": {"jax": "0.10.2", "jaxlib": "0.10.2"},
        "git": Git(commit="0123456789abcdef", dirty=False),
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:14:05+00:00",
        "command": "repro bench teta2022",
        **fields,
    }
    return BenchRecord(**whole)
