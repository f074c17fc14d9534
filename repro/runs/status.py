"""What became of every run in a results folder: from files alone, while other processes work. No JAX here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from repro.runs.asked_runs import asked_runs
from repro.runs.claim import Holder, holder_of
from repro.runs.record_files import RecordError
from repro.runs.records import CHECKPOINTS_NAME, RECORD_NAME, RunRecord, is_unfinished
from repro.runs.set_aside import is_set_aside
from repro.runs.stored_records import read_record

# running: a living process works on it. waiting: a living process was asked for it. stopped: begun, and no process
# works on it; the same command resumes it. unreadable: its record is none. pruned: stopped as a trial of a sweep.
State = Literal["running", "waiting", "stopped", "failed", "unreadable", "pruned", "partial", "done"]
STATES: tuple[State, ...] = ("running", "waiting", "stopped", "failed", "unreadable", "pruned", "partial", "done")
_SEED = re.compile(r"seed-(\d{1,9})")


@dataclass(frozen=True)
class RunStatus:
    """One run. place: its folder below ``results/runs``. epoch: reached, 0 if unknown. record: of done, partial and
    failed runs. holder: of running ones. error: why a run failed or its record is unreadable."""

    place: Path
    state: State
    epoch: int = 0
    record: RunRecord | None = None
    holder: Holder | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """For example ``teta2022 default clean, cpu, fer2013-38d6c66a``."""
        paper, variant, device, protocol, data = self.place.parts[:5]
        return f"{paper} {variant} {protocol}, {device}, {data}"

    @property
    def seed(self) -> int:
        found = _SEED.fullmatch(self.place.name)
        return int(found[1]) if found else 0


def run_statuses(results: Path) -> list[RunStatus]:
    """Every run that was begun, ended, or is waited for, in the order of their folders."""
    runs = results / "runs"
    asked = {folder.relative_to(runs) for folder in asked_runs(results) if folder.is_relative_to(runs)}
    there = set(_run_folders(runs))
    found = [_status(runs, place, place in asked) for place in sorted(there | asked)]
    return [one for one in found if one is not None]


def _run_folders(runs: Path) -> Iterator[Path]:
    """Folders of the depth of a run's. Links are not followed: another one's results folder may hold any."""
    for folder, names, _ in os.walk(runs):
        depth = len(Path(folder).relative_to(runs).parts)
        if depth == 5:
            yield from (Path(folder, name).relative_to(runs) for name in names if _SEED.fullmatch(name))
            names.clear()
        names[:] = [name for name in names if not is_set_aside(Path(name))]


def _status(runs: Path, place: Path, asked: bool) -> RunStatus | None:
    folder = runs / place
    holder = holder_of(folder)
    begun = is_unfinished(folder)
    record, error = _record(folder)
    if holder is not None and (begun or record is None):
        return RunStatus(place, "running", holder.epoch or _last_epoch(folder), holder=holder)
    if error:
        return RunStatus(place, "unreadable", error=error)
    if record is None or (begun and record.status != "pruned"):
        if asked:
            return RunStatus(place, "waiting", _last_epoch(folder))
        return RunStatus(place, "stopped", _last_epoch(folder)) if begun else None
    epoch = record.history[-1].epoch if record.history else 0
    return RunStatus(place, record.status, epoch, record, error=record.error)


def _record(folder: Path) -> tuple[RunRecord | None, str]:
    try:
        return read_record(folder / RECORD_NAME), ""
    except FileNotFoundError:
        return None, ""
    except RecordError as error:
        return None, str(error)


def _last_epoch(folder: Path) -> int:
    """The epoch of the last whole checkpoint; 0 if there is none."""
    try:
        names = os.listdir(folder / CHECKPOINTS_NAME / "last")
    except OSError:
        return 0
    return max((int(name) for name in names if name.isdecimal()), default=0)
