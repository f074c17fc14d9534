"""Workers as an array of Slurm jobs, through submitit.

A job that comes near its time limit, or that Slurm preempts, is asked to end, and is put into the queue again; its run
is resumed by whichever worker is next. A job that was killed is not: the other workers take over what it had begun.
"""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.launch.executor import LaunchError, Resources
from repro.launch.worker import CommandWorker, stop

MINUTES = 60
SIGNAL_S = 60  # before the limit: a worker needs a few seconds to end
REQUEUES = 1000  # a sweep may take many times a queue's limit
LOOKS_BEFORE_LOST = 10
_RUNNING = ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "SIGNALING")


class SlurmWorker(CommandWorker):
    """A worker that submitit can put into the queue again."""

    def checkpoint(self) -> Any:
        """Called by submitit before the job is ended: the command resumes by itself, so nothing is handed over."""
        from submitit.helpers import DelayedSubmission  # pyright: ignore[reportMissingImports]

        process = getattr(self, "_process", None)
        if process is not None:
            stop(process)
        return DelayedSubmission(SlurmWorker(self.command, self.environment))


class SlurmExecutor:
    """logs: a new folder below a disk that the nodes share, for the jobs' scripts and messages. at_most: jobs that may
    run at the same time."""

    def __init__(self, logs: Path, at_most: int | None = None) -> None:
        self.logs, self.at_most = logs, at_most

    def start(self, command: Sequence[str], workers: int, resources: Resources) -> SlurmWorkers:
        try:
            import submitit  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise LaunchError(
                '--on slurm needs submitit: pip install "fer-repro[slurm]" (from a checkout: pip install ".[slurm]")'
            ) from None
        try:
            executor = submitit.SlurmExecutor(self.logs.absolute(), max_num_timeout=REQUEUES)
        except RuntimeError as error:  # no sbatch
            raise LaunchError(f"--on slurm: {error}; run it where `sbatch` works") from None
        _ask_controller()
        given = dict(_option(text) for text in resources.options)
        try:
            executor.update_parameters(
                **{
                    "job_name": "repro",
                    "time": resources.minutes or MINUTES,
                    "cpus_per_task": resources.cores or 1,
                    "signal_delay_s": SIGNAL_S,
                    "array_parallelism": self.at_most or workers,
                    **({"gpus_per_node": int(resources.gpus)} if resources.gpus else {}),
                    **given,
                }
            )
            with executor.batch():
                jobs = [executor.submit(SlurmWorker(command)) for _ in range(workers)]
        except Exception as error:  # submitit raises many kinds; each comes from an option or from sbatch
            raise LaunchError(f"--on slurm: {error}") from None
        return SlurmWorkers(self.logs, jobs)


def _ask_controller() -> None:
    """Raise LaunchError if no controller of Slurm answers, before any file is written."""
    try:
        asked = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, errors="replace")
    except FileNotFoundError:  # `sbatch` will say what is wrong
        return
    if " is UP" in asked.stdout:
        return
    said = (asked.stderr or asked.stdout).strip().splitlines() or ["no answer"]
    raise LaunchError(
        f"--on slurm: no controller of Slurm answers ({said[0]}); run it where `sinfo` lists the cluster's "
        "partitions, or name the cluster's configuration by SLURM_CONF"
    )


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise LaunchError(f"--engine-option {text!r}: write KEY=VALUE, such as partition=gpu")
    return key.strip(), int(value) if value.strip().isdecimal() else value.strip()


class SlurmWorkers:
    """See `executor.Workers`. States are those of `squeue`, and the files that jobs leave when they end: not every
    cluster keeps accounts for `sacct`."""

    def __init__(self, logs: Path, jobs: Sequence[Any]) -> None:
        self.logs, self.jobs = logs, jobs
        self._queued: dict[str, str] | None = None
        self._missing: dict[str, int] = {}  # looks at which a job was neither queued nor had left a result

    def poll(self) -> dict[str, int]:
        queue = self._queue()
        self._queued = self._queued if queue is None else queue
        states: dict[str, int] = {}
        for job in self.jobs:
            state = self._state(job)
            states[state] = states.get(state, 0) + 1
        return states

    def _state(self, job: Any) -> str:
        if self._queued is None:
            return "waiting"
        if (state := self._queued.get(job.job_id)) is not None:
            return "running" if state in _RUNNING else "waiting"
        if job.paths.result_pickle.exists():
            outcome, value = pickle.loads(job.paths.result_pickle.read_bytes())  # written by our own job
            return "done" if (outcome, value) == ("success", 0) else "failed"
        self._missing[job.job_id] = self._missing.get(job.job_id, 0) + 1
        # A file of another node may take some seconds to be seen here.
        return "running" if self._missing[job.job_id] < LOOKS_BEFORE_LOST else "failed"

    def _queue(self) -> dict[str, str] | None:
        """The states of the jobs in the queue by their number; None if the controller does not answer."""
        number = self.jobs[0].job_id.partition("_")[0]
        command = ["squeue", "--noheader", "--array", f"--jobs={number}", "--format=%i %T"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if asked.returncode:
            # It also fails for an array that ended some time ago.
            return {} if "Invalid job id" in asked.stderr else None
        return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if line.strip())

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel(check=False)
