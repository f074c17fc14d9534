"""What an engine must do to carry out workers: one page, three engines (`local`, `slurm`, `ray_cluster`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fer_jax.vocabulary.errors import UserError

LOGS_FOLDER = "launch"  # of the results folder; a folder per launch

EngineName = Literal["local", "slurm", "ray"]


class LaunchError(UserError):
    """Workers cannot be started as asked; the message says what to change."""


@dataclass(frozen=True)
class Resources:
    """What each worker gets. cores: None for the engine's default. gpus: a fraction shares a card, where the engine can
    (Ray). minutes: longest time of a worker, where the engine wants one (Slurm). options: passed on to the engine as
    they are, such as ``partition=gpu``."""

    cores: int | None = None
    gpus: float = 0.0
    minutes: int | None = None
    options: tuple[str, ...] = ()


class Executor(Protocol):
    """An engine. Workers share the runs by themselves, so an engine neither knows a run nor decides an order."""

    def start(self, command: Sequence[str], workers: int, resources: Resources) -> Workers:
        """Start `workers` times ``repro COMMAND``. Raises LaunchError."""
        ...


class Workers(Protocol):
    """Workers that were started."""

    logs: Path  # a folder with a file per worker

    def poll(self) -> dict[str, int]:
        """How many workers are in which state: waiting, running, done, failed. A worker that died is started again by
        its engine, a few times, before it counts as failed."""
        ...

    def cancel(self) -> None:
        """End all. What was begun stays resumable."""
        ...


def is_over(states: dict[str, int]) -> bool:
    return not (states.get("waiting") or states.get("running"))
