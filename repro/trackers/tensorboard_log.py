"""TensorBoard: event files below ``results/tensorboard``, written by tensorboardX; `tensorboard --logdir` shows it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.trackers.logged_run import LoggedRun


class TensorboardTracker:
    def __init__(self, results: Path) -> None:
        self.folder = results / "tensorboard"

    def begin(self, run: LoggedRun) -> TensorboardRun:
        """Event files of an earlier process are removed: the whole history comes again."""
        # Not `SummaryWriter`: it writes in a thread, behind a queue between processes; a run makes one event an epoch.
        from tensorboardX.event_file_writer import EventsWriter  # pyright: ignore[reportMissingImports]

        folder = self.folder / run.place
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        begun = TensorboardRun(EventsWriter(str(folder / "events")))
        begun.text("settings", "\n".join(f"    {key} = {value}" for key, value in run.config.items()))
        return begun


class TensorboardRun:
    """See `RunLog`."""

    def __init__(self, writer: Any) -> None:
        self._writer, self._last = writer, 0

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._last = epoch
        self._scalars(values)

    def end(self, values: Mapping[str, float], status: str) -> None:
        self._scalars(values)
        self.text("status", status)
        self._writer.close()

    def text(self, name: str, words: str) -> None:
        from tensorboardX.summary import text  # pyright: ignore[reportMissingImports]

        self._write(text(name, words))

    def _scalars(self, values: Mapping[str, float]) -> None:
        from tensorboardX.proto import summary_pb2  # pyright: ignore[reportMissingImports]

        summary: Any = summary_pb2
        shown = [summary.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(summary.Summary(value=shown))

    def _write(self, content: Any) -> None:
        from tensorboardX.proto import event_pb2  # pyright: ignore[reportMissingImports]

        events: Any = event_pb2
        self._writer.write_event(events.Event(wall_time=time.time(), step=self._last, summary=content))
        self._writer.flush()
