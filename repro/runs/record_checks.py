"""What a run record must hold beyond the types of its fields, so that everything that shows it can rely on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.runs.records import Metrics, RunRecord
from repro.specs.bounds import LARGEST_NUMBER

CLASSES = len(EMOTIONS)
MOST_EPOCHS = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{0,64}")
_PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
_LONGEST_WORDS = 500  # names of devices, versions and datasets


def record_mistake(record: RunRecord, known_format: int) -> str | None:
    """The first thing in a record that cannot be, or None."""
    if record.format != known_format:
        return f"format {record.format} is of another version of the suite; this one reads format {known_format}"
    return next(_mistakes(record), None)


def _mistakes(record: RunRecord) -> Iterator[str]:
    names = {"paper": record.paper, "variant": record.variant, "protocol": record.protocol}
    names |= {"same_run_as": record.same_run_as or "x", "data.name": record.data.name}
    names |= {"device.kind": record.device.kind}
    for key, name in names.items():
        if not _NAME.fullmatch(name):
            yield f"{key}: {name[:40]!r} is not a name (letters, digits, _, - and .)"
    hashes = {"spec_sha256": record.spec_sha256, "data.fingerprint": record.data.fingerprint}
    for key, value in hashes.items():
        if not _HASH.fullmatch(value):
            yield f"{key}: {value[:40]!r} is not a hash"
    if record.matmul_precision not in _PRECISIONS:
        yield f"matmul_precision: {record.matmul_precision[:40]!r} is none of {', '.join(_PRECISIONS)}"
    for key, words in {**record.versions, "device.name": record.device.name, "started": record.started}.items():
        if len(words) > _LONGEST_WORDS:
            yield f"{key[:40]}: {len(words):,} characters"
    yield from _counts(record)
    yield from _results(record)


def _counts(record: RunRecord) -> Iterator[str]:
    whole = {
        "seed": record.seed,
        "parameters": record.parameters,
        "trainable_parameters": record.trainable_parameters,
        "peak_memory_bytes": record.peak_memory_bytes,
        "resumed": record.resumed,
        "data.rows": record.data.rows,
        "reported_epoch": record.reported_epoch,
        "training_version": record.training_version,
        "device.host_cores": record.device.host_cores,
    }
    times = {name: getattr(record.time, name) for name in record.time.__struct_fields__}
    seconds = {f"time.{name}": value for name, value in times.items() if isinstance(value, float)}
    for key, value in {**whole, **seconds, "images_per_s": record.images_per_s}.items():
        if not 0 <= value <= LARGEST_NUMBER:
            yield f"{key}: {value:g} is not a number from 0 to {LARGEST_NUMBER:,}"
    if min(record.device.count, record.seeds_at_once) < 1:
        yield "device.count and seeds_at_once: at least 1"
    if record.device.hosts is not msgspec.UNSET and not 2 <= record.device.hosts <= record.device.count:
        yield f"device.hosts: {record.device.hosts} is not a number from 2 to device.count"
    for key, value in (("epochs", record.overrides.epochs), ("limit_train", record.overrides.limit_train)):
        if value is not None and value < 1:
            yield f"overrides.{key}: {value} is below 1"
    for name, rows in {"data": record.data, **record.data.splits}.items():
        if rows.class_rows and (len(rows.class_rows) != CLASSES or min(rows.class_rows) < 0 or rows.rows < 0):
            yield f"{name[:40]}: class_rows are not {CLASSES} numbers of samples"


def _results(record: RunRecord) -> Iterator[str]:
    if record.status != "failed":
        if not record.spec or not record.history or not record.metrics:
            yield f"a run that is {record.status} without spec, history or metrics"
        training = record.spec.get("training")
        if not isinstance(training, dict) or not isinstance(training.get("batch_size"), int):
            yield "spec: no training settings with a batch_size"
        elif not isinstance(training.get("evaluate_every_steps"), int | None):
            yield "spec: training.evaluate_every_steps is not a number"
        elif (training.get("evaluate_every_steps") or 1) < 1:
            yield "spec: training.evaluate_every_steps is below 1"
        if "train" not in record.data.splits:
            yield "data.splits: no train"
    for name in {*record.data.splits, *record.metrics, *record.ranking, *record.best}:
        if not _NAME.fullmatch(name):
            yield f"{name[:40]!r} is not the name of a split"
    if len(record.history) > MOST_EPOCHS:
        yield f"history: {counted(len(record.history), 'epoch')}; at most {MOST_EPOCHS:,} are read"
    for epoch in record.history:
        if epoch.epoch < 0 or epoch.step < 0:
            yield "history: an epoch or a step below 0"
        for mistake in map(_of_metrics, (epoch.train, epoch.minibatch, *epoch.splits.values())):
            if mistake:
                yield f"history, epoch {epoch.epoch}: {mistake}"
    for name, metrics in record.metrics.items():
        if mistake := _of_metrics(metrics):
            yield f"metrics.{name[:40]}: {mistake}"
    for name, ranking in record.ranking.items():
        if len(ranking.auc) != CLASSES or len(ranking.top_k) > CLASSES:
            yield f"ranking.{name[:40]}: not one value per class"


def _of_metrics(metrics: Metrics) -> str:
    if not 0 <= metrics.accuracy <= 1 or not 0 <= metrics.n <= LARGEST_NUMBER or not math.isfinite(metrics.loss):
        return f"accuracy {metrics.accuracy:g}, loss {metrics.loss:g}, n {metrics.n}: out of range"
    confusion = metrics.confusion
    if confusion is None:
        return ""
    if len(confusion) != CLASSES or any(len(row) != CLASSES or min(row) < 0 for row in confusion):
        return f"the confusion matrix is not {CLASSES} x {CLASSES} numbers of samples"
    return "" if sum(map(sum, confusion)) == metrics.n else "the confusion matrix does not add up to n"
