"""Several processes with the same command share its runs; what a killed one had begun is finished by the others."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import fill_folder, process_environment

from repro.runs.claim import holder_of
from repro.runs.status import run_statuses
from repro.runs.stored_records import find_records

ROOT = Path(__file__).parents[2]
SEEDS = 5
TIMEOUT_S = 300


@pytest.fixture
def start(tmp_path, tiny_paper, tiny_faces):
    """Start `repro run` of the tiny paper with all seeds; its messages go to the file ``NAME.log``."""
    shape = {"epochs": 8, "size": 16, "units": 64, "batch_size": 8, "learning_rate": 0.006}
    fill_folder(tmp_path, tiny_paper, tiny_faces, **shape)
    environment = process_environment()

    def call(name, results="shared"):
        words = ["run", "./tiny.toml", "--seeds", str(SEEDS), "--device", "cpu", "--data", "tiny.npz"]
        with (tmp_path / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "repro", *words, "--results", results]
            return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)

    return call


@pytest.mark.slow
def test_each_run_is_made_once_and_one_killed_process_loses_nothing(tmp_path, start):
    assert start("alone", "alone").wait(TIMEOUT_S) == 0, (tmp_path / "alone.log").read_text()
    processes = {name: start(name) for name in ("a", "b")}
    killed = killed_in_the_middle(tmp_path / "shared", processes["a"])
    assert processes["b"].wait(TIMEOUT_S) == 0, (tmp_path / "b.log").read_text()
    alone, shared = (dict_of(tmp_path / name) for name in ("alone", "shared"))
    assert sorted(shared) == list(range(SEEDS))
    for seed, record in shared.items():
        assert (record.history, record.metrics) == (alone[seed].history, alone[seed].metrics)
    assert shared[killed].resumed == 1
    trained = [trained_in(tmp_path / f"{name}.log") for name in ("a", "b")]
    assert sorted(trained[0] + trained[1]) == list(range(SEEDS)), "each was made by one of them"
    assert {one.state for one in run_statuses(tmp_path / "shared")} == {"done"}
    assert not list((tmp_path / "shared").rglob("claim-*")) and not (tmp_path / "shared" / "queue").exists()


def killed_in_the_middle(results, process):
    """Kill the process when it has ended an epoch of a run while another process works too. Returns that run's seed."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        for folder in results.glob("runs/*/*/*/*/*/seed-*"):
            holder = holder_of(folder)
            if holder is not None and holder.pid == process.pid and has_checkpoint(folder):
                states = {one.state for one in run_statuses(results)}
                process.kill()
                process.wait()
                assert states >= {"running", "waiting"}
                if not (folder / "run.json").exists():
                    return int(folder.name.removeprefix("seed-"))
                pytest.fail("it had just ended this run")
        assert process.poll() is None
        time.sleep(0.001)
    raise AssertionError("it never worked on a run")


def has_checkpoint(folder):
    """Whether one is there with its digest, which is written after it."""
    try:
        return '"last/' in (folder / "checkpoints" / "digests.json").read_text()
    except FileNotFoundError:
        return False


def dict_of(results):
    return {record.seed: record for _, record in find_records(results)}


def trained_in(log):
    """The seeds that a process trained to the end."""
    lines = log.read_text().splitlines()
    return [int(m[1]) for line in lines if (m := re.search(r"seed (\d+): .* the first update after", line))]
