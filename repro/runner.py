"""Carry out one RunPlan, or several that differ in their seed: prepare the data, train, write the records. Knows no
command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import msgspec
from filelock import FileLock

from fer_jax.checkpoint import Checkpoints
from fer_jax.history import SeedData, TrainResult
from fer_jax.layers import parameter_count
from fer_jax.network import Network
from fer_jax.steps import Prepared
from fer_jax.train import Progress, SplitsDiffer, fit_seeds
from repro.dataset import Dataset
from repro.known_runs import done_before, folder_of, identity, taken_over
from repro.plan import RunPlan
from repro.preparation import prepare
from repro.recording import asked_record, ended_record, write_predictions
from repro.records import (
    RunRecord,
    read_record,
    write_atomically,
    write_record,
)


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
    checkpoint_every_s: float | None = None,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
) -> Outcome:
    """Do a run, go on with one that was stopped, or return the record of one that was done.

    A second process that wants the same run waits for the first. checkpoint_every_s: as for `fer_jax.train.fit`.
    asked_at: by time.perf_counter, from when the time to the first update counts; by default from now.
    Raises StepError or TooFewRows when data and spec do not fit, PrecisionError.
    """
    (outcome,) = run_seeds(
        [plan],
        dataset,
        results=results,
        devices=devices,
        fresh=fresh,
        checkpoint_every_s=checkpoint_every_s,
        report=report,
        asked_at=asked_at,
    )
    return outcome


def run_seeds(
    plans: list[RunPlan],
    dataset: Dataset,
    *,
    results: Path,
    devices: list[jax.Device],
    fresh: bool = False,
    checkpoint_every_s: float | None = None,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
) -> list[Outcome]:
    """`run` for plans that differ in nothing but their seed: those that are not done go side by side in one program.

    Raises SplitsDiffer where the data steps leave one seed with more rows than another, and what `run` raises.
    """
    asked_at = time.perf_counter() if asked_at is None else asked_at
    folders = {plan.seed: folder_of(plan, dataset, results, devices) for plan in plans}
    with ExitStack() as held:
        for folder in sorted(folders.values()):  # all in one order, so that two processes never wait for each other
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(folder / "run.lock"))
        outcomes: dict[int, Outcome] = {}
        for plan in plans:
            known = done_before(folders[plan.seed], plan, dataset, devices)
            if not known and not fresh:
                known = taken_over(results, plan, dataset, devices)
            if known and not fresh:
                outcomes[plan.seed] = Outcome(known, folders[plan.seed], skipped=True)
        ahead = [plan for plan in plans if plan.seed not in outcomes]
        fit = partial(fit_seeds, checkpoint_every_s=checkpoint_every_s, report=report, asked_at=asked_at)
        for plan, record, result in _train(ahead, dataset, devices, folders, fit, fresh=fresh):
            folder = folders[plan.seed]
            write_predictions(folder, result)
            write_record(folder, record)
            _marker(folder).unlink(missing_ok=True)
            _registration(folder).unlink(missing_ok=True)
            outcomes[plan.seed] = Outcome(record, folder, skipped=False)
    return [outcomes[plan.seed] for plan in plans]


def _checkpoints(
    folder: Path, plan: RunPlan, dataset: Dataset, devices: list[jax.Device], *, fresh: bool
) -> Checkpoints:
    """The run's checkpoints; those of another run (an edited spec, another version), and of one that ended and is
    done again, are thrown away."""
    marker = _marker(folder)
    of_run = msgspec.json.encode(identity(plan, dataset, devices), order="sorted")
    checkpoints = Checkpoints(folder / "checkpoints")
    if fresh or not marker.exists() or marker.read_bytes() != of_run:
        marker.unlink(missing_ok=True)  # first: a process that is killed while it clears leaves nothing to go on from
        _registration(folder).unlink(missing_ok=True)
        checkpoints.clear()
        write_atomically(marker, of_run)
    return checkpoints


def _marker(folder: Path) -> Path:
    """Tells which run the checkpoints are of, as long as it goes on; it is gone when the run has ended."""
    return folder / "checkpoints" / "identity.json"


def _registration(folder: Path) -> Path:
    """What was asked for (settings, the claims and their tolerances, the hash of the spec's file), on disk before the
    first update; it is gone when the run has ended and run.json holds it."""
    return folder / "checkpoints" / "asked.json"


def _register(folder: Path, asked: RunRecord) -> RunRecord:
    """The record to go on with: of a run that goes on, what it is compared with stays as it was at its first start."""
    path = _registration(folder)
    if not path.exists():
        write_record(path.parent, asked, path.name)
        return asked
    first = read_record(path)
    return msgspec.structs.replace(
        asked, spec=first.spec, spec_file_sha256=first.spec_file_sha256, started=first.started
    )


def _train(
    plans: list[RunPlan],
    dataset: Dataset,
    devices: list[jax.Device],
    folders: dict[int, Path],
    fit: Callable[..., list[TrainResult]],
    *,
    fresh: bool,
) -> list[tuple[RunPlan, RunRecord, TrainResult]]:
    """Each plan with its record and result, trained in one program by `fit`, which is `fit_seeds`."""
    asked = [asked_record(plan, dataset, devices) for plan in plans]
    timed = [_timed_prepare(plan, dataset) for plan in plans]
    if not plans:
        return []
    network = network_of(plans[0], timed[0][0])
    if any(network_of(plan, prepared) != network for plan, (prepared, _) in zip(plans, timed, strict=True)):
        raise SplitsDiffer("the seeds' data steps end in different networks")
    with _open_checkpoints(plans, dataset, devices, folders, fresh=fresh) as checkpoints:
        asked = [_register(folders[plan.seed], record) for plan, record in zip(plans, asked, strict=True)]
        given = [
            SeedData(plan.seed, prepared.splits, kept)
            for plan, (prepared, _), kept in zip(plans, timed, checkpoints, strict=True)
        ]
        results = fit(
            network,
            given,
            devices=devices,
            precision=plans[0].precision,
            stop_failed=not plans[0].keep_going,
        )
    counted = parameter_count(network.layers, (network.image_size, network.image_size, 1))
    done = []
    for plan, start, (prepared, prepare_s), result in zip(plans, asked, timed, results, strict=True):
        assert counted == result.parameters, f"{counted} parameters by the layer list, {result.parameters} in it"
        record = ended_record(start, dataset, devices, prepared, prepare_s, result, len(plans))
        done.append((plan, record, result))
    return done


@contextmanager
def _open_checkpoints(
    plans: list[RunPlan], dataset: Dataset, devices: list[jax.Device], folders: dict[int, Path], *, fresh: bool
) -> Iterator[list[Checkpoints]]:
    opened: list[Checkpoints] = []
    try:
        for plan in plans:
            opened.append(_checkpoints(folders[plan.seed], plan, dataset, devices, fresh=fresh))
        yield opened
    finally:
        for checkpoints in opened:
            checkpoints.close()


def _timed_prepare(plan: RunPlan, dataset: Dataset) -> tuple[Prepared, float]:
    begin = time.perf_counter()
    return prepare(plan, dataset), time.perf_counter() - begin


def network_of(plan: RunPlan, prepared: Prepared) -> Network:
    """What a plan trains on data that are prepared."""
    return Network(
        layers=plan.spec.model.layers,
        training=plan.training,
        image_size=prepared.image_size,
        subtract=prepared.subtract,
        divide=prepared.divide,
        random_flip=prepared.random_flip,
    )


def write_failure(
    plan: RunPlan, dataset: Dataset, *, results: Path, devices: list[jax.Device], error: Exception
) -> RunRecord:
    """The record of a run that could not be carried out, so that it stays visible in the table."""
    asked = asked_record(plan, dataset, devices)
    record = msgspec.structs.replace(asked, error=f"{type(error).__name__}: {error}")
    write_record(folder_of(plan, dataset, results, devices), record)
    return record
