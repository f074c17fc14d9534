"""repro.launch.worker: how often a worker whose process signals end is started again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.launch.worker import RESTARTS, CommandWorker, Restarts, WorkerDied


def finish_run(results: Path, seed: int) -> None:
    folder = results / "runs" / "p" / "default" / "cpu" / "as-published" / "data" / f"seed-{seed}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")


def test_a_process_that_dies_every_time_is_given_up(tmp_path):
    restarts = Restarts(["run", "p", "--results", str(tmp_path)])
    assert [restarts.another() for _ in range(RESTARTS + 1)] == [True] * RESTARTS + [False]


def test_finished_runs_begin_the_count_again(tmp_path):
    restarts = Restarts(["run", "p", "--results", "elsewhere", "--results", str(tmp_path)])
    for seed in range(20):
        finish_run(tmp_path, seed)
        assert restarts.another()
    assert [restarts.another() for _ in range(RESTARTS)] == [True] * (RESTARTS - 1) + [False]


def test_the_messages_of_a_worker_are_added_to_its_log(tmp_path, monkeypatch):
    class Ended:
        def wait(self) -> int:
            return 0

    monkeypatch.setattr(CommandWorker, "start", lambda self, log: os.write(log, b"after") and Ended())
    log = tmp_path / "worker.log"
    log.write_text("before, ")
    assert CommandWorker(["run", "p", "--results", str(tmp_path)], log=log)() == 0
    assert log.read_text() == "before, after"


def test_a_worker_that_is_given_up_says_so(tmp_path, monkeypatch):
    class Killed:
        def wait(self) -> int:
            return -9

    starts = []
    monkeypatch.setattr(CommandWorker, "start", lambda self, log: starts.append(1) or Killed())
    with pytest.raises(WorkerDied, match="ended 4 times while no run was finished, last by SIGKILL"):
        CommandWorker(["run", "p", "--results", str(tmp_path)])()
    assert len(starts) == 1 + RESTARTS
