"""Carry out one RunPlan: prepare the data, train, write the record. Knows no command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from filelock import FileLock

from fer_jax import TRAINING_VERSION
from fer_jax.checkpoint import Checkpoints
from fer_jax.devices import device_kind
from fer_jax.faces import UNLABELLED
from fer_jax.layers import parameter_count
from fer_jax.network import Network
from fer_jax.step_kinds import StepError, step_names
from fer_jax.steps import Prepared, apply_steps
from fer_jax.train import Progress, TrainResult, fit
from repro.dataset import Dataset
from repro.plan import RunPlan
from repro.recording import asked_record, ended_record, write_predictions
from repro.records import RunRecord, read_record, run_folder, write_atomically, write_record


@dataclass(frozen=True)
class Outcome:
    """The record of a plan, and whether it stood there already."""

    record: RunRecord
    folder: Path
    skipped: bool


def run(
    plan: RunPlan,
    dataset: Dataset,
    *,
    results: Path,
    devices: list[jax.Device],
    fresh: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Do a run, go on with one that was stopped, or return the record of one that was done.

    A second process that wants the same run waits for the first. Raises StepError or TooFewRows when data and spec do
    not fit.
    """
    folder = _folder(plan, dataset, results, devices)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "run.lock"):
        known = _done_before(folder, plan, dataset, devices)
        if known and not fresh:
            return Outcome(known, folder, skipped=True)
        checkpoints = _checkpoints(folder, plan, dataset, devices, fresh=fresh)
        try:
            record, result = _train(plan, dataset, devices, checkpoints, report)
        finally:
            checkpoints.close()
        write_predictions(folder, result)
        write_record(folder, record)
        _marker(folder).unlink(missing_ok=True)
        return Outcome(record, folder, skipped=False)


def _folder(plan: RunPlan, dataset: Dataset, results: Path, devices: list[jax.Device]) -> Path:
    return run_folder(
        results,
        paper=plan.paper,
        variant=plan.variant,
        device=device_kind(devices[0]),
        protocol=plan.protocol,
        data=dataset.tag,
        overrides=plan.overrides,
        seed=plan.seed,
    )


def _identity(plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> dict[str, Any]:
    """What makes two runs the same run."""
    return {
        "spec_sha256": plan.sha256,
        "overrides": msgspec.to_builtins(plan.overrides),
        "fingerprint": dataset.faces.fingerprint,
        "seed": plan.seed,
        "device": device_kind(devices[0]),
        "training_version": TRAINING_VERSION,
    }


def _done_before(folder: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> RunRecord | None:
    path = folder / "run.json"
    if not path.exists():
        return None
    record = read_record(path)
    found = {
        "spec_sha256": record.spec_sha256,
        "overrides": msgspec.to_builtins(record.overrides),
        "fingerprint": record.data.fingerprint,
        "seed": record.seed,
        "device": record.device.kind,
        "training_version": record.training_version,
    }
    same = found == _identity(plan, dataset, devices)
    return record if same and record.status != "failed" else None


def _checkpoints(
    folder: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device], *, fresh: bool
) -> Checkpoints:
    """The run's checkpoints; those of another run (an edited spec, another version), and of one that ended and is
    done again, are thrown away."""
    marker = _marker(folder)
    identity = msgspec.json.encode(_identity(plan, dataset, devices), order="sorted")
    checkpoints = Checkpoints(folder / "checkpoints")
    if fresh or not marker.exists() or marker.read_bytes() != identity:
        marker.unlink(missing_ok=True)  # first: a process that is killed while it clears leaves nothing to go on from
        checkpoints.clear()
        write_atomically(marker, identity)
    return checkpoints


def _marker(folder: Path) -> Path:
    """Tells which run the checkpoints are of, as long as it goes on; it is gone when the run has ended."""
    return folder / "checkpoints" / "identity.json"


def _train(
    plan: RunPlan,
    dataset: Dataset,
    devices: list[jax.Device],
    checkpoints: Checkpoints,
    report: Callable[[Progress], None] | None,
) -> tuple[RunRecord, TrainResult]:
    asked = asked_record(plan, dataset, devices)
    begin = time.perf_counter()
    prepared = _prepare(plan, dataset)
    network = Network(
        layers=plan.spec.model.layers,
        training=plan.training,
        image_size=prepared.image_size,
        subtract=prepared.subtract,
        divide=prepared.divide,
        random_flip=prepared.random_flip,
    )
    prepare_s = time.perf_counter() - begin
    result = fit(network, prepared.splits, seed=plan.seed, devices=devices, checkpoints=checkpoints, report=report)
    counted = parameter_count(plan.spec.model.layers, (prepared.image_size, prepared.image_size, 1))
    assert counted == result.parameters, f"{counted} parameters by the layer list, {result.parameters} in the network"
    return ended_record(asked, dataset, devices, prepared, prepare_s, result), result


def _prepare(plan: RunPlan, dataset: Dataset) -> Prepared:
    """The data steps on the labelled rows.

    Raises StepError naming the spec, the step and what the data set has.
    """
    faces = dataset.faces
    labelled = faces.labels != UNLABELLED
    steps = plan.spec.data.steps
    try:
        prepared = apply_steps(faces if labelled.all() else faces.take(labelled), steps, plan.seed)
    except StepError as error:
        rows = ", ".join(f"{sum(counts):,} {usage}" for usage, counts in faces.counts().items())
        at = f"{plan.spec_path}: data.steps[{error.index}] ({step_names(steps)[error.index]})"
        raise StepError(error.index, f"{at}: {error}; the data set has these labelled rows: {rows}") from None
    return _limit_train(prepared, plan.overrides.limit_train)


def write_failure(
    plan: RunPlan, dataset: Dataset, *, results: Path, devices: list[jax.Device], error: Exception
) -> RunRecord:
    """The record of a run that could not be carried out, so that it stays visible in the table."""
    asked = asked_record(plan, dataset, devices)
    record = msgspec.structs.replace(asked, error=f"{type(error).__name__}: {error}")
    write_record(_folder(plan, dataset, results, devices), record)
    return record


def _limit_train(prepared: Prepared, limit: int | None) -> Prepared:
    """Keep `limit` training rows, evenly spaced, so that rows in class order stay mixed as they were."""
    train = prepared.splits["train"]
    if limit is None or limit >= len(train):
        return prepared
    rows = np.linspace(0, len(train) - 1, limit).astype(np.int64)
    return replace(prepared, splits={**prepared.splits, "train": train.take(rows)})
