"""Progress of one run in a notebook: a bar of tqdm, with the last epoch's figures."""

from __future__ import annotations

import importlib.util
import warnings
from types import TracebackType
from typing import Any

from fer_jax.train.loop import Progress as EpochProgress
from repro.runs.heartbeat import Heartbeat


class NotebookBar:
    """Use as a context; call `epoch` after each epoch."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._heartbeat = Heartbeat(self._still, "preparing")
        self._bar: Any = None

    def __enter__(self) -> NotebookBar:
        with warnings.catch_warnings():
            # Without ipywidgets the bar is text, which needs no warning.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            self._bar = tqdm(desc=f"{self.title}: preparing", unit=" epochs")
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.__exit__(kind, error, trace)
        self._bar.close()

    def _still(self, text: str) -> None:
        self._bar.set_description(f"{self.title}: {text}")

    def epoch(self, progress: EpochProgress) -> None:
        """Show a finished epoch: loss, accuracy, images/s; tqdm adds the time left."""
        entry = progress.entry
        epoch = entry["epoch"]
        self._heartbeat.under_way(f"training, epoch {min(epoch + 1, progress.epochs)} of {progress.epochs}")
        if self._bar.total is None:  # a resumed run starts at a later epoch
            self._bar.reset(progress.epochs)
            self._bar.initial = epoch - 1
        self._bar.set_description(self.title, refresh=False)
        figures = {"loss": f"{entry['train']['loss']:.4f}", "accuracy": f"{entry['train']['accuracy']:.1%}"}
        figures |= {name: f"{figures['accuracy']:.1%}" for name, figures in entry["splits"].items()}
        self._bar.set_postfix(figures, refresh=False)
        self._bar.n = epoch
        self._bar.refresh()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, and tqdm is installed (extra `notebook`)."""
    try:
        shell = type(get_ipython()).__name__  # type: ignore[name-defined]  # pyright: ignore[reportUndefinedVariable]
    except NameError:
        return False
    return shell != "TerminalInteractiveShell" and importlib.util.find_spec("tqdm") is not None
