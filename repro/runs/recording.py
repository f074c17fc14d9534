"""From a run to its record: what was asked for, what came out, what it ran on."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from fer_jax import TRAINING_VERSION
from fer_jax.data.faces import Faces
from fer_jax.data.steps import Prepared, network_input
from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.machine.devices import device_name, peak_memory_bytes
from fer_jax.machine.hosts import spread
from fer_jax.machine.precision import choose_precision
from fer_jax.machine.process_settings import switches
from fer_jax.machine.processor import host_cores
from fer_jax.train.history import TrainResult, network_sha256
from fer_jax.vocabulary.step_kinds import DropRepeats, DropSamePictures, DropUnrelated, Step
from repro.runs.class_measures import ranking
from repro.runs.dataset import Dataset
from repro.runs.environment import command_line, git_state, load_average, versions
from repro.runs.plan import RunPlan, recorded_spec
from repro.runs.predictions import pack_predictions
from repro.runs.records import (
    RECORD_FORMAT,
    Best,
    DataRecord,
    Device,
    Epoch,
    EpochTime,
    Metrics,
    Overrides,
    RecordedValue,
    RunRecord,
    SplitRows,
    Times,
    recorded_value,
)
from repro.runs.run_context import RunContext


def asked_record(plan: RunPlan, context: RunContext) -> RunRecord:
    """The record before a run starts: the request, the code and the machine. It counts as failed until the run has
    ended."""
    devices = context.devices
    return RunRecord(
        format=RECORD_FORMAT,
        paper=plan.paper,
        variant=plan.variant,
        protocol=plan.protocol,
        seed=plan.seed,
        status="failed",
        error="",
        failed_step=None,
        spec_sha256=plan.sha256,
        spec_file_sha256=plan.spec_file_sha256,
        spec=recorded_spec(plan.spec),
        overrides=plan.overrides,
        training_version=TRAINING_VERSION,
        device=Device(
            kind=context.device_kind,
            name=device_name(devices[0]),
            count=len(devices),
            host_cores=host_cores(),
            hosts=len({one.process_index for one in devices}) if spread(devices) else msgspec.UNSET,
        ),
        data=_data_record(context.dataset, None, duplicates_version(plan.spec.data.steps)),
        parameters=0,
        trainable_parameters=0,
        matmul_precision=choose_precision(plan.precision, devices[0]),
        switches=switches(context.device_kind),
        history=(),
        best={},
        reported_epoch=0,
        metrics={},
        time=Times(compile_s=0, prepare_s=0, train_s=0, eval_s=0, checkpoint_s=0, total_s=0, epochs=()),
        images_per_s=0.0,
        peak_memory_bytes=peak_memory_bytes(devices),
        load_average=(load_average(), 0.0),
        resumed=0,
        started=_now(),
        finished=_now(),
        versions=versions(),
        git=git_state(),
        command=command_line(),
    )


def ended_record(
    asked: RunRecord,
    context: RunContext,
    prepared: Prepared,
    prepare_s: float,
    result: TrainResult,
    seeds_at_once: int,
) -> RunRecord:
    """`asked` with the results."""
    clock = result.clock
    short = asked.overrides != Overrides()
    return msgspec.structs.replace(
        asked,
        status="failed" if result.error else "partial" if short else "done",
        error=result.error,
        failed_step=result.failed_step,
        failed_epoch=result.failed_epoch,
        data=_data_record(context.dataset, prepared, asked.data.duplicates_version),
        parameters=result.parameters[0],
        trainable_parameters=result.parameters[1],
        history=msgspec.convert(result.history, tuple[Epoch, ...]),
        best=msgspec.convert(result.best, dict[str, Best]),
        reported_epoch=result.reported_epoch,
        metrics=msgspec.convert(result.metrics, dict[str, Metrics]),
        ranking={
            name: found
            for name, p in result.predictions.items()
            if (found := ranking(p["probability"], p["label"])) is not None
        },
        time=Times(
            compile_s=clock.compile_s,
            prepare_s=prepare_s,
            train_s=clock.train_s,
            eval_s=clock.eval_s,
            checkpoint_s=clock.checkpoint_s,
            total_s=clock.total_s + prepare_s,
            wall_s=clock.wall_s + prepare_s,
            first_step_s=clock.first_step_s,
            epochs=msgspec.convert(clock.epochs, tuple[EpochTime, ...]),
        ),
        images_per_s=result.trained_images / clock.train_s if clock.train_s else 0.0,
        peak_memory_bytes=peak_memory_bytes(context.devices),
        load_average=(asked.load_average[0], load_average()),
        resumed=result.resumed,
        kernels=result.kernels,
        network_sha256="" if result.error else network_sha256(result.state.params, result.state.batch_stats),
        seeds_at_once=seeds_at_once,
        finished=_now(),
    )


def pruned_record(
    asked: RunRecord, context: RunContext, prepared: Prepared, history: Sequence[dict[str, Any]], why: str
) -> RunRecord:
    """`asked` for a run that was stopped as a trial of a sweep. history: at least one entry."""
    epochs = msgspec.convert(history, tuple[Epoch, ...])
    return msgspec.structs.replace(
        asked,
        status="pruned",
        error=why,
        data=_data_record(context.dataset, prepared, asked.data.duplicates_version),
        history=epochs,
        reported_epoch=epochs[-1].epoch,
        metrics=epochs[-1].splits or {"train": epochs[-1].train},
        peak_memory_bytes=peak_memory_bytes(context.devices),
        load_average=(asked.load_average[0], load_average()),
        finished=_now(),
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def duplicates_version(steps: tuple[Step, ...]) -> int | None:
    """Version of the duplicate search that the data steps rely on; None if they compare no images."""
    comparing = DropSamePictures | DropUnrelated | DropRepeats
    return DUPLICATES_VERSION if any(isinstance(step, comparing) for step in steps) else None


def _data_record(dataset: Dataset, prepared: Prepared | None, version: int | None) -> DataRecord:
    splits = prepared.splits if prepared else {}
    return DataRecord(
        name=dataset.name,
        fingerprint=dataset.faces.fingerprint,
        synthetic=dataset.faces.synthetic,
        rows=len(dataset.faces),
        class_rows=dataset.faces.class_counts(),
        image_size=prepared.splits["train"].images.shape[1] if prepared else dataset.faces.images.shape[1],
        standardised=_recorded_statistics(prepared) if prepared and prepared.is_measured else None,
        splits={name: _split_samples(part, prepared) for name, part in splits.items() if prepared},
        steps=prepared.log if prepared else (),
        duplicates_version=version,
        notes=dataset.notes,
    )


def _recorded_statistics(prepared: Prepared) -> tuple[RecordedValue, RecordedValue]:
    return recorded_value(prepared.subtract), recorded_value(prepared.divide)


def _split_samples(part: Faces, prepared: Prepared) -> SplitRows:
    """Mean and deviation over all pixels as the network gets them."""
    if isinstance(prepared.subtract, float) and not prepared.pipeline.standardise:
        levels = np.bincount(part.images.reshape(-1), minlength=256).astype(np.float64)
        values = (np.arange(256) - prepared.subtract) / np.asarray(prepared.divide)
        mean = float((levels * values).sum() / levels.sum())
        std = float(np.sqrt((levels * (values - mean) ** 2).sum() / levels.sum()))
    else:
        pieces = np.array_split(part.images, len(part) // 4096 + 1)
        mean = sum(float(network_input(piece, prepared).sum()) for piece in pieces) / part.images.size
        squares = sum(float(np.square(network_input(piece, prepared) - mean).sum()) for piece in pieces)
        std = math.sqrt(squares / part.images.size)
    return SplitRows(rows=len(part), class_rows=part.class_counts(), pixel_mean=round(mean, 6), pixel_std=round(std, 6))


def packed_predictions(result: TrainResult) -> bytes | None:
    """The content of predictions.npz: every split except the training samples. None if there is no other split."""
    kept = {name: arrays for name, arrays in result.predictions.items() if name != "train"}
    if not kept:
        return None
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **pack_predictions(kept))
    return buffer.getvalue()
