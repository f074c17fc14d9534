"""Workers as an array of Slurm jobs, through submitit.

A job that comes near its time limit, or that Slurm preempts, is asked to end, and is put into the queue again; its run
is resumed by whichever worker is next. A job that was killed is not: the other workers take over what it had begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.launch.executor import LaunchError, Resources
from repro.launch.worker import Worker

MINUTES = 60
SIGNAL_S = 60  # before the limit: a worker needs a few seconds to end
REQUEUES = 1000  # a sweep may take many times a queue's limit
_STATES = {"PENDING": "waiting", "REQUEUED": "waiting", "CONFIGURING": "waiting", "UNKNOWN": "waiting"}
_STATES |= {"RUNNING": "running", "COMPLETING": "running", "READY": "running", "COMPLETED": "done"}


class SlurmWorker(Worker):
    """A worker that submitit can put into the queue again."""

    def checkpoint(self) -> Any:
        """Called by submitit before the job is ended: the command resumes by itself, so nothing is handed over."""
        from submitit.helpers import DelayedSubmission

        from repro.launch.worker import stop

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
            import submitit
        except ImportError:
            raise LaunchError(
                '--on slurm needs submitit: pip install "fer-repro[slurm]" (from a checkout: pip install ".[slurm]")'
            ) from None
        try:
            executor = submitit.SlurmExecutor(self.logs.absolute(), max_num_timeout=REQUEUES)
        except RuntimeError as error:  # no sbatch
            raise LaunchError(f"--on slurm: {error}; run it where `sbatch` works") from None
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


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise LaunchError(f"--engine-option {text!r}: write KEY=VALUE, such as partition=gpu")
    return key.strip(), int(value) if value.strip().isdecimal() else value.strip()


class SlurmWorkers:
    """See `executor.Workers`."""

    def __init__(self, logs: Path, jobs: Sequence[Any]) -> None:
        self.logs, self.jobs = logs, jobs

    def poll(self) -> dict[str, int]:
        states: dict[str, int] = {}
        for job in self.jobs:
            state = _STATES.get(job.state.partition(" ")[0], "failed")
            if state == "done" and job.paths.result_pickle.exists() and job.result() != 0:
                state = "failed"
            states[state] = states.get(state, 0) + 1
        return states

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel(check=False)
