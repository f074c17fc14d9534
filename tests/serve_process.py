"""`repro serve` in a process of its own, with a network trained once for all tests; or its application alone."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from filelock import FileLock
from starlette.types import ASGIApp

from repro.cli.main import main
from repro.use.serve.limits import Limits

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "repro", "serve")
# The same without the words of the command, where a test needs shorter times than a user.
WITH_LIMITS = """
import sys
from pathlib import Path
from repro.use.serve.limits import Limits
from repro.use.serve.start import start
start("127.0.0.1", 0, results=Path(sys.argv[1]), limits=Limits({limits}))
"""
TIMEOUT_S = 180


def trained_results(folders: pytest.TempPathFactory, make_paper: Callable[..., Path]) -> Path:
    """A results folder with one run of a tiny network on drawn faces; the same for all test files and, with
    pytest-xdist, for all its workers. No test writes to it."""
    base = folders.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "serve"
    with FileLock(shared / "serve.lock"):
        if not folder.exists():
            making = shared / "serve-in-the-making"
            making.mkdir()
            paper = make_paper(making, units=64, epochs=12, learning_rate=0.02)
            call = ["run", str(paper), "--data", "synthetic", "--limit-train", "2000"]
            run = CliRunner().invoke(main, [*call, "--results", str(making / "results"), "--device", "cpu"])
            assert run.exit_code == 0, run.output
            making.rename(folder)
    return folder / "results"


def ask(app: ASGIApp, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    """One request to an application without a socket, with headers in the spelling of Python (sec_fetch_site)."""

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8765") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=named)

    return asyncio.run(call())


class Server:
    """A server that answers. url: of its page, with the token where there is one."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log
        found = re.fullmatch(r"(http://([^/]+):(\d+))/(?:#token=(.*))?", url)
        assert found, url
        self.address, self.host, self.token = found[1], found[2], found[4]
        self.port = int(found[3])

    def log(self) -> str:
        """What it wrote to standard error so far."""
        return self._log.read_text()

    def memory_bytes(self) -> int:
        """Held in memory now (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]

    def interrupt(self) -> int:
        """Ctrl-C. Returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(TIMEOUT_S)


@contextmanager
def running(results: Path, *options: str, limits: Limits | None = None) -> Iterator[Server]:
    """The command on a free port, or with `limits` the server that it starts."""
    log = results.parent / f"serve-{len(list(results.parent.iterdir()))}.log"
    command = [*COMMAND, "--port", "0", "--results", str(results), *options]
    if limits is not None:
        given = ", ".join(f"{name}={getattr(limits, name)!r}" for name in limits.__dataclass_fields__)
        command = [sys.executable, "-c", WITH_LIMITS.format(limits=given), str(results)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment)
    try:
        assert process.stdout
        found = re.match(r"serving on (\S+) ", process.stdout.readline())
        assert found, log.read_text()
        yield Server(process, found[1], log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
