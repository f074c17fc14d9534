"""Progress of a run on a terminal and elsewhere."""

import io
import logging
import re
import time
from typing import Any

import pytest
from rich.console import Console

from fer_jax.train.loop import Progress
from repro.runs.notebook_bar import NotebookBar
from repro.runs.progress import ProgressLine, progress_of


def _progress(epoch: int, train_s: float = 2.0) -> Progress:
    entry: dict[str, Any] = {
        "epoch": epoch,
        "train": {"loss": 1.25, "accuracy": 0.5, "n": 100},
        "splits": {"validation": {"loss": 1.5, "accuracy": 0.456, "n": 10}},
    }
    return Progress(entry, epochs=4, images_per_s=1234.0, train_s=train_s, eval_s=0.0)


def _line(terminal: bool) -> tuple[ProgressLine, io.StringIO]:
    line, out = ProgressLine("teta2022 seed 0"), io.StringIO()
    line.console = Console(file=out, force_terminal=terminal, width=200)
    return line, out


def test_elsewhere_each_epoch_is_one_plain_line() -> None:
    line, out = _line(terminal=False)
    with line:
        line.epoch(_progress(1))
    assert "\x1b" not in out.getvalue()
    _, text = out.getvalue().splitlines()
    for part in ("loss 1.2500", "accuracy 50.0%", "validation 45.6%", "1,234 images/s", "epoch 1/4", "0:00:06 left"):
        assert part in text


def test_time_left_of_a_resumed_run_counts_only_the_epochs_done_now(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("repro.runs.progress.time.perf_counter", lambda: now)
    line, out = _line(terminal=False)
    with line:
        line.epoch(_progress(3, train_s=10.0))
    assert "epoch 3/4, 0:00:10 left" in out.getvalue()


def test_on_a_terminal_the_line_shows_epochs_and_figures() -> None:
    line, out = _line(terminal=True)
    with line:
        line.epoch(_progress(2))
        assert line._bar is not None
        line._bar.refresh()
    assert "2/4 epochs" in out.getvalue()
    assert "validation 45.6%" in out.getvalue()


@pytest.mark.parametrize("width", [120, 80, 40])
def test_on_a_narrow_terminal_epochs_and_the_time_left_stay(width: int) -> None:
    line, out = _line(terminal=True)
    line.console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with line:
        line.epoch(_progress(2))
        assert line._bar is not None
        line._bar.refresh()
    shown = [text for text in re.split(r"[\r\n]|\x1b\[[0-9;?]*[a-zA-Z]", out.getvalue()) if "2/4" in text]
    assert shown
    for text in shown:
        assert "2/4 epochs" in text and "left" in text and "validation" in text, text
        assert len(text) <= width


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    line, out = _line(terminal=True)
    line.console = Console(file=out, force_terminal=True, width=80)
    with line:
        line.epoch(_progress(1))
    assert "\x1b" not in out.getvalue() and "epoch 1/4" in out.getvalue()


def test_compiling_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.runs.heartbeat.SILENCE_S", 0.01)
    for terminal in (False, True):
        line, out = _line(terminal)
        with line:
            logging.getLogger("fer_jax.train.engine").info("compiling the program")
            begin = time.monotonic()
            while "compiling the program" not in out.getvalue() and time.monotonic() < begin + 30:
                time.sleep(0.01)
        shown = "compiling the program (" if terminal else "teta2022 seed 0: compiling the program ("
        assert shown in out.getvalue()


class ZMQInteractiveShell:
    """As Jupyter's kernel has it."""


class TerminalInteractiveShell:
    """As IPython has it in a terminal."""


@pytest.mark.parametrize(
    ("shell", "kind"), [(ZMQInteractiveShell, NotebookBar), (TerminalInteractiveShell, ProgressLine)]
)
def test_in_a_notebook_it_is_a_bar_with_the_figures_of_the_last_epoch(shell, kind, monkeypatch, capsys) -> None:
    monkeypatch.setattr("builtins.get_ipython", shell, raising=False)
    bar = progress_of("teta2022 seed 0")
    assert type(bar) is kind
    if kind is ProgressLine:
        return
    with bar:
        bar.epoch(_progress(2))
        bar.epoch(_progress(3))
    shown = capsys.readouterr().err
    assert "teta2022 seed 0: preparing" in shown
    last = shown.strip().splitlines()[-1].rpartition("\r")[2]
    for part in ("teta2022 seed 0:  75%", "3/4", "loss=1.2500", "accuracy=50.0%", "validation=45.6%"):
        assert part in last, last
