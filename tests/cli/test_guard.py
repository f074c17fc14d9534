"""A process that JAX aborts ends with one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """
import os, signal, sys, time
from repro.cli.guard import guard_against_jax, note_ended, note_joined
guard_against_jax("the hosts could not join")
"""
FATAL = (
    "os.write(2, b'F1128 client.h:80] JAX distributed service detected fatal errors. absl::Status: GONE: x. y\\n'); "
)


def start(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", BEGIN + code]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("code", "ended", "out", "err"),
    [
        ("print('answer'); print('shown', file=sys.stderr); os.write(2, b'noise')", 0, "answer\n", "shown\n"),
        ("sys.exit(3)", 3, "", ""),
        (
            "note_joined(); " + FATAL + "os.abort()",
            1,
            "",
            "error: another host ended or cannot be reached; started again on every host, the run resumes from its "
            "last checkpoint\n",
        ),
        ("note_joined(); note_ended(0); " + FATAL + "os.abort()", 0, "", ""),
        ("print('all'); note_joined(); note_ended(2); " + FATAL + "os.abort()", 2, "all\n", ""),
        (FATAL + "os.abort()", 2, "", "error: the hosts could not join (GONE: x)\n"),
        ("os.write(2, b'why\\n'); os.abort()", -signal.SIGABRT, "", "why\n"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "", ""),
        ("os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM, "", ""),
    ],
)
def test_how_the_command_ends(code, ended, out, err):
    process = start(code)
    assert process.communicate(timeout=60) == (out, err)
    assert process.returncode == ended


def test_the_inner_process_ends_with_the_outer_one():
    process = start("print(os.getpid(), flush=True); time.sleep(600)")
    assert process.stdout is not None
    inner = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=60)  # both have closed their output
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(inner, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError("it still lives")
