"""`repro sweep`: bad input is one clear error each; processes share the trials, and a killed one loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from tiny_runs import fill_folder, process_environment

from repro.cli.main import main
from repro.runs.claim import holder_of
from repro.runs.status import run_statuses
from repro.runs.stored_records import find_records
from repro.sweep.records import read_sweep

RATE = "training.optimizer.learning_rate"
TIMEOUT_S = 400


@pytest.fixture
def folder(tmp_path, tiny_paper, tiny_faces, monkeypatch):
    """The tiny paper, with epochs that take long enough to kill a process in one."""
    fill_folder(tmp_path, tiny_paper, tiny_faces, epochs=8, size=16, units=64, batch_size=8, learning_rate=0.006)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(*more):
    return ["sweep", "./tiny.toml", "--device", "cpu", "--data", "tiny.npz", "--results", "results", *more]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "nothing to search: give --set"),
        (("--set", "training.epcohs=1,2"), "did you mean `epochs`?"),
        (("--set", f"{RATE}=2..1"), "an empty range"),
        (("--set", f"{RATE}=0..1:log", "--sampler", "tpe"), "a logarithmic range must begin above 0"),
        (("--set", f"{RATE}=0.1,0.2", "--trials", "0"), "--trials 0: from 1"),
        (("--set", f"{RATE}=0.1,0.2", "--sampler", "bayes"), "'bayes' is not one of 'grid', 'random', 'tpe'"),
        (("--set", f"{RATE}=0.1,0.2", "--workers", "2"), "--workers: only with --on"),
        (("--set", f"{RATE}=0.1,0.2", "--on", "ray", "--no-shared-disk"), "the workers of this command share a folder"),
        (("--set", f"{RATE}=0.1,0.2", "--select", "tset"), "did you mean test?"),
        (("--set", f"{RATE}=0.1,0.2", "--log", "wandbb"), "'wandbb' is not one of"),
    ],
)
def test_bad_input_is_one_error(folder, more, message):
    done = CliRunner().invoke(main, words(*more))
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.stderr
    assert not (folder / "results").exists()


def test_a_sweep_file_says_what_is_searched(folder):
    done = CliRunner().invoke(main, ["sweep", "onghena-figure-3", "--sampler", "random"])
    assert done.exit_code == 2 and "onghena-figure-3.toml says what is searched" in done.stderr


def test_without_optuna_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = CliRunner().invoke(main, words("--set", f"{RATE}=0.1,0.2"))
    assert done.exit_code == 2 and 'pip install "fer-repro[sweep]"' in done.stderr


def test_a_sweep_says_what_it_will_do_and_what_it_found_and_logs_its_runs(
    tmp_path, tiny_paper, tiny_faces, monkeypatch
):
    pytest.importorskip("optuna")
    pytest.importorskip("tensorboardX")
    fill_folder(tmp_path, tiny_paper, tiny_faces, epochs=2)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, words("--set", f"{RATE}=0.05,0.0001", "--log", "tensorboard", "--json"))
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "The accuracy on validation (PublicTest) chooses; test (PrivateTest) is reported" in said
    assert "2 of 2 trials to do; no run of this network was made here yet" in said and "[2/2] tiny" in said
    found = json.loads(done.stdout)
    assert (found["settings_tried"], found["selected_on"], found["leakage"]) == (2, "validation", "")
    assert [one["against"] for one in found["verdicts"]] == ["own setting"], "the paper has no claim"
    events = list((tmp_path / "results" / "tensorboard").rglob("events.*"))
    assert {path.parent.relative_to(tmp_path / "results" / "tensorboard").as_posix() for path in events} == {
        run for one in found["trials"] for run in one["runs"]
    }
    again = CliRunner().invoke(main, words("--set", f"{RATE}=0.05,0.0001"))
    shown = " ".join(again.output.split())
    assert again.exit_code == 0 and "0 of 2 trials to do" in shown and "the best of 2 settings tried" in shown


def test_a_tracker_that_is_not_installed_is_an_error_before_anything_is_trained(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    done = CliRunner().invoke(main, ["run", *words()[1:], "--log", "mlflow"])
    assert done.exit_code == 2 and 'pip install "fer-repro[mlflow]"' in done.stderr
    assert not (folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("on", [(), ("--on", "local", "--workers", "2")], ids=["two commands", "--on local"])
def test_two_processes_share_the_trials_and_one_that_is_killed_loses_nothing(folder, on):
    pytest.importorskip("optuna")
    more = words("--set", f"{RATE}=0.006,0.002,0.0005", "--set", "training.batch_size=8,12", "--json", *on)
    processes = [start(folder, name, more) for name in (("a",) if on else ("a", "b"))]
    killed = killed_in_a_trial(folder / "results", None if on else processes[0].pid, processes)
    codes = [process.wait(TIMEOUT_S) for process in processes]
    assert codes == ([0] if on else [-9, 0]), (folder / "log-a").read_text()
    (path,) = (folder / "results").glob("sweeps/tiny/*/sweep.json")
    record = read_sweep(path)
    assert [one.state for one in record.trials] == ["done"] * 6 and record.settings_tried == 6
    made = {run: one for one in record.trials for run in one.runs}
    records = [found for _, found in find_records(folder / "results")]
    assert len(made) == len(records) == 6, "no setting was tried twice"
    assert [found.resumed for found in records if found.resumed] == [1], f"the run of process {killed}"
    assert {one.state for one in run_statuses(folder / "results")} <= {"done", "partial"}
    assert record.best is not None and record.best.chosen_by == max(one.accuracy or 0.0 for one in record.trials)
    assert not list((folder / "results").rglob("claim-*"))
    if not on:
        assert json.loads((folder / "out-b").read_text())["settings_tried"] == 6


def start(folder, name, more):
    with (folder / f"log-{name}").open("wb") as log, (folder / f"out-{name}").open("wb") as out:
        command = [sys.executable, "-m", "repro", *more]
        return subprocess.Popen(command, cwd=folder, env=process_environment(), stdout=out, stderr=log)


def killed_in_a_trial(results, pid, processes):
    """Kill the process that has saved an epoch of a run; with `pid`, that one. Returns its number."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        for place in results.glob("runs/*/*/*/*/*/seed-*"):
            holder = holder_of(place) if list(place.glob("checkpoints/last/[2-6]")) else None
            if holder is not None and pid in (None, holder.pid):
                os.kill(holder.pid, 9)
                return holder.pid
        assert all(process.poll() is None for process in processes)
        time.sleep(0.002)
    raise AssertionError("no process ever worked on a run")
