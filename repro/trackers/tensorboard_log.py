"""TensorBoard: event files below ``results/tensorboard``, written by tensorboardX; `tensorboard --logdir` shows it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.trackers.logged_run import LoggedRun


class TensorboardTracker:
    def __init__(self, results: Path) -> None:
        self.folder = results / "tensorboard"

    def begin(self, run: LoggedRun) -> TensorboardRun:
        """Event files of an earlier process are removed: the whole history comes again."""
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

        folder = self.folder / run.place
        shutil.rmtree(folder, ignore_errors=True)
        writer = SummaryWriter(str(folder), write_to_disk=True)
        writer.add_text("settings", "\n".join(f"    {key} = {value}" for key, value in run.config.items()))
        return TensorboardRun(writer)


class TensorboardRun:
    """See `RunLog`."""

    def __init__(self, writer: Any) -> None:
        self._writer, self._last = writer, 0

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
        self._last = epoch

    def end(self, values: Mapping[str, float], status: str) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, self._last)
        self._writer.add_text("status", status)
        self._writer.close()
