"""`repro launch`: real workers on this machine, on a real Slurm and on a real Ray, where they are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from runs_shared_out import mistakes, records_in
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
on_slurm = pytest.mark.skipif(
    not shutil.which("sbatch") or os.geteuid() != 0, reason="Debian's slurm-wlm and munge, as root"
)
on_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)")


@pytest.fixture
def command(request, tmp_path, tiny_paper, tiny_faces):
    """The words of a launch of the tiny paper, and its environment. Its parameter: the number of epochs."""
    shape = {"epochs": getattr(request, "param", 8), "size": 16, "units": 64, "batch_size": 8, "learning_rate": 0.006}
    fill_folder(tmp_path, tiny_paper, tiny_faces, **shape)
    words = ["./tiny.toml", "--seeds", str(SEEDS), "--device", "cpu", "--data", "tiny.npz", "--results", "results"]
    return words, process_environment()


@pytest.fixture
def call(tmp_path, command):
    """Start any command on the runs of that launch; words that come later count."""
    words, environment = command

    def called(name, *more, **variables):
        with (tmp_path / "log").open("ab") as log:
            started = [sys.executable, "-m", "repro", name, *words, *more]
            return subprocess.Popen(started, cwd=tmp_path, env=environment | variables, stdout=log, stderr=log)

    return called


@pytest.fixture
def start(call):
    return partial(call, "launch")


@pytest.fixture
def slurm(tmp_path):
    """The environment of a real Slurm on this machine."""
    pytest.importorskip("submitit")
    subprocess.run([SLURM, "start", tmp_path / "slurm", "2"], check=True, timeout=120)
    yield {"SLURM_CONF": str(tmp_path / "slurm" / "slurm.conf")}
    subprocess.run([SLURM, "stop", tmp_path / "slurm"], check=True, timeout=60)


@pytest.fixture
def ray_nodes(command):
    """A real Ray on this machine: its address, and the processes of its two nodes."""
    started = [sys.executable, str(Path(__file__).with_name("one_machine_ray.py")), "2"]
    with subprocess.Popen(started, env=command[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        yield json.loads(cluster.stdout.readline())
        cluster.communicate(timeout=60)


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


def descendants(pid):
    """A process and all that it started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


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


@on_slurm
@pytest.mark.slow
def test_slurm_jobs_share_the_runs_and_a_killed_process_loses_nothing(tmp_path, start, slurm):
    process = start("--on", "slurm", "--workers", "2", "--time", "10m", **slurm)
    os.kill(worker_on_a_run(tmp_path / "results", process), signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    all_done(tmp_path / "results")


@on_slurm
@pytest.mark.slow
@pytest.mark.parametrize("command", [100_000], indirect=True)
def test_a_slurm_job_that_runs_into_its_time_limit_goes_back_into_the_queue(tmp_path, call, slurm):
    """Slurm signals the job up to a minute earlier than asked, 30 to 90 s after it began: the run must take longer. It
    keeps a job that was put back waiting for some two minutes."""
    assert call("run", "--seeds", "1", "--epochs", "20", "--results", "short").wait(TIMEOUT_S) == 0
    (short,) = records_in(tmp_path / "short").values()
    epochs = round(150 / (short.time.total_s - short.time.compile_s) * 20)
    long = ("--seeds", "1", "--epochs", str(epochs))
    options = ("--on", "slurm", "--workers", "1", "--time", "2m", "--engine-option", "signal_delay_s=30")
    process = call("launch", *long, *options, **slurm)
    alone = call("run", *long, "--results", "alone")
    assert process.wait(3 * TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    assert alone.wait(TIMEOUT_S) == 0
    shared = records_in(tmp_path / "results")
    assert mistakes(records_in(tmp_path / "alone"), shared, tmp_path / "results") == []
    assert [record.resumed for record in shared.values()] == [1]
    jobs = subprocess.run(["scontrol", "show", "jobs"], env=os.environ | slurm, capture_output=True, text=True)
    assert "Restarts=1" in jobs.stdout


@on_ray
@pytest.mark.slow
def test_a_run_of_a_ray_node_that_dies_is_resumed_on_another_bit_for_bit(tmp_path, call, ray_nodes):
    process = call("launch", "--on", "ray", "--workers", "2", RAY_ADDRESS=ray_nodes["address"])
    worker = worker_on_a_run(tmp_path / "results", process)
    (lost,) = [on_it for node in ray_nodes["nodes"] if worker in (on_it := descendants(node))]
    for pid in lost:  # a machine that dies takes all its processes along
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    all_done(tmp_path / "results")
    assert call("run", "--results", "alone").wait(TIMEOUT_S) == 0
    shared = records_in(tmp_path / "results")
    assert mistakes(records_in(tmp_path / "alone"), shared, tmp_path / "results") == []
    assert any(record.resumed for record in shared.values())


@on_ray
@pytest.mark.parametrize("more", [(), ("--no-shared-disk",)], ids=["shared disk", "records sent back"])
@pytest.mark.slow
def test_ray_tasks_share_the_runs(tmp_path, start, more):
    process = start("--on", "ray", "--workers", "2", *more)
    if not more:
        os.kill(worker_on_a_run(tmp_path / "results", process), signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 0, (tmp_path / "log").read_text()
    all_done(tmp_path / "results")
    assert len(list((tmp_path / "results").glob("launch/*/worker-?.log"))) == 2


@pytest.mark.parametrize(
    ("needs", "running"), [({"CPU": 1.0}, 2), ({"CPU": 1.0, "GPU": 0.25}, 1), ({"CPU": 3.0}, 0), ({"CPU": 0.1}, 5)]
)
def test_tasks_for_which_a_cluster_of_ray_has_no_place_are_waiting(needs, running, tmp_path, monkeypatch):
    cluster = types.ModuleType("ray")
    cluster.cluster_resources = lambda: {"CPU": 2.0, "GPU": 0.3}  # type: ignore[attr-defined]
    cluster.wait = lambda tasks, **_: ([], tasks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", cluster)
    states = RayWorkers(tmp_path, tmp_path, range(5), needs).poll()
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


def test_a_slurm_whose_controller_does_not_answer_leaves_no_file(command, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    for name, lines in {
        "sbatch": "exit 1",
        "srun": "exit 1",
        "scontrol": "echo 'scontrol: error: Unknown host' >&2; exit 1",
    }.items():
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["launch", *command[0], "--on", "slurm"])
    assert done.exit_code == 2 and "no controller of Slurm answers (scontrol: error: Unknown host)" in done.stderr
    assert not (tmp_path / "results").exists()


def test_more_gpus_than_there_are(tmp_path):
    with pytest.raises(LaunchError, match="2 workers need a GPU each, this machine has 1"):
        LocalExecutor(tmp_path, ["0"]).start(["run"], 2, Resources(gpus=1.0))
