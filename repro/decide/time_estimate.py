"""How long one seed takes: from earlier runs of the same settings, else from a short timed trial."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import jax
import msgspec
import numpy as np

from fer_jax.data.steps import Prepared
from fer_jax.train.batches import stretches
from fer_jax.train.loop import fit
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Constant, Training
from repro.runs.dataset import Dataset
from repro.runs.plan import RunPlan
from repro.runs.preparation import network_of, prepare
from repro.runs.records import Overrides, RunRecord

# A trial makes one update and then four stretches; their median counts. Five updates are less than a tenth of an epoch
# of every bundled paper. A small network makes them in milliseconds, which are mostly overhead, so it is timed again
# over half a second.
STRETCHES, FEWEST_UPDATES, MOST_UPDATES = 4, 5, 2000
SHORT_S, LONG_S = 0.2, 0.5


@dataclass(frozen=True)
class TimeEstimate:
    """Seconds of one seed, and their source in words."""

    seconds: float
    source: str


def recorded_time(
    plan: RunPlan, device_kind: str, fingerprint: str, records: Iterable[RunRecord]
) -> TimeEstimate | None:
    """The mean time of the full runs with the plan's paper, variant, protocol and settings on this kind of device and
    these data; None if there are none. If seeds shared one program, each seed's share counts (`Times`)."""
    alike = [record.time.without_pauses_s for record in records if _is_alike(record, plan, device_kind, fingerprint)]
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
    """Prepare the data, make a few updates, evaluate the samples of these updates, and extrapolate to the whole run, or
    to the longest that early stopping leaves.

    Writes nothing. Checkpoints, 1 to 4 % of a run, are not part of the estimate. Raises StepError or TooFewSamples if
    data and spec do not fit.
    """
    begin = time.perf_counter()
    prepared = prepare(plan, dataset)
    prepare_s = time.perf_counter() - begin
    planned = stretches(plan.training, len(prepared.splits["train"]))
    network = network_of(plan, prepared)
    updates = FEWEST_UPDATES
    trial = _trial(network, prepared, plan, devices, updates)
    compile_s = trial.compile_s
    if trial.stretch_s < SHORT_S:
        updates = min(max(updates, round(updates * LONG_S / trial.stretch_s)), MOST_UPDATES)
        trial = _trial(network, prepared, plan, devices, updates)
    seconds = prepare_s + compile_s
    seconds += (planned[-1].first + planned[-1].steps) * trial.stretch_s / updates
    seconds += _evaluated(plan.training, prepared) * trial.sample_s
    return TimeEstimate(seconds, f"from a trial of {1 + STRETCHES * updates:,} updates")


@dataclass(frozen=True)
class _Trial:
    """Seconds of compiling, of one stretch of updates, and of evaluating one sample."""

    compile_s: float
    stretch_s: float
    sample_s: float


def _trial(network: Network, prepared: Prepared, plan: RunPlan, devices: list[jax.Device], updates: int) -> _Trial:
    """updates: per stretch. Uses only the training samples that these updates see, and evaluates them once."""
    train = prepared.splits["train"]
    steps = 1 + STRETCHES * updates
    some = train.take(np.arange(min(len(train), (steps + 1) * network.training.batch_size)))
    training = msgspec.structs.replace(
        network.training,
        epochs=None,
        steps=steps,
        evaluate_every_steps=updates,
        evaluate=(),
        report="last",
        schedule=Constant(),
        early_stopping=None,
    )
    short = replace(network, training=training)
    clock = fit(short, {"train": some}, seed=plan.seed, devices=devices, precision=plan.precision).clock
    stretch_s = statistics.median(stretch["train_s"] for stretch in clock.epochs[1:])
    return _Trial(clock.compile_s, stretch_s, clock.eval_s / len(some))


def _evaluated(training: Training, prepared: Prepared) -> int:
    """Samples that a whole run evaluates: some splits after every epoch, and all splits at the end."""
    rows = {name: len(part) for name, part in prepared.splits.items()}
    epochs = len(stretches(training, rows["train"]))
    return epochs * sum(rows[name] for name in training.evaluate) + sum(rows.values())
