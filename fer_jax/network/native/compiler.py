"""The system's C++ compiler, called so that it always ends, with all processes that it has started. No JAX."""

from __future__ import annotations

import atexit
import contextlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from fer_jax.machine.processor import host_cores

# A compiler that does not print its version by then hangs. It takes milliseconds, also on a busy machine.
ANSWER_LIMIT_S = 20.0
# The library takes 12 CPU seconds on an AMD EPYC of 2021, about six times as long on a single-board computer.
COMPILE_LIMIT_S = 180.0

_running: set[subprocess.Popen[str]] = set()
_starting = threading.Lock()  # no compiler is started that `end_all` does not see
_ended = threading.Event()


class NativeError(RuntimeError):
    """The library cannot be compiled or loaded here. The message says why."""


class CompilerHangs(NativeError):
    """The compiler was ended because it took too long."""


def compiler() -> list[str] | None:
    """The C++ compiler's command: $CXX, else the first of c++, g++, clang++ that is installed; None without one.

    Raises NativeError if $CXX is not a command.
    """
    if (named := os.environ.get("CXX", "").strip()) != "":
        try:
            return shlex.split(named)
        except ValueError as error:
            raise NativeError(f"CXX={named} is not a command: {error}") from None
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return [found] if found else None


def flags() -> list[str]:
    """For this very processor."""
    own = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    return ["-O2", own, "-std=c++17", "-fPIC"]


def compile_library(command: list[str], sources: list[Path], include: list[str], target: Path, scratch: Path) -> None:
    """Compile the sources, as many at once as the machine has cores, and link them into one library.

    include: arguments that name folders of headers. scratch: an empty folder for what lies between.
    Raises CompilerHangs after `COMPILE_LIMIT_S`, and NativeError with the compiler's first error.
    """
    deadline = time.monotonic() + COMPILE_LIMIT_S
    _call(command, ["--version"], "anything", scratch, ANSWER_LIMIT_S)
    errors: list[NativeError] = []
    # The longest first: the last one to end decides how long all take.
    waiting = sorted(sources, key=lambda source: source.stat().st_size, reverse=True)
    objects = [scratch / f"{source.stem}.o" for source in sources]

    def compile_some() -> None:
        while not errors:
            try:
                source = waiting.pop(0)
            except IndexError:
                return
            arguments = [*flags(), *include, "-c", str(source), "-o", str(scratch / f"{source.stem}.o")]
            try:
                _call(command, arguments, source.name, scratch, deadline - time.monotonic())
            except NativeError as error:
                errors.append(error)

    # Daemons, because a process that ends does not wait for these. `end_all` ends what they have started.
    workers = [threading.Thread(target=compile_some, daemon=True) for _ in range(min(len(sources), host_cores()))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    arguments = [*flags(), "-shared", *map(str, objects), "-o", str(target)]
    _call(command, arguments, target.name, scratch, deadline - time.monotonic())


def _call(command: list[str], arguments: list[str], what: str, scratch: Path, limit_s: float) -> None:
    shown = shlex.join(command)
    # The compiler's own temporary files go where they are removed even if it is killed.
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C"}
    try:
        with _starting:
            if _ended.is_set():
                raise NativeError("this process is ending")
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
                start_new_session=True,
            )
            _running.add(process)
    except OSError as error:
        raise NativeError(f"{shown}: {error.strerror or error}") from None
    try:
        _, said = process.communicate(timeout=max(0.1, limit_s))
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
        if process.stderr:
            process.stderr.close()
        raise CompilerHangs(f"{shown} did not compile {what} within {limit_s:.0f} s and was ended") from None
    finally:
        _running.discard(process)
    if process.returncode:
        raise NativeError(f"{shown} could not compile {what}: {_first_error(said)}")


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a compiler and all that it has started: a driver alone would leave its compiler behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@atexit.register
def end_all() -> None:
    """End the compilers that still run, when this process ends."""
    with _starting:
        _ended.set()
    for process in list(_running):
        _kill(process)  # its own thread still waits for it


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line]
    return (lines or text.splitlines() or ["it printed nothing"])[0]
