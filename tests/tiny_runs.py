"""Runs of the paper of `conftest.write_tiny_paper`, and the fixtures of the tests that make such runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from fer_jax.data.faces import Faces, concatenate
from repro.runs.dataset import Dataset
from repro.runs.observer import RunObserver
from repro.runs.plan import RunPlan, make_plan
from repro.runs.records import Overrides
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.runner import RunOutcome, run
from repro.specs.decode import load_spec

CPU = jax.devices("cpu")[:1]


def tiny_dataset(tiny_faces: Callable[..., Faces]) -> Dataset:
    """150 training faces, 50 of PublicTest, 50 of PrivateTest."""
    faces = concatenate([tiny_faces(n, size=48, usage=u) for u, n in enumerate((150, 50, 50))])
    return Dataset(faces.changed(origin=np.arange(250, dtype=np.int32)), "fer2013")


class TinyRuns:
    """Call it to run the tiny paper; keywords that are no arguments of `run` are settings of the paper."""

    def __init__(self, tiny_paper: Callable[..., Path], dataset: Dataset, results: Path) -> None:
        self.tiny_paper, self.dataset, self.results = tiny_paper, dataset, results
        self.said: list[str] = []

    def __call__(
        self,
        *,
        fresh: bool = False,
        report: Callable[..., None] | None = None,
        devices: Any = CPU,
        data: Dataset | None = None,
        with_network: bool = False,
        observers: tuple[RunObserver, ...] = (),
        **settings: Any,
    ) -> RunOutcome:
        """What the user sees is added to `said`."""
        context = RunContext(
            data or self.dataset,
            devices,
            self.results,
            fresh,
            with_network=with_network,
            say=self.said.append,
            observers=observers,
        )
        return run(self.plan(**settings), context, report=report)

    def plan(self, seed: int = 0, overrides: Overrides | None = None, **settings: Any) -> RunPlan:
        loaded = load_spec(self.tiny_paper(**settings))
        return make_plan(loaded, variant="default", seed=seed, overrides=overrides or Overrides())

    def stored(self, **settings: Any) -> StoredRun:
        return StoredRun(self.plan(**settings), RunContext(self.dataset, CPU, self.results))


@pytest.fixture
def dataset(tiny_faces: Callable[..., Faces]) -> Dataset:
    return tiny_dataset(tiny_faces)


@pytest.fixture
def do(tiny_paper: Callable[..., Path], dataset: Dataset, tmp_path: Path) -> TinyRuns:
    return TinyRuns(tiny_paper, dataset, tmp_path / "results")


def fill_folder(
    folder: Path, tiny_paper: Callable[..., Path], tiny_faces: Callable[..., Faces], **settings: Any
) -> None:
    """The tiny paper with these settings, and ``tiny.npz`` with 501, 101 and 101 faces, for real processes."""
    tiny_paper(drawn=True, **settings)
    faces = concatenate([tiny_faces(n, size=48, usage=u) for u, n in enumerate((501, 101, 101))])
    np.savez(folder / "tiny.npz", images=faces.images, labels=faces.labels, usage=faces.usage)


def process_environment() -> dict[str, str]:
    """For ``python -m repro`` of this tree, on one CPU device."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_NUM_CPU_DEVICES", None)
    return environment


def digest(tree: Any) -> str:
    """Of all arrays in a tree, bit for bit."""
    hashed = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        hashed.update(np.asarray(leaf).tobytes())
    return hashed.hexdigest()


class Killed(Exception):
    """In place of a signal: what the process had in hand is lost."""


def stop_at(epoch: int) -> Callable[..., None]:
    def report(progress: Any) -> None:
        if progress.entry["epoch"] == epoch:
            raise Killed

    return report


def under(
    protocol: str,
    tiny_paper: Callable[..., Path],
    dataset: Dataset,
    results: Path,
    *,
    report: Callable[..., None] | None = None,
    **settings: Any,
) -> RunOutcome:
    """A run of the tiny paper under a protocol; other keywords are settings of the paper."""
    loaded = load_spec(tiny_paper(**settings))
    plan = make_plan(loaded, variant="default", seed=0, overrides=Overrides(), protocol=protocol)
    return run(plan, RunContext(dataset, CPU, results), report=report)
