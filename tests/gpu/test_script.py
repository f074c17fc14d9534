""".ci/gpu: the whole script, as it is called, with a CPU in the place of the GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.synthetic import draw_faces
from repro.runs.dataset import synthetic_counts

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 900
PAPER = "teta2022"


@pytest.fixture
def data(tmp_path):
    """Synthetic faces in the official proportions."""
    faces = draw_faces(seed=0, counts=synthetic_counts(32))
    np.savez(tmp_path / "faces.npz", images=faces.images, labels=faces.labels, usage=faces.usage)
    return tmp_path / "faces.npz"


def call(folder, *words, **variables):
    environment = {**os.environ, "PYTHON": sys.executable, "DEVICE": "cpu", "JAX_PLATFORMS": "cpu", **variables}
    environment.pop("JAX_NUM_CPU_DEVICES", None)
    command = [str(ROOT / ".ci" / "gpu"), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)


def test_a_dry_run_lists_all_commands_and_makes_nothing(tmp_path):
    done = call(tmp_path, "out", "faces.npz", 600, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^# (\w+):", done.stdout, re.MULTILINE) == [
        *("works", "published", "audit", "protocols", "variants", "speed")
    ]
    assert "-m repro run-all --seeds 5 --device cpu --data faces.npz --results results" in done.stdout
    assert "-m repro bench onghena --what train" in done.stdout or "torch" not in sys.modules
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_stage_or_limit_is_told(tmp_path):
    assert "no such stage or paper: nothing" in call(tmp_path, "out", "x", 60, "--stages", "nothing").stderr
    assert "works=60,published=300" in call(tmp_path, "out", "x", 60, "--limits", "works:60").stderr


@pytest.mark.skipif("REPRO_WHOLE_CALL" not in os.environ, reason="takes 6 minutes: set REPRO_WHOLE_CALL=1")
def test_checks_and_runs_leave_records_that_a_second_call_takes_as_done(tmp_path, data):
    """Two stages of one paper, with few rows, in a call; the second call has nothing but the archive of the first."""
    words = ["out", data, 800, "--papers", PAPER, "--stages", "works,published", "--seeds", 2, "--jobs", 2]
    short = ["--epochs", 1, "--limit-train", 96, "--limits", "works=400,published=300"]
    first = call(tmp_path, *words, *short)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "3 done" in first.stdout and "1 done" in first.stdout
    assert f"{PAPER} right" in first.stdout and "killed right" in first.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["results.tgz", "table.md"]
    with tarfile.open(tmp_path / "out" / "results.tgz") as archive:
        names = archive.getnames()
    assert sum(name.endswith("/run.json") for name in names) == 2
    assert not any("checkpoints" in name for name in names)
    report = json.loads((tmp_path / "results" / "gpu" / f"works-{PAPER}.json").read_text())
    assert [check["passed"] for check in report["checks"]] == [True, True]

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").rename(elsewhere / "out")
    second = call(elsewhere, *words, *short)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "3 done before" in second.stdout and "1 done before" in second.stdout


def test_data_that_is_not_there_is_a_failed_row_with_its_reason(tmp_path):
    (tmp_path / "broken.tgz").write_bytes(b"no archive")
    words = ["--papers", PAPER, "--stages", "published", "--limit-train", 96]
    archives = ["--archive", "nowhere.tgz", "--archive", "broken.tgz"]
    done = call(tmp_path, "out", "missing.npz", 120, *words, *archives)
    assert done.returncode == 1
    assert done.stderr.count("nothing taken from it") == 2
    assert "1 FAILED" in done.stdout and "missing.npz: no such file or folder" in done.stdout
    assert (tmp_path / "out" / "results.tgz").exists(), "the log comes back"
