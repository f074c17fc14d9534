"""Where a run stands in the results folder, what makes two runs the same, and whether one was done already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import msgspec

from fer_jax import TRAINING_VERSION
from fer_jax.devices import device_kind
from fer_jax.precision import choose_precision, default_precision
from repro.dataset import Dataset
from repro.plan import RunPlan
from repro.protocols import ALL_PROTOCOLS
from repro.recording import duplicates_version
from repro.records import (
    PREDICTIONS_NAME,
    RECORD_NAME,
    RunRecord,
    read_record,
    run_folder,
    write_atomically,
    write_record,
)


def folder_of(plan: RunPlan, dataset: Dataset, results: Path, devices: list[jax.Device]) -> Path:
    """`run_folder` of a plan."""
    return run_folder(
        results,
        paper=plan.paper,
        variant=plan.variant,
        device=device_kind(devices[0]),
        protocol=plan.protocol,
        data=dataset.tag,
        overrides=plan.overrides,
        seed=plan.seed,
        precision=_other_precision(choose_precision(plan.precision, devices[0]), devices),
    )


def _other_precision(precision: str, devices: list[jax.Device]) -> str | None:
    """Where it is not what the device does by default."""
    return None if precision == default_precision(devices[0]) else precision


def identity(plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> dict[str, Any]:
    """What makes two runs the same run."""
    return {
        "spec_sha256": plan.sha256,
        "overrides": msgspec.to_builtins(plan.overrides),
        "fingerprint": dataset.faces.fingerprint,
        "seed": plan.seed,
        "device": device_kind(devices[0]),
        "training_version": TRAINING_VERSION,
        **_pictures_identity(duplicates_version(plan.spec.data.steps)),
        **_precision_identity(choose_precision(plan.precision, devices[0]), devices),
    }


def _pictures_identity(version: int | None) -> dict[str, int]:
    """Unsaid where no step compares pictures."""
    return {} if version is None else {"duplicates_version": version}


def _precision_identity(precision: str, devices: list[jax.Device]) -> dict[str, str]:
    """The default goes unsaid, as in checkpoints from before there was a choice."""
    other = _other_precision(precision, devices)
    return {"precision": other} if other else {}


def done_before(folder: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> RunRecord | None:
    """The record in the folder, if it is of this very run and training it again would give the same.

    A run that training itself ended (a loss that is not finite, a network that learns nothing) would end in the same
    way, unless it is to be kept going. A failure from outside, such as too little memory, may not come again.
    """
    path = folder / RECORD_NAME
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
        **_pictures_identity(record.data.duplicates_version),
        **_precision_identity(record.matmul_precision, devices),
    }
    same = found == identity(plan, dataset, devices)
    again = record.status == "failed" and (record.failed_epoch is None or plan.keep_going)
    return record if same and not again else None


def is_done(results: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> bool:
    """Whether the run needs no training: it was done, or the same run was under another protocol."""
    own = done_before(folder_of(plan, dataset, results, devices), plan, dataset, devices)
    return own is not None or _elsewhere(results, plan, dataset, devices) is not None


def taken_over(results: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> RunRecord | None:
    """The record of the same run under another protocol, kept as one of this protocol too: where a document evaluates
    honestly, its own protocol and the official one are the same settings, and training them again gives the same."""
    found = _elsewhere(results, plan, dataset, devices)
    if found is None:
        return None
    other, known = found
    folder = folder_of(plan, dataset, results, devices)
    predictions = other / PREDICTIONS_NAME
    if predictions.exists():
        write_atomically(folder / PREDICTIONS_NAME, predictions.read_bytes())
    record = msgspec.structs.replace(known, protocol=plan.protocol, same_run_as=known.same_run_as or known.protocol)
    write_record(folder, record)
    return record


def _elsewhere(
    results: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device]
) -> tuple[Path, RunRecord] | None:
    """The folder and record of the same run under another protocol."""
    for protocol in ALL_PROTOCOLS:
        other = folder_of(replace(plan, protocol=protocol), dataset, results, devices)
        known = done_before(other, plan, dataset, devices) if protocol != plan.protocol else None
        if known:
            return other, known
    return None
