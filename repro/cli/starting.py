"""Around the slow parts of a command: signs of life while JAX is imported or a search runs, and what Ctrl-C in training
says. Imports nothing slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from fer_jax.network.native import library
from fer_jax.vocabulary.settings import Precision
from repro.runs.heartbeat import Heartbeat
from repro.trackers.names import TrackerName, installed

# Made by the drivers of NVIDIA and AMD. Only JAX knows whether it can use the device.
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd")


def begin_kernels(device: str) -> None:
    """Load or compile the C++ kernels in a thread, if the run is likely to take the CPU."""
    if device == "cpu" or (device == "auto" and not any(Path(name).exists() for name in _GPU_FILES)):
        library.begin(_say)


def sign_of_life(stage: str = "loading JAX and the data") -> Heartbeat:
    """Around what takes seconds, in words: no long silence on standard error."""
    return Heartbeat(_say, stage)


@contextmanager
def resumable(*, fresh: bool = False) -> Iterator[None]:
    """Around training: after Ctrl-C, say how to resume. fresh: the command has --fresh, which would start over."""
    try:
        yield
    except KeyboardInterrupt:
        without = " without --fresh" if fresh else ""
        click.echo(f"\nstopped; the same command{without} resumes at the last checkpoint", err=True)
        raise


def open_run_context(precisions: Iterable[Precision | None], *, log: tuple[TrackerName, ...], **setting: Any) -> Any:
    """`repro.runs.batch.open_context`, with the trackers of --log. Raises TrackerError if one is not installed."""
    from dataclasses import replace

    from repro.runs.batch import open_context
    from repro.trackers.tracker import trackers

    for name in log:
        installed(name)
    context = open_context(precisions, **setting)
    return replace(context, observers=trackers(log, context.results, context.say))


def _say(text: str) -> None:
    click.echo(f"{text} ...", err=True)
