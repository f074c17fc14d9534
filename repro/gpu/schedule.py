"""Runs the jobs of a stage within its time, several in parallel. A job that fails or runs out of time is a row of the
table and stops nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repro.gpu.jobs import CallSettings, Job, Stage
from repro.gpu.reports import log_path

POLL_S = 0.1
GRACE_S = 3.0  # between SIGTERM and SIGKILL
LAST_LINES = 6

DONE, FAILED, OUT_OF_TIME, SKIPPED, DONE_BEFORE = "done", "FAILED", "out of time", "no time left", "done before"


@dataclass(frozen=True)
class JobResult:
    """How a job ended. error: the last lines of its output if it failed or was cut off."""

    job: Job
    status: str
    seconds: float
    error: str = ""


class Running:
    """A job's process in a separate process group, with all output in its log."""

    def __init__(self, job: Job, settings: CallSettings) -> None:
        self.job, self.begin = job, time.monotonic()
        self.log = settings.results / log_path(job)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *job.command]
        nice = ["nice", "-n", "19"] if job.beside else []
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [*nice, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.environment},
                start_new_session=True,
            )

    def result(self, status: str) -> JobResult:
        error = "" if status == DONE else last_lines(self.log)
        return JobResult(self.job, status, time.monotonic() - self.begin, error)

    def ended(self) -> JobResult | None:
        """The result; None while the job runs."""
        code = self.process.poll()
        if code is None:
            return None
        return self.result(DONE if code == 0 else FAILED)

    def stop(self) -> None:
        """End the process and all processes it has started."""
        for word, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, word)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            if word == signal.SIGTERM:  # its children may have outlived it
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            return


def last_lines(log: Path) -> str:
    """The end of a log, without empty lines."""
    try:
        lines = log.read_text("utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-LAST_LINES:])


def run_stage(
    stage: Stage,
    settings: CallSettings,
    *,
    seconds: float,
    kept: Callable[[], None],
    say: Callable[[str], None],
    beside: list[Running],
) -> list[JobResult]:
    """Run every job of a stage within `seconds`, `stage.at_once` at a time, in their order.

    kept: called after each finished job, to save its records. beside: jobs that outlast the stage are added to it; the
    caller stops them.
    """
    deadline = time.monotonic() + seconds
    waiting = [job for job in stage.jobs if not job.beside]
    results: list[JobResult] = []
    running: list[Running] = []
    if seconds > 0:
        beside += [_start_beside(stage, settings)] if any(job.beside for job in stage.jobs) else []
    try:
        while waiting or running:
            while waiting and len(running) < stage.at_once:
                job = waiting.pop(0)
                if job.done(settings):
                    results.append(JobResult(job, DONE_BEFORE, 0.0))
                elif deadline - time.monotonic() < job.least:
                    results.append(JobResult(job, SKIPPED, 0.0))
                else:
                    running.append(Running(job, settings))
            late = time.monotonic() >= deadline
            for one in list(running):
                ended = one.ended()
                if ended is None and late:
                    one.stop()
                    ended = one.result(OUT_OF_TIME)
                if ended is not None:
                    running.remove(one)
                    results.append(ended)
                    say(f"  {ended.job.name}: {ended.status}, {ended.seconds:.0f} s")
                    kept()
            if running:
                time.sleep(POLL_S)
    finally:
        for one in running:  # the call itself was interrupted
            one.stop()
    return results


def _start_beside(stage: Stage, settings: CallSettings) -> Running:
    """Start all jobs that run beside the stage, in sequence in one process."""
    jobs = [job for job in stage.jobs if job.beside]
    program = "import subprocess, sys\nfor command in {!r}:\n    subprocess.run([sys.executable, *command])"
    first = jobs[0]
    whole = Job(
        name="beside",
        command=("-c", program.format([job.command for job in jobs])),
        environment=first.environment,
        beside=True,
    )
    return Running(whole, settings)
