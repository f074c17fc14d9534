"""Many runs, with progress: what `repro run` and `repro run-all` do. Seeds of the same run train side by side if that
pays; everything else runs one after another."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import click
import jax

from fer_jax.machine.compilation import keep_compiled_programs
from fer_jax.machine.devices import DeviceKind, choose_devices
from fer_jax.machine.faults import fault_text
from fer_jax.machine.precision import choose_precision
from fer_jax.train.loop import SplitsDiffer
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.settings import Precision
from repro import STARTED_AT
from repro.runs.dataset import NOT_FER2013, SYNTHETIC_WARNING, Dataset, not_fer2013_warning, open_dataset
from repro.runs.network_files import lacks_network
from repro.runs.plan import RunPlan
from repro.runs.progress import ProgressLine
from repro.runs.records import RECORD_NAME, RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun
from repro.runs.runner import RunOutcome, failed_record, run, run_seeds
from repro.specs.bounds import printable
from repro.specs.protocols import AS_PUBLISHED

# For example too little memory. Both XLA's compiler and its devices raise this error. Its base RuntimeError would also
# catch NotImplementedError and RecursionError, which are bugs.
_DEVICE_ERRORS = (jax.errors.JaxRuntimeError, MemoryError)
_process_start = [STARTED_AT]  # empty once a run of this process has used it


def _asked_at() -> float:
    """Start of the time to a run's first update, by time.perf_counter: the process start for its first run, now for
    later runs. A process may call `run_in` several times."""
    return _process_start.pop() if _process_start else time.perf_counter()


def open_context(
    precisions: Iterable[Precision | None],
    *,
    device: DeviceKind,
    data: str | None,
    results: Path,
    fresh: bool,
    seeds_at_once: int | None = None,
    checkpoint_every_s: float | None = None,
    with_network: bool = False,
) -> RunContext:
    """Devices and dataset, with a warning on standard error if the faces are synthetic.

    Raises errors that the user can fix before anything is trained: DataError, DeviceError, PrecisionError.
    """
    devices = choose_devices(device)
    for precision in precisions:
        choose_precision(precision, devices[0])
    keep_compiled_programs()
    dataset = open_dataset(data)
    if dataset.faces.synthetic:
        click.secho(f"WARNING: {SYNTHETIC_WARNING}", fg="yellow", err=True)
    elif dataset.name == NOT_FER2013:
        click.secho(f"WARNING: {not_fer2013_warning(dataset)}", fg="yellow", err=True)
    return RunContext(dataset, devices, results, fresh, checkpoint_every_s, seeds_at_once, with_network, _say_line)


def _say_line(text: str) -> None:
    click.secho(text, fg="yellow", err=True)


def run_in(
    context: RunContext, plans: list[RunPlan], *, first: int = 1, of: int | None = None, alone: bool | None = None
) -> list[RunRecord]:
    """Do all plans. If one fails, it stays visible and the others are still done. Messages go to standard error.

    RunContext.seeds_at_once: at most so many successive plans that differ only in their seed share one program. By
    default all do on a GPU, which a small network does not fill, and none on a CPU, where nothing is gained.
    first, of: number of the first plan, and the total, for display. alone: raise an error that the user can fix
    (UserError) instead of recording it as a failed run; by default with a single plan.
    """
    seeds_at_once = context.seeds_at_once
    if seeds_at_once is None:
        seeds_at_once = len(plans) if context.device_kind == "gpu" else 1
    batch = _Batch(context, of or len(plans), alone=len(plans) == 1 if alone is None else alone)
    records: list[RunRecord] = []
    for _, alike in groupby(plans, key=_all_but_seed):
        same = list(alike)
        for start in range(0, len(same), seeds_at_once):
            records += batch.do(same[start : start + seeds_at_once], number=first + len(records))
    return records


def _all_but_seed(plan: RunPlan) -> tuple[object, ...]:
    return plan.spec_path, plan.sha256, plan.variant, plan.protocol, plan.overrides, plan.precision


class _Batch:
    """The state that all runs of a call share."""

    def __init__(self, context: RunContext, plans: int, *, alone: bool) -> None:
        self.context, self.plans, self.alone = context, plans, alone

    def do(self, plans: list[RunPlan], number: int) -> list[RunRecord]:
        """Do plans that differ only in their seed; the first is plan `number` of all."""
        if len(plans) == 1:
            return [self._one(plans[0], number)]
        title = f"[{number}-{number + len(plans) - 1}/{self.plans}] {_name(plans[0])} seeds {_listed(plans)}"
        progress = ProgressLine(title)
        try:
            with progress:
                outcomes = run_seeds(plans, self.context, report=progress.epoch, asked_at=_asked_at())
        except (SplitsDiffer, UserError, OSError) as error:
            parts, why = [[plan] for plan in plans], error
        except _DEVICE_ERRORS as error:
            half = len(plans) // 2
            parts, why = [plans[:half], plans[half:]], error
        else:
            for place, outcome in enumerate(outcomes):
                _say(self._title(plans[place], number + place), outcome, self.context.dataset)
            return [outcome.record for outcome in outcomes]
        message = str(why).partition("\n")[0]
        del why  # its traceback keeps arrays alive on the device
        click.secho(f"{title}: not in one program, {len(parts)} after one another: {message}", fg="yellow", err=True)
        records: list[RunRecord] = []
        for part in parts:
            records += self.do(part, number + len(records))
        return records

    def _one(self, plan: RunPlan, number: int) -> RunRecord:
        title = self._title(plan, number)
        progress = ProgressLine(title)
        try:
            with progress:
                outcome = run(plan, self.context, report=progress.epoch, asked_at=_asked_at())
        except (UserError, OSError) as error:
            if self.alone:
                raise
            return self._failed(title, error, plan)
        except _DEVICE_ERRORS as error:
            return self._failed(title, error, plan)
        _say(title, outcome, self.context.dataset)
        return outcome.record

    def _title(self, plan: RunPlan, number: int) -> str:
        return f"[{number}/{self.plans}] {_name(plan)} seed {plan.seed}"

    def _failed(self, title: str, error: Exception, plan: RunPlan) -> RunRecord:
        record = failed_record(plan, self.context, error)
        try:
            path = StoredRun(plan, self.context).fail(record)
            kept = "" if path.name == RECORD_NAME else f"; the older record is kept, the failure is in {path}"
        except (OSError, UserError) as refused:
            why = fault_text(refused) if isinstance(refused, OSError) else str(refused)
            kept = f"; the failure cannot be recorded ({why})"
        text = fault_text(error) if isinstance(error, OSError) else str(error)
        click.secho(f"{title}: FAILED: {text}{kept}", fg="red", err=True)
        return record


def _name(plan: RunPlan) -> str:
    protocol = "" if plan.protocol == AS_PUBLISHED else f" {plan.protocol}"
    return f"{plan.paper} {plan.variant}{protocol}"


def _listed(plans: list[RunPlan]) -> str:
    return f"{plans[0].seed} to {plans[-1].seed}"


def _say(title: str, outcome: RunOutcome, dataset: Dataset) -> None:
    record = outcome.record
    if record.status == "failed":
        before = "; as before, --fresh trains it again" if outcome.skipped else ""
        said = f"{title}: FAILED: {record.error} ({outcome.folder}{before})"
        click.secho(printable(said), fg="red", err=True)
        return
    figures = ", ".join(f"{name} {m.accuracy:.1%} of {m.n:,}" for name, m in record.metrics.items())
    word = "was done already (--fresh runs it again)" if outcome.skipped else _seconds(record)
    if outcome.skipped and lacks_network(outcome.folder, record):
        word = "was done already, but its network is not here (--with-network trains it, and the record stays)"
    mark = " SYNTHETIC" if dataset.faces.synthetic else ""
    click.echo(f"{title}:{mark} {figures}; {word}; {outcome.folder}", err=True)


def _seconds(record: RunRecord) -> str:
    """Total time, and time until the first update, compilation included."""
    time_s = record.time
    took = f"{time_s.total_s:.0f} s"
    if record.seeds_at_once > 1 and time_s.wall_s is not None:
        took = f"{time_s.wall_s:.0f} s for {record.seeds_at_once} seeds at once"
    if time_s.first_step_s is None:
        return took
    return f"{took}, the first update after {time_s.first_step_s:.1f} s"
