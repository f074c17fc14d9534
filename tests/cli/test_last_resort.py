"""What no command expected is one line with the true cause, and says so if nobody foresaw it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.cli import list as list_command
from repro.cli.main import main

ROOT = Path(__file__).parents[2]


class JaxRuntimeError(RuntimeError):
    """As JAX's class is called."""


def call(error: Exception, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(list_command, "bundled_papers", broken)
    return CliRunner().invoke(main, ["list"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/results/run.json"),
            2,
            "error: /results/run.json: no space left on device; free some space\n",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/results"),
            2,
            "error: /results: permission denied; name a folder that you may use, or change its permissions\n",
        ),
        (OSError(errno.EIO, os.strerror(errno.EIO)), 2, "error: input/output error; the disk or the network share"),
        (MemoryError(), 1, "error: not enough memory: MemoryError\n"),
        (
            JaxRuntimeError("RESOURCE_EXHAUSTED: no room\nmore"),
            1,
            "error: the device failed: RESOURCE_EXHAUSTED: no room\n",
        ),
        (
            KeyError("a bug"),
            1,
            "error: unexpected, probably an error in this program: KeyError: 'a bug'; the traceback",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_line_and_an_exit_code(error, code, line, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = call(error, monkeypatch)
    assert done.exit_code == code and done.stdout == ""
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1
    kept = [path.read_text() for path in tmp_path.glob("repro-*.txt")]
    assert len(kept) == isinstance(error, KeyError)
    assert all("Traceback" in text and "a bug" in text for text in kept)


def test_the_traceback_is_shown_on_demand(monkeypatch):
    monkeypatch.setenv("REPRO_TRACEBACK", "1")
    done = call(KeyError("a bug"), monkeypatch)
    assert isinstance(done.exception, KeyError) and done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_named(unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "repro", "list"]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: standard output: no space left on device; free some space\n"
