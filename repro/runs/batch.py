"""Many runs, with progress: what `repro run` and `repro run-all` do. Seeds of the same run train side by side if that
pays; everything else runs one after another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import click
import jax

from fer_jax.machine.compilation import keep_compiled_programs
from fer_jax.machine.devices import DeviceKind, choose_devices
from fer_jax.machine.faults import fault_text
from fer_jax.machine.hosts import HostError
from fer_jax.machine.precision import choose_precision
from fer_jax.train.loop import SplitsDiffer
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.custom_layer import own_code, own_modules
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.settings import Precision
from repro import STARTED_AT
from repro.runs.asked_runs import asked_for
from repro.runs.claim import AGAIN_S, POLL_S
from repro.runs.dataset import NOT_FER2013, SYNTHETIC_WARNING, Dataset, not_fer2013_warning, open_dataset
from repro.runs.network_files import lacks_network
from repro.runs.plan import RunPlan, seeds_text
from repro.runs.progress import progress_of
from repro.runs.records import RECORD_NAME, RunRecord
from repro.runs.run_context import RunContext
from repro.runs.run_store import StoredRun, folder_of
from repro.runs.runner import HeldRun, RunOutcome, failed_record, run_free
from repro.specs.bounds import printable

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
    ready: Callable[[Path], None] | None = None,
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
    return RunContext(
        dataset, devices, results, fresh, checkpoint_every_s, seeds_at_once, with_network, _say_line, ready
    )


def _say_line(text: str) -> None:
    click.secho(text, fg="yellow", err=True)


def run_in(
    context: RunContext, plans: list[RunPlan], *, first: int = 1, of: int | None = None, alone: bool | None = None
) -> list[RunRecord]:
    """Do all plans. If one fails, it stays visible and the others are still done. Messages go to standard error.

    Several processes, on this or other machines, may do the same plans: each takes runs that no other works on, and
    waits at the end for the others' last ones, or resumes them if their process dies.

    RunContext.seeds_at_once: at most so many successive plans that differ only in their seed share one program. By
    default all do on a GPU, which a small network does not fill, and none on a CPU, where nothing is gained.
    first, of: number of the first plan, and the total, for display. alone: raise an error that the user can fix
    (UserError) instead of recording it as a failed run; by default with a single plan.
    """
    seeds_at_once = context.seeds_at_once
    if seeds_at_once is None:
        seeds_at_once = len(plans) if context.device_kind == "gpu" else 1
    for layer in {layer.module: layer for plan in plans for layer in own_modules(plan.spec.model.layers)}.values():
        context.say(own_code(layer))
    batch = _Batch(context, of or len(plans), alone=len(plans) == 1 if alone is None else alone)
    chunks: list[list[_Numbered]] = []
    for _, alike in groupby(enumerate(plans, first), key=lambda numbered: numbered[1].all_but_seed):
        same = list(alike)
        chunks += [same[start : start + seeds_at_once] for start in range(0, len(same), seeds_at_once)]
    with asked_for(context.results, [folder_of(plan, context) for plan in plans]):
        return _shared_out(batch, chunks)


def _shared_out(batch: _Batch, chunks: list[list[_Numbered]]) -> list[RunRecord]:
    """The records of all plans, by number. A round takes what no other process works on."""
    records: dict[int, RunRecord] = {}
    waiting = Waiting(batch.context.say)
    while chunks:
        left, held = [], []
        for chunk in chunks:
            done, elsewhere = batch.do(chunk)
            records |= done
            held += elsewhere
            left.append([numbered for numbered in chunk if numbered[0] not in done])
        chunks = [chunk for chunk in left if chunk]
        if chunks and len(held) == sum(map(len, left)):
            waiting.wait(held)
    return [records[number] for number in sorted(records)]


class Waiting:
    """Between looks at runs that other processes work on. `say` gets for whom this process waits: when that changes,
    and once a minute."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._said: tuple[object, float] | None = None

    def wait(self, held: list[HeldRun]) -> None:
        """Sleep until the next look is due. held: not empty."""
        whom = [(one.plan, one.holder.host, one.holder.pid) for one in held]
        now = time.monotonic()
        if self._said is None or self._said[0] != whom or now - self._said[1] > AGAIN_S:
            self._said = whom, now
            one = held[0]
            more = "" if len(held) == 1 else f"; and for {counted(len(held) - 1, 'more run')}"
            self.say(f"waiting for {one.plan.name} seed {one.plan.seed}: {one.holder.spoken()}{more}")
        time.sleep(POLL_S)


