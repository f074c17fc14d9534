"""Many runs after one another, with progress: what `repro run` and `repro run-all` do."""

from __future__ import annotations

from pathlib import Path

import click
import jax

from fer_jax.batches import TooFewRows
from fer_jax.checkpoint import CheckpointError
from fer_jax.devices import DeviceKind, choose_devices
from fer_jax.step_kinds import StepError
from repro.dataset import SYNTHETIC_WARNING, Dataset, open_dataset
from repro.plan import RunPlan
from repro.progress import ProgressLine
from repro.records import RecordError, RunRecord
from repro.runner import Outcome, run, write_failure


def run_plans(
    plans: list[RunPlan], *, device: DeviceKind, data: str | None, results: Path, fresh: bool
) -> list[RunRecord]:
    """Do all plans; a failed one stays visible and the others go on. Words go to standard error.

    Raises what the user can mend before anything was trained (DataError, DeviceError), and with a single plan also what
    concerns that plan alone.
    """
    devices = choose_devices(device)
    dataset = open_dataset(data)
    if dataset.faces.synthetic:
        click.secho(f"WARNING: {SYNTHETIC_WARNING}", fg="yellow", err=True)
    records = []
    for number, plan in enumerate(plans, 1):
        title = f"[{number}/{len(plans)}] {plan.paper} {plan.variant} seed {plan.seed}"
        progress = ProgressLine(title)
        try:
            with progress:
                outcome = run(plan, dataset, results=results, devices=devices, fresh=fresh, report=progress.epoch)
        except (StepError, TooFewRows, CheckpointError, RecordError) as error:
            if len(plans) == 1:
                raise
            records.append(_failed(title, error, plan, dataset, results, devices))
            continue
        except (RuntimeError, MemoryError) as error:  # XLA's own errors, such as a GPU without enough memory
            records.append(_failed(title, error, plan, dataset, results, devices))
            continue
        _say(title, outcome, dataset)
        records.append(outcome.record)
    return records


def _failed(
    title: str, error: Exception, plan: RunPlan, dataset: Dataset, results: Path, devices: list[jax.Device]
) -> RunRecord:
    click.secho(f"{title}: FAILED: {error}", fg="red", err=True)
    return write_failure(plan, dataset, results=results, devices=devices, error=error)


def _say(title: str, outcome: Outcome, dataset: Dataset) -> None:
    record = outcome.record
    if record.status == "failed":
        click.secho(f"{title}: FAILED: {record.error} ({outcome.folder})", fg="red", err=True)
        return
    figures = ", ".join(f"{name} {m.accuracy:.1%} of {m.n:,}" for name, m in record.metrics.items())
    word = "was done already (--fresh runs it again)" if outcome.skipped else f"{record.time.total_s:.0f} s"
    mark = " SYNTHETIC" if dataset.faces.synthetic else ""
    click.echo(f"{title}:{mark} {figures}; {word}; {outcome.folder}", err=True)
