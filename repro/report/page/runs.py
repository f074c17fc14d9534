"""The record of a run for readers: everything except the curves, which are figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fer_jax.vocabulary.counted import counted
from repro.judge.groups import devices
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.records import RECORD_NAME, Device, RunRecord, switch_words
from repro.text import units

NOT_RECORDED = "not recorded"
MEBIBYTE = 2**20


@dataclass(frozen=True)
class RunDetails:
    """id: of the element on the page. folder: relative to the results folder. facts: name and value, in order."""

    id: str
    paper: str
    title: str
    failed: bool
    folder: str
    files: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def run_id(path: PurePosixPath) -> str:
    """The id of a run's element. path: of its run.json or failed.json, relative to the results folder."""
    failed = "" if path.name == RECORD_NAME else f"-{path.stem}"
    return "run-" + "-".join(path.parent.parts[1:]) + failed


def run_details(results: Path, path: PurePosixPath, record: RunRecord) -> RunDetails:
    """path: of the run.json, relative to the results folder."""
    title = f"{record.variant}, {record.protocol}, {record.device.kind}, seed {record.seed}: {record.status}"
    return RunDetails(
        id=run_id(path),
        paper=record.paper,
        title=f"synthetic faces, {title}" if record.data.synthetic else title,
        failed=record.status == "failed",
        folder=path.parent.as_posix(),
        files=tuple(name for name in (path.name, PREDICTIONS_NAME) if (results / path.parent / name).exists()),
        facts=tuple(_facts(record)),
    )


def _device(device: Device) -> str:
    return f"{device.kind}: {devices(device.name, device.count)}, {counted(device.host_cores, 'core')} of the host"


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    if record.error:
        at = "" if record.failed_step is None else f" (step {record.failed_step:,})"
        yield "Error", record.error + at
    for split, metrics in record.metrics.items():
        accuracy = units.percentage(metrics.accuracy, None)
        yield f"Accuracy, {split}", f"{accuracy} of {metrics.n:,} samples; loss {metrics.loss:.4f}"
    yield "Epochs", f"{len(record.history)}; the figures are of epoch {record.reported_epoch}"
    if record.same_run_as:
        yield "Protocol", f"{record.protocol}; the same run as {record.same_run_as}"
    yield "Network", f"{counted(record.parameters, 'parameter')}, {record.trainable_parameters:,} trainable"
    yield "Data", f"{record.data.shown_name} ({record.data.fingerprint[:8]}), {_splits(record)}"
    if record.data.notes:
        yield "Import", "; ".join(record.data.notes)
    yield from _machine(record)
    yield from _times(record)
    yield "Versions", ", ".join(f"{name} {version}" for name, version in record.versions.items()) or NOT_RECORDED
    changes = " with changes" if record.git.dirty else ""
    commit = record.git.commit[:8] + changes if record.git.commit else NOT_RECORDED
    yield "Code", f"training code version {record.training_version}, commit {commit}"
    yield "Settings", f"sha256 {record.spec_sha256[:16]}"
    resumed = f", resumed {record.resumed} times" if record.resumed else ""
    yield "When", f"{record.started or NOT_RECORDED} to {record.finished or NOT_RECORDED}{resumed}"
    yield "Command", record.command or NOT_RECORDED


def _splits(record: RunRecord) -> str:
    return ", ".join(f"{name} {counted(split.rows, 'sample')}" for name, split in record.data.splits.items())


def _machine(record: RunRecord) -> Iterator[tuple[str, str]]:
    device = record.device
    yield "Device", _device(device)
    if record.begun_on is not None:
        yield "Begun on", f"{_device(record.begun_on)}; another device or number of cores rounds differently"
    together = f", {counted(record.seeds_at_once, 'seed')} in one program" if record.seeds_at_once > 1 else ""
    yield "Precision", f"{record.matmul_precision}{together}"
    if record.kernels:
        yield "Convolutions", f"computed by {record.kernels}"
    if record.switches:
        yield "Switches", switch_words(record.switches)
    yield "Peak memory", f"{record.peak_memory_bytes / MEBIBYTE:,.0f} MiB"
    before, after = record.load_average
    yield (
        "Load average",
        f"{before:.1f} before the start, {after:.1f} before the end, on {counted(device.host_cores, 'core')}",
    )


def _times(record: RunRecord) -> Iterator[tuple[str, str]]:
    time = record.time
    parts = {
        "preparation": time.prepare_s,
        "compilation": time.compile_s,
        "training": time.train_s,
        "evaluation": time.eval_s,
        "checkpoints": time.checkpoint_s,
    }
    named = ", ".join(f"{name} {units.duration(seconds)}" for name, seconds in parts.items())
    yield "Time", f"{units.duration(time.total_s)} in all: {named}"
    if time.first_step_s is not None:
        yield "To the first update", units.duration(time.first_step_s)
    yield "Speed", f"{units.rate(record.images_per_s)} training images/s"
