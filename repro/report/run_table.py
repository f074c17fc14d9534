"""The list of all runs, each with its record."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from repro.report import units
from repro.report.dead_runs import dead_run
from repro.report.groups import PaperRuns, Run, devices
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING, SYNTHETIC, failure

RUN_COLUMNS = (
    Column("Run"),
    Column("Seed", "right"),
    Column("Status"),
    Column("Device"),
    Column("JAX"),
    Column("Training code", "right"),
    Column("Commit"),
    Column("Total time", "right"),
    Column("Load", "right"),
)


def run_table(papers: Sequence[PaperRuns]) -> str:
    """Every record, by path; empty where there are none."""
    runs = sorted((run for paper in papers for run in paper.runs), key=lambda run: run.path.parts)
    return table(RUN_COLUMNS, [_run_row(run) for run in runs]) if runs else ""


def _run_row(run: Run) -> list[str]:
    record = run.record
    status = failure(record) if record.status == "failed" else record.status
    if why := dead_run(record):
        status += f"; {why}"
    if record.same_run_as:
        status += f", the same run as {record.same_run_as}"
    if record.data.synthetic:
        status = f"{SYNTHETIC}; {status}"
    commit = f"`{record.git.commit[:8]}`" if record.git.commit else NOTHING
    return [
        f"[{escape(run.path.parent.as_posix().removeprefix('runs/'))}]({quote(run.path.as_posix())})",
        str(record.seed),
        status,
        escape(f"{record.device.kind}: {devices(record.device.name, record.device.count)}"),
        escape(record.versions.get("jax", NOTHING)),
        str(record.training_version),
        commit + (" with changes" if record.git.dirty else ""),
        units.duration(record.time.total_s),
        f"{record.load_average[0]:.1f}, {record.load_average[1]:.1f} / {record.device.host_cores}",
    ]
