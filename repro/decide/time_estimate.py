"""How long one seed takes: from earlier runs of the same settings, else from a short timed trial."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

import jax
import msgspec
import numpy as np

from fer_jax.batches import stretches
from fer_jax.history import TrainResult
from fer_jax.network import Network
from fer_jax.settings import Constant, Training
from fer_jax.steps import Prepared
from fer_jax.train import fit
from repro.dataset import Dataset
from repro.plan import RunPlan
from repro.preparation import prepare
from repro.records import Overrides, RunRecord
from repro.runner import network_of

# Updates of a trial, besides the first: four stretches of five, of which the median counts. That is less than a tenth
# of an epoch of every bundled paper.
TRIAL_STRETCHES, TRIAL_UPDATES = 4, 5


@dataclass(frozen=True)
class TimeEstimate:
    """Seconds of one seed, and what they come from, in words."""

    seconds: float
    source: str


def recorded_time(
    plan: RunPlan, device_kind: str, fingerprint: str, records: Iterable[RunRecord]
) -> TimeEstimate | None:
    """The mean time of the full runs with the plan's paper, variant, protocol and settings on this kind of device and
    these data; None if there is none. Of seeds that shared one program, each one's share counts (`Times.total_s`)."""
    alike = [record.time.total_s for record in records if _is_alike(record, plan, device_kind, fingerprint)]
    if not alike:
        return None
    return TimeEstimate(statistics.fmean(alike), f"mean of {len(alike)} earlier run{'s' if len(alike) > 1 else ''}")


def _is_alike(record: RunRecord, plan: RunPlan, device_kind: str, fingerprint: str) -> bool:
    return (
        (record.status, record.overrides) == ("done", Overrides())
        and (record.paper, record.variant, record.protocol) == (plan.paper, plan.variant, plan.protocol)
        and record.spec_sha256 == plan.sha256
        and (record.device.kind, record.data.fingerprint) == (device_kind, fingerprint)
    )


def trial_time(plan: RunPlan, dataset: Dataset, devices: list[jax.Device]) -> TimeEstimate:
    """Prepare the data, make a few updates and evaluate the samples of those, and extrapolate to the whole run.

    Writes nothing. Checkpoints, 1 to 4 % of a run, are not part of the estimate. Raises StepError or TooFewRows if data
    and spec do not fit.
    """
    begin = time.perf_counter()
    prepared = prepare(plan, dataset)
    prepare_s = time.perf_counter() - begin
    network, training = network_of(plan, prepared), plan.training
    train = prepared.splits["train"]
    planned = stretches(training, len(train))
    updates = 1 + TRIAL_STRETCHES * TRIAL_UPDATES
    some = train.take(np.arange(min(len(train), (updates + 1) * training.batch_size)))
    short = Network(
        layers=network.layers,
        training=_short(training),
        image_size=network.image_size,
        subtract=network.subtract,
        divide=network.divide,
        random_flip=network.random_flip,
    )
    result = fit(short, {"train": some}, seed=plan.seed, devices=devices, precision=plan.precision)
    seconds = prepare_s + _extrapolated(
        result, len(some), planned[-1].first + planned[-1].steps, _evaluated(training, prepared)
    )
    return TimeEstimate(seconds, f"from a trial of {updates} updates")


def _short(training: Training) -> Training:
    updates = 1 + TRIAL_STRETCHES * TRIAL_UPDATES
    return msgspec.structs.replace(
        training,
        epochs=None,
        steps=updates,
        evaluate_every_steps=TRIAL_UPDATES,
        evaluate=(),
        report="last",
        schedule=Constant(),
    )


def _evaluated(training: Training, prepared: Prepared) -> int:
    """Samples that a whole run evaluates: some splits after every epoch, and all of them at the end."""
    rows = {name: len(part) for name, part in prepared.splits.items()}
    epochs = len(stretches(training, rows["train"]))
    return epochs * sum(rows[name] for name in training.evaluate) + sum(rows.values())


def _extrapolated(result: TrainResult, trial_samples: int, updates: int, evaluated: int) -> float:
    clock = result.clock
    of_update = statistics.median(stretch["train_s"] for stretch in clock.epochs[1:]) / TRIAL_UPDATES
    of_sample = clock.eval_s / trial_samples
    return clock.compile_s + updates * of_update + evaluated * of_sample
