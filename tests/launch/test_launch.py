"""`repro launch`: real workers on this machine, on a real Slurm and on a real Ray, where they are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_runs import fill_folder, process_environment

from repro.cli.main import main
from repro.launch.executor import LaunchError, Resources
from repro.launch.local import LocalExecutor
from repro.launch.ray_cluster import RayWorkers
from repro.runs.claim import holder_of
from repro.runs.status import run_statuses
from repro.runs.stored_records import find_records

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 400
SEEDS = 4
SLURM = Path(__file__).with_name("one_machine_slurm.sh")


@pytest.fixture
def command(tmp_path, tiny_paper, tiny_faces):
    """The words of a launch of the tiny paper, and its environment."""
    shape = {"epochs": 8, "size": 16, "units": 64, "batch_size": 8, "learning_rate": 0.006}
    fill_folder(tmp_path, tiny_paper, tiny_faces, **shape)
    words = ["./tiny.toml", "--seeds", str(SEEDS), "--device", "cpu", "--data", "tiny.npz", "--results", "results"]
    return words, process_environment()


@pytest.fixture
def start(tmp_path, command):
    words, environment = command

    def call(*more, **variables):
        with (tmp_path / "log").open("ab") as log:
            started = [sys.executable, "-m", "repro", "launch", *words, *more]
            return subprocess.Popen(started, cwd=tmp_path, env=environment | variables, stdout=log, stderr=log)

    return call


def worker_on_a_run(results, process):
    """The process that works on a run and has saved an epoch of it."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        for folder in results.glob("runs/*/*/*/*/*/seed-*"):
            if list(folder.glob("checkpoints/last/[2-6]")) and (holder := holder_of(folder)) is not None:
                return holder.pid
        assert process.poll() is None
        time.sleep(0.002)
    raise AssertionError("no worker ever worked on a run")


def all_done(results):
    """Every run is done, once; nothing is left behind."""
    assert sorted(record.seed for _, record in find_records(results)) == list(range(SEEDS))
    assert {one.state for one in run_statuses(results)} == {"done"}
    assert not list((results / "runs").rglob("claim-*"))


@pytest.mark.slow
def test_local_workers_share_the_runs_and_one_that_is_killed_is_started_again(tmp_path, start):
    process = start("--on", "local", "--workers", "2")
    killed = worker_on_a_run(tmp_path / "results", process)
    assert killed != process.pid
    os.kill(killed, signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    all_done(tmp_path / "results")
    logs = sorted((tmp_path / "results" / "launch").glob("*/worker-*.log"))
    assert len(logs) == 2 and any(path.read_text().count("[1/4]") > 1 for path in logs), "it began again"


@pytest.mark.skipif(not shutil.which("sbatch") or os.geteuid() != 0, reason="Debian's slurm-wlm and munge, as root")
@pytest.mark.slow
def test_slurm_jobs_share_the_runs_and_a_killed_process_loses_nothing(tmp_path, start):
    pytest.importorskip("submitit")
    subprocess.run([SLURM, "start", tmp_path / "slurm", "2"], check=True, timeout=120)
    try:
        variables = {"SLURM_CONF": str(tmp_path / "slurm" / "slurm.conf")}
        process = start("--on", "slurm", "--workers", "2", "--time", "10m", **variables)
        os.kill(worker_on_a_run(tmp_path / "results", process), signal.SIGKILL)
        assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    finally:
        subprocess.run([SLURM, "stop", tmp_path / "slurm"], check=True, timeout=60)
    all_done(tmp_path / "results")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)")
@pytest.mark.parametrize("more", [(), ("--no-shared-disk",)], ids=["shared disk", "records sent back"])
@pytest.mark.slow
def test_ray_tasks_share_the_runs(tmp_path, start, more):
    process = start("--on", "ray", "--workers", "2", *more)
    if not more:
        os.kill(worker_on_a_run(tmp_path / "results", process), signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    all_done(tmp_path / "results")
    assert not list((tmp_path / "results").glob("aside-*"))


@pytest.mark.parametrize(
    ("needs", "running"), [({"CPU": 1.0}, 2), ({"CPU": 1.0, "GPU": 0.25}, 1), ({"CPU": 3.0}, 0), ({"CPU": 0.1}, 5)]
)
def test_tasks_for_which_a_cluster_of_ray_has_no_place_are_waiting(needs, running, tmp_path, monkeypatch):
    cluster = types.ModuleType("ray")
    cluster.cluster_resources = lambda: {"CPU": 2.0, "GPU": 0.3}  # type: ignore[attr-defined]
    cluster.wait = lambda tasks, **_: ([], tasks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", cluster)
    states = RayWorkers(tmp_path, range(5), None, needs).poll()
    assert states == {state: n for state, n in (("running", running), ("waiting", 5 - running)) if n}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--on", "local", "--time", "2h"), "--time: only with --on slurm"),
        (("--on", "slurm", "--no-shared-disk"), "--no-shared-disk: only with --on ray"),
        (("--fresh",), "delete the results first"),
        (("--shard", "1/2"), "the workers share the runs by themselves"),
        (("--on", "pbs"), "'pbs' is not one of"),
        (("--workers", "1000", "--device", "cpu"), "1,000 workers of 1 core,"),
        (("--on", "local", "--gpus", "0.5"), "one whole GPU"),
        (("--on", "local", "--engine-option", "partition=gpu"), "--on local has none"),
    ],
)
def test_wrong_words(command, tmp_path, words, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["launch", *command[0], *words])
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.stderr


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_an_engine_that_is_not_installed_is_named(command, tmp_path, monkeypatch, engine):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, {"slurm": "submitit"}.get(engine, engine), None)
    done = CliRunner().invoke(main, ["launch", *command[0], "--on", engine])
    assert done.exit_code == 2 and f'pip install "fer-repro[{engine}]"' in done.stderr


def test_more_gpus_than_there_are(tmp_path):
    with pytest.raises(LaunchError, match="2 workers need a GPU each, this machine has 1"):
        LocalExecutor(tmp_path, ["0"]).start(["run"], 2, Resources(gpus=1.0))
