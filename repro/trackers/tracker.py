"""Send runs to trackers: while they train, or from their records. A tracker that fails stops nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from repro.runs.observer import ObservedRun
from repro.runs.records import Epoch, RunRecord
from repro.trackers.logged_run import LoggedRun, RunLog, RunTracker, end_values, epoch_values, planned, recorded
from repro.trackers.mlflow_log import MlflowTracker
from repro.trackers.names import TrackerName
from repro.trackers.tensorboard_log import TensorboardTracker
from repro.trackers.trackio_log import TrackioTracker
from repro.trackers.wandb_log import WandbTracker

_TRACKERS: dict[TrackerName, Callable[[Path], RunTracker]] = {
    "tensorboard": TensorboardTracker,
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
    "trackio": TrackioTracker,
}


def trackers(names: Iterable[TrackerName], results: Path, say: Callable[[str], None]) -> tuple[TrackerObserver, ...]:
    """Observers for `RunContext`. They import their packages with the first epoch."""
    return tuple(TrackerObserver(name, _TRACKERS[name](results), say) for name in dict.fromkeys(names))


class TrackerObserver:
    """Sends what a tracker has not got yet. See `repro.runs.observer.RunObserver`.

    Whatever the tracker raises is said once by `say`; from then on nothing is sent to it. What it prints is printed on
    standard error, because standard output holds the answer of the command.
    """

    def __init__(self, name: str, tracker: RunTracker, say: Callable[[str], None]) -> None:
        self.name, self.failed = name, False
        self._tracker, self._say = tracker, say
        self._open: dict[str, tuple[RunLog, int]] = {}  # by place: the run, and how many epochs it has

    def epoch(self, run: ObservedRun, history: Sequence[dict[str, Any]]) -> None:
        self._safely(lambda: self._send(run.place, lambda: planned(run.place, run.plan), history))

    def ended(self, run: ObservedRun, record: RunRecord) -> None:
        self._safely(lambda: self._end(run.place, lambda: planned(run.place, run.plan), record))

    def finished(self, place: str, record: RunRecord) -> None:
        """Send a run from its record."""
        self._safely(lambda: self._end(place, lambda: recorded(place, record), record))

    def _end(self, place: str, logged: Callable[[], LoggedRun], record: RunRecord) -> None:
        self._send(place, logged, record.history)
        log, _ = self._open.pop(place)
        log.end(end_values(record), record.status)

    def _send(self, place: str, logged: Callable[[], LoggedRun], history: Sequence[dict[str, Any] | Epoch]) -> None:
        if place not in self._open:
            self._open[place] = self._tracker.begin(logged()), 0
        log, sent = self._open[place]
        for entry in history[sent:]:
            number = entry.epoch if isinstance(entry, Epoch) else entry["epoch"]
            log.epoch(number, epoch_values(entry))
        self._open[place] = log, max(sent, len(history))

    def _safely(self, send: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            with redirect_stdout(sys.stderr), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the tracker's packages: nothing that a user could change
                send()
        except Exception as error:  # any: a copy is not worth a run
            self.failed = True
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._say(f"{self.name}: {said}; nothing more is sent to it, and the runs continue")