_Numbered = tuple[int, RunPlan]


class _Batch:
    """The state that all runs of a call share."""

    def __init__(self, context: RunContext, plans: int, *, alone: bool) -> None:
        self.context, self.plans, self.alone = context, plans, alone

    def do(self, numbered: list[_Numbered]) -> tuple[dict[int, RunRecord], list[HeldRun]]:
        """Do plans that differ only in their seed. Returns the records by number, and the plans that other processes
        work on."""
        stored = [StoredRun(plan, self.context) for _, plan in numbered]
        held = [HeldRun(run.plan, holder) for run in stored if (holder := run.holder()) and run.done_here() is None]
        elsewhere = {one.plan.seed for one in held}
        free = [one for one in numbered if one[1].seed not in elsewhere]
        if not free:
            return {}, held
        done, more = self._one(*free[0]) if len(free) == 1 else self._side_by_side(free)
        return done, [*held, *more]

    def _side_by_side(self, numbered: list[_Numbered]) -> tuple[dict[int, RunRecord], list[HeldRun]]:
        plans = [plan for _, plan in numbered]
        number_of = {plan.seed: number for number, plan in numbered}
        seeds = seeds_text(plan.seed for plan in plans)
        title = f"[{numbered[0][0]}-{numbered[-1][0]}/{self.plans}] {plans[0].name} seeds {seeds}"
        progress = progress_of(title)
        try:
            with progress:
                outcomes, held = run_free(plans, self.context, report=progress.epoch, asked_at=_asked_at())
        except HostError:
            raise  # of every run
        except (SplitsDiffer, UserError, OSError) as error:
            parts, why = [[one] for one in numbered], error
        except _DEVICE_ERRORS as error:
            half = len(plans) // 2
            parts, why = [numbered[:half], numbered[half:]], error
        else:
            for outcome in outcomes:
                number = number_of[outcome.record.seed]
                self._ended(f"[{number}/{self.plans}] {plans[0].name} seed {outcome.record.seed}", outcome)
            return {number_of[outcome.record.seed]: outcome.record for outcome in outcomes}, held
        message = str(why).partition("\n")[0]
        del why  # its traceback keeps arrays alive on the device
        click.secho(f"{title}: not in one program, {len(parts)} after one another: {message}", fg="yellow", err=True)
        records: dict[int, RunRecord] = {}
        elsewhere: list[HeldRun] = []
        for part in parts:
            done, held = self.do(part)
            records |= done
            elsewhere += held
        return records, elsewhere

    def _one(self, number: int, plan: RunPlan) -> tuple[dict[int, RunRecord], list[HeldRun]]:
        title = self._title(plan, number)
        progress = progress_of(title)
        try:
            with progress:
                outcomes, held = run_free([plan], self.context, report=progress.epoch, asked_at=_asked_at())
        except (UserError, OSError) as error:
            if self.alone or isinstance(error, HostError):
                raise
            return {number: self._failed(title, error, plan)}, []
        except _DEVICE_ERRORS as error:
            return {number: self._failed(title, error, plan)}, []
        if not outcomes:
            return {}, held
        self._ended(title, outcomes[0])
        return {number: outcomes[0].record}, held

    def _ended(self, title: str, outcome: RunOutcome) -> None:
        _say(title, outcome, self.context.dataset)
        new = not outcome.skipped and outcome.record.status == "done" and not self.context.dataset.faces.synthetic
        if new and self.context.ready is not None:
            # The run is recorded: what fails now is done by the first command that uses the network.
            with contextlib.suppress(UserError, OSError, *_DEVICE_ERRORS):
                self.context.ready(outcome.folder)

    def _title(self, plan: RunPlan, number: int) -> str:
        return f"[{number}/{self.plans}] {plan.name} seed {plan.seed}"

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
        took = f"{time_s.wall_s:.0f} s for {counted(record.seeds_at_once, 'seed')} at once"
    if time_s.first_step_s is None:
        return took
    return f"{took}, the first update after {time_s.first_step_s:.1f} s"
