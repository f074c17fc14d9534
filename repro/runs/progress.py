"""Progress of one run: a live line on a terminal, a bar in a notebook, plain lines elsewhere. All of it on standard
error."""

from __future__ import annotations

import time
from types import TracebackType

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from fer_jax.train.loop import Progress as EpochProgress
from repro.runs.heartbeat import Heartbeat
from repro.runs.notebook_bar import NotebookBar, in_notebook

_WIDE = 100  # columns of a terminal that has room for a bar
_BAR = 20
_TIME_LEFT = 15  # columns: 0:00:00 left, and the blanks between


class ProgressLine:
    """Use as a context; call `epoch` after each epoch."""

    def __init__(self, title: str) -> None:
        self.title = title
        context = click.get_current_context(silent=True)
        plain = True if context is not None and context.color is False else None
        self.console = Console(stderr=True, highlight=False, no_color=plain)
        self._bar: Progress | None = None
        self._task = None
        self._begin = time.perf_counter()
        self._first: int | None = None
        self._heartbeat = Heartbeat(self._still, "preparing")

    def __enter__(self) -> ProgressLine:
        self.console.print(f"{self.title}: preparing", soft_wrap=True)
        if self.console.is_interactive:  # a terminal that can rewrite a line
            bar = [BarColumn(bar_width=_BAR)] if self.console.width >= _WIDE else []
            # what matters most comes first, because a narrow terminal cuts off the end
            columns = [
                *bar,
                TextColumn("{task.fields[epochs]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[left]}"),
            ]
            self._bar = Progress(*columns, TextColumn("{task.description}"), console=self.console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=None, epochs="", left="")
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
            self._bar.update(self._task, description=self._fitting(text, ""))

    def _fitting(self, text: str, epochs: str) -> str:
        """The text, cut off where the columns before it leave no room on one line."""
        bar = _BAR + 1 if self.console.width >= _WIDE else 0
        cut = Text(text)
        cut.truncate(max(1, self.console.width - bar - len(epochs) - _TIME_LEFT), overflow="ellipsis")
        return escape(cut.plain)

    def epoch(self, progress: EpochProgress) -> None:
        """Show a finished epoch: loss, accuracy, images/s, time left."""
        entry = progress.entry
        self._heartbeat.under_way(f"training, epoch {min(entry['epoch'] + 1, progress.epochs)} of {progress.epochs}")
        trained = [f"loss {entry['train']['loss']:.4f}", f"accuracy {entry['train']['accuracy']:.1%}"]
        evaluated = [f"{name} {f['accuracy']:.1%}" for name, f in entry["splits"].items()]
        speed = f"{progress.images_per_s:,.0f} images/s"
        if self._bar is not None and self._task is not None:
            epochs = f"{entry['epoch']}/{progress.epochs} epochs"
            self._first = entry["epoch"]
            text = self._fitting(", ".join([*evaluated, *trained, speed]), epochs)
            self._bar.update(
                self._task,
                description=text,
                total=progress.epochs,
                completed=entry["epoch"],
                epochs=epochs,
                left="left",
            )
            return
        if self._first is None:  # a resumed run starts at a later epoch, and the first epoch's time holds the compiling
            self._first, self._begin = entry["epoch"], time.perf_counter() - progress.train_s - progress.eval_s
        done = entry["epoch"] - self._first + 1
        left_s = (time.perf_counter() - self._begin) / done * (progress.epochs - entry["epoch"])
        figures = ", ".join([*trained, *evaluated, speed])
        line = f"{self.title}: {figures}, epoch {entry['epoch']}/{progress.epochs}, {clock_text(left_s)} left"
        self.console.print(line, soft_wrap=True)


def progress_of(title: str) -> ProgressLine | NotebookBar:
    return NotebookBar(title) if in_notebook() else ProgressLine(title)


def clock_text(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:07:31``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
