"""Workers on this machine: a process per GPU, or per group of cores."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_jax.vocabulary.counted import counted
from repro.launch.executor import LaunchError, Resources
from repro.launch.worker import CommandWorker, Restarts, stop


class LocalExecutor:
    """logs: a new folder for the messages of the workers. gpus: numbers of the cards that may be used."""

    def __init__(self, logs: Path, gpus: Sequence[str] = ()) -> None:
        self.logs, self.gpus = logs, gpus

    def start(self, command: Sequence[str], workers: int, resources: Resources) -> LocalWorkers:
        if resources.options:
            raise LaunchError(f"--engine-option {resources.options[0]}: --on local has none")
        if resources.gpus not in (0.0, 1.0):
            raise LaunchError("--on local gives each worker one whole GPU; --on ray can share a card")
        cards = list(self.gpus) if resources.gpus else []
        if resources.gpus and workers > len(cards):
            raise LaunchError(
                f"{counted(workers, 'worker')} need a GPU each, this machine has {len(cards)}; ask for fewer workers"
            )
        cores = sorted(os.sched_getaffinity(0))
        each = resources.cores or max(1, len(cores) // workers)
        if each * workers > len(cores):
            raise LaunchError(
                f"{counted(workers, 'worker')} of {counted(each, 'core')}, but this machine has "
                f"{counted(len(cores), 'core')}"
            )
        self.logs.mkdir(parents=True, exist_ok=True)
        started = LocalWorkers(self.logs)
        for number in range(workers):
            environment = {"CUDA_VISIBLE_DEVICES": cards[number]} if cards else {}
            share = cores[number * each : (number + 1) * each]
            log = self.logs / f"worker-{number}.log"
            started.add(_LocalWorker(CommandWorker(command, environment), share, log, Restarts(command)))
        return started


@dataclass
class _LocalWorker:
    worker: CommandWorker
    cores: Sequence[int]
    log: Path
    restarts: Restarts
    process: subprocess.Popen[bytes] | None = None
    given_up: bool = False

    def begin(self) -> None:
        with self.log.open("ab") as log:
            self.process = self.worker.start(self.cores, log.fileno())


@dataclass
class LocalWorkers:
    """See `executor.Workers`."""

    logs: Path
    _places: list[_LocalWorker] = field(default_factory=list)

    def add(self, place: _LocalWorker) -> None:
        place.begin()
        self._places.append(place)

    def poll(self) -> dict[str, int]:
        states: dict[str, int] = {}
        for place in self._places:
            state = self._state(place)
            states[state] = states.get(state, 0) + 1
        return states

    def _state(self, place: _LocalWorker) -> str:
        assert place.process is not None
        code = place.process.poll()
        if code is not None and code < 0 and not place.given_up:
            if place.restarts.another():
                place.begin()
                code = None
            else:
                place.given_up = True
        return "running" if code is None else "done" if code == 0 else "failed"

    def cancel(self) -> None:
        for place in self._places:
            if place.process is not None:
                stop(place.process)
