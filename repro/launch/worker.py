"""One worker: the command of a user, in a process of its own, until no run is left for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FAILED_RUNS = 1  # exit code of `repro run` if runs failed: it is no reason to try again
STOP_S = 60.0  # that a worker has to end after Ctrl-C; then it is killed, which loses at most the present epoch


@dataclass
class Worker:
    """Call it to run ``python -m repro COMMAND`` and wait. It can be pickled, to be called on another machine.

    environment: variables that are set besides those of the calling process.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

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
        """The exit code. Raises WorkerDied if a signal ended the process, for example for lack of memory."""
        self._process = process = self.start()
        try:
            code = process.wait()
        except BaseException:  # the engine asks this process to end, or the user does
            stop(process)
            raise
        if code < 0:
            raise WorkerDied(f"ended by {signal.Signals(-code).name}")
        return code


class WorkerDied(RuntimeError):
    """A signal ended the process of a worker."""


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker: first as by Ctrl-C, then by force. What it had begun can be resumed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
