"""A contender in its own process, without any other framework loaded, so that its timing is undisturbed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.vocabulary.counted import counted
from repro.bench.machine import peak_memory_bytes

STDERR_LINES = 20
REASON_LETTERS = 300
QUIT_S = 10.0
# How often a silent process is checked; an answer ends the wait at once, whatever this value.
ALIVE_CHECK_S = 1.0

Start = Callable[..., Any]  # gives a Contender, or another object with methods to call and `versions`


class WorkerError(Exception):
    """A contender failed or its process died; the message holds the end of its standard error.

    reason: in one line and without folders, for a record.
    """

    def __init__(self, label: str, message: str, reason: str) -> None:
        super().__init__(f"{label}: {message}")
        self.label = label
        self.reason = re.sub(r"(?<![\w.])(?:/[\w.@+-]+)+/", "", " ".join(reason.split()))[:REASON_LETTERS]


def thread_environment(threads: int, device: str) -> dict[str, str]:
    """Variables that make every framework use the same threads, take GPU memory as needed, and compile from scratch."""
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "NPROC": str(threads),  # read by XLA
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several contenders are alive on one GPU
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # so that compile times are those of a first run
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUNBUFFERED": "1",
    }
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return variables


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set the variables for processes started meanwhile: a framework reads them when it is loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# --- in the process -------------------------------------------------------------------------------------------------


def serve(connection: Connection, stderr_path: str) -> None:
    """Answer commands until `quit`. All output goes to the file, including that of C++ libraries."""
    file = os.open(stderr_path, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    os.dup2(file, 1)
    contender: Any = None
    while True:
        try:
            command, *arguments = connection.recv()
        except EOFError:  # the parent is gone
            return
        if command == "quit":
            return
        try:
            if command == "start":
                start, given = arguments
                contender = start(*given)
                answer: Any = dict(contender.versions)
            elif command == "process":
                answer = peak_memory_bytes(), sorted({name.partition(".")[0] for name in sys.modules})
            else:
                begin = time.perf_counter()
                value = getattr(contender, command)(*arguments)
                answer = time.perf_counter() - begin, value
        except Exception:
            connection.send(("error", traceback.format_exc(limit=-8, chain=False)))
        else:
            connection.send(("ok", answer))


# --- in the parent --------------------------------------------------------------------------------------------------


class Worker:
    """A proxy of a contender in its process. `seconds` is how long its last call took there.

    Use as a context manager, or call `quit`.
    """

    def __init__(
        self,
        start: Start,
        arguments: tuple[Any, ...],
        *,
        label: str,
        variables: dict[str, str],
    ) -> None:
        """Start the process and call `start(*arguments)` in it. All arguments must be picklable.

        label: its name in errors. variables: its environment. Raises WorkerError.
        """
        self.label = label
        self.seconds = 0.0
        handle, path = tempfile.mkstemp(prefix="bench-", suffix=".stderr")
        os.close(handle)
        self._stderr = Path(path)
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, path), name=label)
        with environment(variables):
            self._process.start()
        theirs.close()  # otherwise a dead process would keep its end of the pipe open here
        try:
            self.versions: dict[str, str] = self._ask("start", start, arguments)
        except BaseException:
            self.quit()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.quit()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object in the process; `seconds` is then its duration there. Raises WorkerError."""
        self.seconds, value = self._ask(method, *arguments)
        return value

    def reset(self, seed: int) -> None:
        self.call("reset", seed)

    def disturb(self) -> None:
        self.call("disturb")

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        return self.call("train", rows_SB)

    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        return self.call("predict", rows_SB)

    def device_memory_bytes(self) -> int | None:
        return self.call("device_memory_bytes")

    def peak_memory_bytes(self) -> int:
        """The most memory that the process has held at once, including libraries and data."""
        return self._ask("process")[0]

    def loaded_packages(self) -> list[str]:
        """The top-level packages that the process has imported."""
        return self._ask("process")[1]

    def quit(self) -> None:
        """End the process and discard its standard error."""
        with contextlib.suppress(OSError):
            self._connection.send(("quit",))
        self._process.join(QUIT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()
        self._stderr.unlink(missing_ok=True)

    def _ask(self, *message: Any) -> Any:
        try:
            self._connection.send(message)
            # The end of the pipe is not enough: a process forked by the worker may hold it open.
            while not self._connection.poll(ALIVE_CHECK_S):
                if not self._process.is_alive() and not self._connection.poll():
                    raise EOFError
            word, value = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(QUIT_S)
            code = self._process.exitcode
            how = "did not end" if code is None else f"ended with signal {-code}" if code < 0 else f"exited with {code}"
            what = f"its process {how} during `{message[0]}`"
            raise WorkerError(self.label, what + self._said(), what) from None
        if word == "error":
            last = value.strip().splitlines()[-1]
            raise WorkerError(self.label, f"failed during `{message[0]}`:\n{value.strip()}{self._said()}", last)
        return value

    def _said(self) -> str:
        lines = self._stderr.read_text(errors="replace").splitlines() if self._stderr.exists() else []
        tail = [line for line in lines if line.strip()][-STDERR_LINES:]
        return "\n".join([f"; the last {counted(len(tail), 'line')} that it wrote:", *tail]) if tail else ""
