"""The list of all runs, each with its record."""

from __future__ import annotations

from collections.abc import Sequence

from repro.judge.groups import PaperRuns, RecordedRun, devices
from repro.report.tables import NOTHING, SYNTHETIC, dead_note, failure
from repro.text import units
from repro.text.document import Cell, Column, Inline, Table, code, count, joined, link, table

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


def run_table(papers: Sequence[PaperRuns]) -> Table | None:
    """Every record, by path; None if there are none."""
    runs = sorted((run for paper in papers for run in paper.runs), key=lambda run: run.path.parts)
    return table(RUN_COLUMNS, [_run_row(run) for run in runs]) if runs else None


def _run_row(run: RecordedRun) -> list[Cell | Inline]:
    record = run.record
    status: list[Inline] = [failure(record) if record.status == "failed" else record.status, dead_note(record)]
    if record.data.synthetic:
        status = [SYNTHETIC, *status]
    same = f", the same run as {record.same_run_as}" if record.same_run_as else ""
    commit = code(record.git.commit[:8]) if record.git.commit else NOTHING
    before, after = record.load_average
    return [
        link(run.path.parent.as_posix().removeprefix("runs/"), run.path.as_posix()),
        count(record.seed),
        (joined(status, "; "), same),
        f"{record.device.kind}: {devices(record.device.name, record.device.count)}",
        record.versions.get("jax", NOTHING),
        count(record.training_version),
        (commit, " with changes" if record.git.dirty else ""),
        Cell(units.duration(record.time.total_s), record.time.total_s),
        Cell(f"{before:.1f}, {after:.1f} / {record.device.host_cores}", before),
    ]
