"""Progress of one run: a live line on a terminal, plain lines elsewhere. All of it on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fer_jax.train.loop import Progress as EpochProgress
from repro.runs.heartbeat import Heartbeat


class ProgressLine:
    """Use as a context; call `epoch` after each epoch."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = None
        self._begin = time.perf_counter()
        self._first: int | None = None
        self._heartbeat = Heartbeat(self._still, "preparing")

    def __enter__(self) -> ProgressLine:
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[epochs]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(f"{self.title}: preparing", total=None, epochs="")
        else:
            self.console.print(f"{self.title}: preparing", soft_wrap=True)
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.__exit__(kind, error, trace)
        if self._bar is not None:
            self._bar.stop()

    def _still(self, text: str) -> None:
        if self._bar is None:
            self.console.print(f"{self.title}: {text}", soft_wrap=True)
        elif self._task is not None and self._first is None:
            self._bar.update(self._task, description=f"{self.title}: {text}")

    def epoch(self, progress: EpochProgress) -> None:
        """Show a finished epoch: loss, accuracy, images/s, time left."""
        self._heartbeat.spoke()
        entry = progress.entry
        figures = [f"loss {entry['train']['loss']:.4f}", f"accuracy {entry['train']['accuracy']:.1%}"]
        figures += [f"{name} {f['accuracy']:.1%}" for name, f in entry["splits"].items()]
        text = f"{self.title}: {', '.join(figures)}, {progress.images_per_s:,.0f} images/s"
        if self._bar is not None and self._task is not None:
            epochs = f"{entry['epoch']}/{progress.epochs} epochs"
            self._first = entry["epoch"]
            self._bar.update(
                self._task, description=text, total=progress.epochs, completed=entry["epoch"], epochs=epochs
            )
            return
        if self._first is None:  # a resumed run starts at a later epoch, and the first epoch's time holds the compiling
            self._first, self._begin = entry["epoch"], time.perf_counter() - progress.train_s - progress.eval_s
        done = entry["epoch"] - self._first + 1
        left_s = (time.perf_counter() - self._begin) / done * (progress.epochs - entry["epoch"])
        line = f"{text}, epoch {entry['epoch']}/{progress.epochs}, {_duration(left_s)} left"
        self.console.print(line, soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
