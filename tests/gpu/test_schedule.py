"""repro.gpu.schedule: real processes that succeed, fail, hang and fork."""

from __future__ import annotations

import os
import time

import pytest

from repro.gpu.jobs import CallSettings, Job, Stage
from repro.gpu.schedule import DONE, DONE_BEFORE, FAILED, OUT_OF_TIME, SKIPPED, run_stage

HANG = "import time; print('begun', flush=True); time.sleep(600)"
# A process that has started another, and does not end when it is asked to.
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(child.pid, flush=True); time.sleep(600)"
)


@pytest.fixture
def settings(tmp_path):
    return CallSettings(out=tmp_path / "out", data="d", seconds=60, results=tmp_path / "results", scratch=tmp_path)


def job(name, program, **more):
    return Job(name, ("-c", program), **{"least": 0.0, **more})


def run(settings, *jobs, seconds=30.0, at_once=1):
    stage = Stage("test", "", seconds, jobs, at_once)
    saved = []
    results = run_stage(
        stage, settings, seconds=seconds, kept=lambda: saved.append(1), say=lambda line: None, beside=[]
    )
    assert len(saved) == sum(one.status not in (DONE_BEFORE, SKIPPED) for one in results)
    return {one.job.name: one for one in results}


def test_a_job_that_fails_is_a_row_with_its_last_lines_and_the_next_one_runs(settings):
    found = run(settings, job("bad", "print('before'); raise ValueError('no such thing')"), job("good", "print(1)"))
    assert found["bad"].status == FAILED and found["bad"].error.endswith("ValueError: no such thing")
    assert found["good"].status == DONE and found["good"].error == ""
    assert "before" in (settings.results / "gpu/logs/bad.txt").read_text()


def test_what_is_out_of_time_is_ended_and_the_rest_is_skipped(settings):
    begin = time.monotonic()
    found = run(settings, job("hangs", HANG), job("later", "print(1)", least=2.0), seconds=3.0)
    assert time.monotonic() - begin < 100
    assert found["hangs"].status == OUT_OF_TIME and found["hangs"].error == "begun"
    assert found["later"].status == SKIPPED


def test_a_stage_without_time_starts_nothing(settings):
    found = run(settings, job("one", "print(1)", least=1.0), seconds=-3.0)
    assert found["one"].status == SKIPPED and not (settings.results / "gpu").exists()


def test_children_are_ended_with_their_parent(settings, monkeypatch):
    monkeypatch.setattr("repro.gpu.schedule.GRACE_S", 0.5)
    run(settings, job("stubborn", STUBBORN), seconds=3.0)
    child = int((settings.results / "gpu/logs/stubborn.txt").read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"  # ended, and not yet waited for by init


def test_jobs_run_side_by_side_with_their_own_variables(settings, tmp_path):
    """Each waits for the file of the other: one after another they would never end."""
    program = (
        "import os, pathlib, time\n"
        "me, other = os.environ['ME'], os.environ['OTHER']\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "(folder / me).touch()\n"
        "while not (folder / other).exists(): time.sleep(0.01)\n"
    )
    two = [job(a, program, environment={"ME": a, "OTHER": b}) for a, b in (("a", "b"), ("b", "a"))]
    found = run(settings, *two, at_once=2)
    assert {one.status for one in found.values()} == {DONE}


def test_what_is_there_already_is_not_made_again(settings):
    done = settings.results / "gpu" / "works-x.json"
    done.parent.mkdir(parents=True)
    done.write_text("{}")
    found = run(settings, job("x", "raise SystemExit(1)", makes=("gpu/works-x.json",)))
    assert found["x"].status == DONE_BEFORE
