"""One worker: the command of a user, in a separate process, until no run is left for it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

RESTARTS = 3  # of a process that signals end, one after the other, while no run is finished
STOP_S = 30.0  # that a worker has to end after Ctrl-C; then it is killed, which loses at most the present epoch
KILL_S = 5.0


@dataclass
class CommandWorker:
    """Call it to run ``python -m repro COMMAND`` and wait. It can be pickled, to be called on another machine.

    environment: variables that are set besides those of the calling process. log: a file that the process's messages
    are added to; None for those of the calling process.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None

    def start(self, cores: Sequence[int] = (), log: int | None = None) -> subprocess.Popen[bytes]:
        """Start the process, on these cores alone if any are named. log: a descriptor for its messages."""

        def bind() -> None:
            if cores:
                os.sched_setaffinity(0, cores)

        return subprocess.Popen(
            [sys.executable, "-m", "repro", *self.command],
            env={**os.environ, **self.environment},
            stdout=log,
            stderr=log,
            preexec_fn=bind,  # before any thread of the new process exists
        )

    def __call__(self) -> int:
        """The exit code. A process that a signal ended, as when memory runs out, is started again (`Restarts`).

        Raises WorkerDied if signals end it every time.
        """
        restarts = Restarts(self.command)
        while True:
            with nullcontext() if self.log is None else self.log.open("ab") as log:
                self._process = process = self.start(log=None if log is None else log.fileno())
            try:
                code = process.wait()
            except BaseException:  # the engine asks this process to end, or the user does
                stop(process)
                raise
            if code >= 0:
                return code
            if not restarts.another():
                times = f"{1 + RESTARTS} times while no run was finished"
                raise WorkerDied(f"ended {times}, last by {signal.Signals(-code).name}")


class Restarts:
    """Whether a worker's process that a signal ended is started again.

    A run that needs too much memory ends it every time, so there is a limit. Nodes that die now and then do not: as
    long as the workers finish runs in the results folder of `command`, the count begins again.
    """

    def __init__(self, command: Sequence[str]) -> None:
        named = [folder for word, folder in itertools.pairwise(command) if word == "--results"]
        self._results = Path(named[-1] if named else "results")
        self._finished, self._in_a_row = self._count(), 0

    def another(self) -> bool:
        """Called after each end by a signal."""
        finished = self._count()
        self._in_a_row = 1 if finished > self._finished else self._in_a_row + 1
        self._finished = finished
        return self._in_a_row <= RESTARTS

    def _count(self) -> int:
        return sum(1 for _ in self._results.glob("runs/*/*/*/*/*/seed-*/run.json"))


class WorkerDied(RuntimeError):
    """A signal ended the process of a worker."""


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker: first as by Ctrl-C, then by force. What it had begun can be resumed."""
    for sign, seconds in ((signal.SIGINT, STOP_S), (signal.SIGKILL, KILL_S)):
        deadline = time.monotonic() + seconds
        while not _has_ended(process.pid):
            if sign is not None:
                os.kill(process.pid, sign)
                sign = None
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)


def _has_ended(pid: int) -> bool:
    """Without Popen.wait: that has a lock, and this may run in a signal's handler that has interrupted its holder."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # ended, and waited for
        return True
