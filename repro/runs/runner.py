"""Carry out one RunPlan, or several that differ in their seed: prepare the data, train, keep the records. Independent
of the command line. `repro.runs.run_store` knows the files on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from fer_jax.machine import hosts
from fer_jax.machine.faults import fault_text
from fer_jax.train.checkpoint import Checkpoints
from fer_jax.train.history import SeedData, TrainResult
from fer_jax.train.loop import Progress, fit_seeds
from fer_jax.train.shared_checkpoints import SharedCheckpoints
from fer_jax.vocabulary.custom_layer import own_modules
from fer_jax.vocabulary.layers import parameter_count
from repro.runs.claim import ClaimLost, Holder, RunClaim, holder_of
from repro.runs.history_file import HistoryFile
from repro.runs.kept_specs import keep_spec
from repro.runs.observer import ObservedRun, RunPruned
from repro.runs.orders import prepare_on_every_host, train_on_every_host
from repro.runs.plan import RunPlan
from repro.runs.recording import asked_record, ended_record, packed_predictions, pruned_record
from repro.runs.records import RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun


@dataclass(frozen=True)
class RunOutcome:
    """The record of a plan, and whether no training was needed."""

    record: RunRecord
    folder: Path
    skipped: bool


def run(
    plan: RunPlan,
    context: RunContext,
    *,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
) -> RunOutcome:
    """Do a run, resume one that was stopped, or return the record of one that was done.

    A second process that wants the same run waits for the first. report: called after each epoch. asked_at: start of
    the time to the first update, by time.perf_counter; by default now.
    Raises StepError or TooFewSamples if data and spec do not fit, PrecisionError, and RecordError or CheckpointError if
    the content of the folder cannot be read.
    """
    (outcome,) = run_seeds([plan], context, report=report, asked_at=asked_at)
    return outcome


def run_seeds(
    plans: list[RunPlan],
    context: RunContext,
    *,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
) -> list[RunOutcome]:
    """`run` for plans that differ only in their seed. Those that are not done train side by side in one program.

    Raises SplitsDiffer if the data steps give different seeds splits of different sizes, and what `run` raises.
    """
    with ExitStack() as stack:
        runs, known = _begun(plans, context)
        wanted = (one for one in runs if one.folder not in known)
        in_order = sorted(wanted, key=lambda one: one.folder)  # so that two processes never wait for each other
        claims = [stack.enter_context(one.claim()) for one in in_order]
        return _do(runs, known, claims, context, report, asked_at)


@dataclass(frozen=True)
class HeldRun:
    """A plan that another process works on."""

    plan: RunPlan
    holder: Holder


def run_free(
    plans: list[RunPlan],
    context: RunContext,
    *,
    report: Callable[[Progress], None] | None = None,
    asked_at: float | None = None,
) -> tuple[list[RunOutcome], list[HeldRun]]:
    """`run_seeds` for the plans that no other process works on, and those that one does. Waits for nobody.

    Raises as `run_seeds`.
    """
    with ExitStack() as stack:
        runs, known = _begun(plans, context)
        free, claims, held = [], [], []
        for one in runs:
            found = None if one.folder in known else one.try_claim()
            if isinstance(found, Holder):
                held.append(HeldRun(one.plan, found))
                continue
            free.append(one)
            if found is not None:
                stack.callback(found.release)
                claims.append(found)
        try:
            return (_do(free, known, claims, context, report, asked_at) if free else []), held
        except ClaimLost:
            # This process slept for so long, as a laptop does, that another one took a run over. It is begun there.
            return [], [*held, *(HeldRun(one.plan, holder_of(one.folder) or Holder()) for one in free)]


def _begun(plans: list[RunPlan], context: RunContext) -> tuple[list[StoredRun], dict[Path, RunRecord]]:
    """The runs, and the records of those that are done, by folder."""
    keep_spec(context.results, plans[0].paper, plans[0].spec_content)
    runs = [StoredRun(plan, context) for plan in plans]
    return runs, {one.folder: record for one in runs if (record := one.done_here()) is not None}


def _do(
    runs: list[StoredRun],
    known: dict[Path, RunRecord],
    claims: list[RunClaim],
    context: RunContext,
    report: Callable[[Progress], None] | None,
    asked_at: float | None,
) -> list[RunOutcome]:
    """Runs whose record is `known`, or that this process holds by `claims`."""
    known = known | {
        one.folder: record for one in runs if one.folder not in known and (record := one.known()) is not None
    }
    fit = partial(
        fit_seeds,
        checkpoint_every_s=context.checkpoint_every_s,
        report=_shared(runs, claims, context, report),
        asked_at=time.perf_counter() if asked_at is None else asked_at,
    )
    trained = {}
    for one, record, result in _train([one for one in runs if one.folder not in known], context, fit):
        trained[one.folder] = one.finish(record, packed_predictions(result))
        for observer in context.observers:
            observer.ended(_observed(one), trained[one.folder])
    records = known | trained
    return [RunOutcome(records[one.folder], one.folder, skipped=one.folder in known) for one in runs]


def _shared(
    runs: list[StoredRun], claims: list[RunClaim], context: RunContext, report: Callable[[Progress], None] | None
) -> Callable[[Progress], None]:
    """`report`, which also shows other processes how far the runs are, writes their histories, and lets the observers
    see them."""
    first: list[tuple[float, int]] = []
    files = {one.plan.seed: HistoryFile(one.folder) for one in runs}
    observed = {one.plan.seed: _observed(one) for one in runs}

    def call(progress: Progress) -> None:
        epoch, now = progress.entry["epoch"], time.monotonic()
        first.append((now, epoch))
        begin, from_epoch = first[0]
        per_epoch = (now - begin) / (epoch - from_epoch) if epoch > from_epoch else progress.train_s + progress.eval_s
        for claim in claims:
            claim.progress(epoch, progress.epochs, progress.images_per_s, per_epoch * (progress.epochs - epoch))
        for seed, history in progress.histories.items():
            files[seed].take(history)
        if report is not None:
            report(progress)
        try:
            for seed, history in progress.histories.items():
                for observer in context.observers:
                    observer.epoch(observed[seed], history)
        except RunPruned as stopped:
            stopped.histories = progress.histories
            raise

    return call


def _observed(run: StoredRun) -> ObservedRun:
    return ObservedRun(run.plan, run.folder, run.folder.relative_to(run.context.results / "runs").as_posix())


def _train(
    runs: list[StoredRun], context: RunContext, fit: Callable[..., list[TrainResult]]
) -> list[tuple[StoredRun, RunRecord, TrainResult]]:
    """Each run with its record and result, trained in one program by `fit`, which is `fit_seeds`."""
    if not runs:
        return []
    plans = [one.plan for one in runs]
    asked = [asked_record(plan, context) for plan in plans]
    network, timed = prepare_on_every_host(plans, context)
    with train_on_every_host(), _open_checkpoints(runs) as checkpoints:
        asked = [one.register(record) for one, record in zip(runs, asked, strict=True)]
        given = [
            SeedData(plan.seed, prepared.splits, SharedCheckpoints(kept) if hosts.several() else kept, prepared.targets)
            for plan, (prepared, _), kept in zip(plans, timed, checkpoints, strict=True)
        ]
        try:
            results = fit(
                network,
                given,
                devices=context.devices,
                precision=plans[0].precision,
                stop_failed=not plans[0].keep_going,
            )
        except RunPruned as stopped:
            for one, start, (prepared, _) in zip(runs, asked, timed, strict=True):
                if history := stopped.histories.get(one.plan.seed):
                    record = pruned_record(start, context, prepared, history, str(stopped))
                    one.prune(record)
                    for observer in context.observers:
                        observer.ended(_observed(one), record)
            raise
    counted = parameter_count(network.layers, (network.image_size, network.image_size, 1))
    done = []
    for one, start, (prepared, prepare_s), result in zip(runs, asked, timed, results, strict=True):
        known = not own_modules(network.layers)
        assert counted == result.parameters or not known, f"{counted} by the layer list, {result.parameters} in it"
        done.append((one, ended_record(start, context, prepared, prepare_s, result, len(runs)), result))
    return done


@contextmanager
def _open_checkpoints(runs: list[StoredRun]) -> Iterator[list[Checkpoints]]:
    opened: list[Checkpoints] = []
    try:
        for one in runs:
            opened.append(one.open_checkpoints())
        yield opened
    finally:
        for checkpoints in opened:
            checkpoints.close()


def failed_record(plan: RunPlan, context: RunContext, error: Exception) -> RunRecord:
    """The record of a run that could not be carried out (see `StoredRun.fail`)."""
    text = fault_text(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return msgspec.structs.replace(asked_record(plan, context), error=text)
