"""What a command does while JAX is imported or a search runs, which takes seconds. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from fer_jax.network.native import library
from repro.runs.heartbeat import Heartbeat

# Made by the drivers of NVIDIA and AMD. Only JAX knows whether it can use the device.
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd")


def begin_kernels(device: str) -> None:
    """Load or compile the C++ kernels in a thread, if the run is likely to take the CPU."""
    if device == "cpu" or (device == "auto" and not any(Path(name).exists() for name in _GPU_FILES)):
        library.begin(_say)


def sign_of_life(stage: str = "loading JAX and the data") -> Heartbeat:
    """Around what takes seconds, in words: no long silence on standard error."""
    return Heartbeat(_say, stage)


def _say(text: str) -> None:
    click.echo(f"{text} ...", err=True)
