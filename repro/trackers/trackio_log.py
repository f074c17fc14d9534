"""Trackio: a database below ``results/trackio``, or in TRACKIO_DIR. `trackio show` draws it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.trackers.logged_run import PROJECT, LoggedRun


class TrackioTracker:
    def __init__(self, results: Path) -> None:
        # The package reads it when it is imported.
        os.environ.setdefault("TRACKIO_DIR", str((results / "trackio").absolute()))

    def begin(self, run: LoggedRun) -> TrackioRun:
        import trackio  # pyright: ignore[reportMissingImports]

        begun = trackio.init(
            project=PROJECT,
            name=run.place,
            group=run.paper,
            config=dict(run.config),
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        return TrackioRun(begun)


class TrackioRun:
    """See `RunLog`."""

    def __init__(self, run: Any) -> None:
        self._run, self._last = run, 0

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=epoch)
        self._last = epoch

    def end(self, values: Mapping[str, float], status: str) -> None:
        self._run.log({**values, "status": status}, step=self._last)
        self._run.finish()
