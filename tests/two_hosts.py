"""One run by two processes of this machine, each with one CPU device, as two hosts would do it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tiny_runs import process_environment

TIMEOUT_S = 300


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class TwoHosts:
    """``repro run`` of the tiny paper in `folder`. Each process has its own working folder: no disk is shared."""

    def __init__(self, folder: Path, results: str = "results") -> None:
        self.folder, self.results = folder, folder / results
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *more: str, data: tuple[str, str] = ("tiny.npz", "tiny.npz")) -> None:
        """Process 0, which has the spec and the results folder, and process 1, which has neither."""
        port = free_port()
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        self.stop()
        self.processes = []
        for number, place in enumerate((self.folder, elsewhere)):
            words = ["./tiny.toml", "--device", "cpu", "--data", str(self.folder / data[number]), *more]
            words += ["--results", str(self.results) if number == 0 else "results"]
            words += ["--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--process-id", str(number)]
            started = subprocess.Popen(
                [sys.executable, "-m", "repro", "run", *words],
                cwd=place,
                env=process_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.processes.append(started)

    def end(self, number: int, within_s: float = TIMEOUT_S) -> tuple[int, str, str]:
        """(exit code, standard output, standard error) of a process that ends by itself."""
        process = self.processes[number]
        try:
            out, err = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise
        return process.returncode, out, err

    def finish(self) -> tuple[str, str]:
        """What both wrote to standard error, once they have ended well."""
        ended = [self.end(number) for number in (0, 1)]
        assert [code for code, _, _ in ended] == [0, 0], ended
        return ended[0][2], ended[1][2]

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
