"""Workers as tasks of Ray: of the cluster that RAY_ADDRESS names, else of one on this machine.

A worker whose node dies is started again on another. GPUs may be fractions, so that small networks share a card.
"""

from __future__ import annotations

import io
import logging
import os
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repro.launch.executor import LOGS_FOLDER, LaunchError, Resources
from repro.launch.worker import CommandWorker

RETRIES = 10
_LEFT_BEHIND = ("checkpoints", "claim-", "aside-")  # large, or of use on that machine alone


class RayExecutor:
    """results: the results folder. name: of the folder for the workers' messages below it, which is new. shared:
    whether the nodes see the results folder. If not, each worker takes a fixed share of the runs, and sends their
    records and its messages back; networks and checkpoints stay there and are lost."""

    def __init__(self, results: Path, name: str, *, shared: bool = True) -> None:
        self.results, self.name, self.shared = results.absolute(), name, shared

    def start(self, command: Sequence[str], workers: int, resources: Resources) -> RayWorkers:
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise LaunchError(
                '--on ray needs Ray: pip install "fer-repro[ray]" (from a checkout: pip install ".[ray]")'
            ) from None
        if resources.options:
            raise LaunchError(f"--engine-option {resources.options[0]}: --on ray has none; RAY_ADDRESS names a cluster")
        if not ray.is_initialized():
            try:
                ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise LaunchError(f"--on ray: {error}") from None
        task = ray.remote(_work).options(
            num_cpus=resources.cores or 1,
            num_gpus=resources.gpus or None,
            max_retries=RETRIES,
        )
        logs = self.results / LOGS_FOLDER / self.name
        logs.mkdir(parents=True, exist_ok=True)
        names = [f"{LOGS_FOLDER}/{self.name}/worker-{number}.log" for number in range(workers)]
        if self.shared:
            places = [WorkerPlace(name, results=str(self.results)) for name in names]
        else:
            places = [WorkerPlace(name, share=f"{number + 1}/{workers}") for number, name in enumerate(names)]
        tasks = [task.remote(tuple(command), place) for place in places]
        needs = {"CPU": float(resources.cores or 1), "GPU": resources.gpus}
        return RayWorkers(self.results, logs, tasks, {name: need for name, need in needs.items() if need})


class WorkerPlace(NamedTuple):
    """log: of the worker's messages, below the results folder. results: that folder, if the nodes see it; else empty,
    and share is the worker's part of the runs."""

    log: str
    results: str = ""
    share: str = ""


def _work(command: tuple[str, ...], place: WorkerPlace) -> tuple[int, bytes]:
    """On a node: the exit code, and with a share the files of the results folder as a tar archive."""
    if place.results:
        log = Path(place.results, place.log)
        if not log.parent.exists():  # its name is new with every launch
            raise LaunchError(
                f"{place.results}: a node of the Ray cluster does not see this folder; add --no-shared-disk"
            )
        return CommandWorker(command, log=log)(), b""
    with tempfile.TemporaryDirectory(prefix="repro-ray-") as folder:
        log = Path(folder, place.log)
        log.parent.mkdir(parents=True)
        code = CommandWorker((*command, "--results", folder, "--shard", place.share), log=log)()
        return code, _packed(Path(folder))


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(part.startswith(_LEFT_BEHIND) for part in parts):
                archive.add(path, arcname="/".join(parts))
    return packed.getvalue()


class RayWorkers:
    """See `executor.Workers`."""

    def __init__(self, results: Path, logs: Path, tasks: Sequence[Any], needs: dict[str, float]) -> None:
        self.logs = logs
        self.error = ""
        self._results = results
        self._needs = needs  # of each task, by Ray's names of resources
        self._tasks = list(tasks)
        self._ended: dict[int, str] = {}

    def poll(self) -> dict[str, int]:
        import ray  # pyright: ignore[reportMissingImports]

        waiting = [task for number, task in enumerate(self._tasks) if number not in self._ended]
        ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0) if waiting else ([], [])
        for task in ready:
            self._ended[self._tasks.index(task)] = self._result(task)
        left = len(self._tasks) - len(self._ended)
        running = min(left, self._places()) if left else 0
        states = {"running": running, "waiting": left - running}
        for state in self._ended.values():
            states[state] = states.get(state, 0) + 1
        return {state: number for state, number in states.items() if number}

    def _places(self) -> int:
        """Tasks for which the cluster has resources, if nobody else uses it."""
        import ray  # pyright: ignore[reportMissingImports]

        total = ray.cluster_resources()
        return min(int(total.get(name, 0.0) / need + 1e-9) for name, need in self._needs.items())

    def _result(self, task: Any) -> str:
        import ray  # pyright: ignore[reportMissingImports]

        try:
            code, packed = ray.get(task)
        except Exception as error:  # whatever ended the task, Ray wraps it
            self.error = str(error).strip().splitlines()[-1]
            return "failed"
        if packed:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(self._results, filter="data")
        return "done" if code == 0 else "failed"

    def cancel(self) -> None:
        import ray  # pyright: ignore[reportMissingImports]

        for number, task in enumerate(self._tasks):
            if number not in self._ended:
                ray.cancel(task)
