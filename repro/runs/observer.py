"""Who sees the epochs of runs as they end: trackers, and the pruning of sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from repro.runs.plan import RunPlan
from repro.runs.records import RunRecord


@dataclass(frozen=True)
class ObservedRun:
    """A run that is trained. folder: its own. place: the same below ``results/runs``, its name everywhere."""

    plan: RunPlan
    folder: Path
    place: str


class RunObserver(Protocol):
    """Called in the process that trains. An observer that raises ends the run, so a tracker must not."""

    def epoch(self, run: ObservedRun, history: Sequence[dict[str, Any]]) -> None:
        """After an epoch. history: all entries so far, each as in `repro.runs.records.Epoch`; a process that resumes a
        run begins with those of the processes before. May raise RunPruned."""
        ...

    def ended(self, run: ObservedRun, record: RunRecord) -> None:
        """The run has its record."""
        ...


class RunPruned(Exception):
    """An observer stops the run: it is not worth more epochs. It stays resumable, and has a record that says so.

    histories: by seed, of the runs of the program; known once the runner has seen the exception.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.histories: Mapping[int, Sequence[dict[str, Any]]] = {}
