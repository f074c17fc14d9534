"""A disk that is full in the middle of a run, and a results folder that is deleted: one line, and the same numbers
afterwards."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

from fer_jax.train.checkpoint import CheckpointError
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import read_record


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Until nothing more fits, not even an empty folder's entry."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
    return ballast


def numbers(folder: Path) -> tuple[object, ...]:
    record = read_record(folder / RECORD_NAME)
    predictions = (folder / PREDICTIONS_NAME).read_bytes()
    return record.history, record.metrics, record.network_sha256, predictions


def test_a_run_resumes_once_there_is_space_again(do, small_disk):
    whole = numbers(do().folder)
    do.results = small_disk / "results"
    ballast: list[Path] = []

    def full_after_two(progress):
        if progress.entry["epoch"] == 2:
            ballast.append(fill(small_disk))

    with pytest.raises((CheckpointError, OSError)) as error:
        do(report=full_after_two)
    assert "o space left" in str(error.value) and "Traceback" not in str(error.value)
    ballast[0].unlink()
    resumed = do()
    assert resumed.record.resumed == 1 and numbers(resumed.folder) == whole
    assert not list(do.results.rglob("aside-*"))


@pytest.mark.parametrize("deleted", ["results", "checkpoints"])
def test_what_is_deleted_in_the_middle_of_a_run_changes_no_number(do, deleted):
    whole = numbers(do().folder)

    def delete_after_two(progress):
        if progress.entry["epoch"] == 2:
            (checkpoints,) = do.results.rglob("checkpoints")
            shutil.rmtree(do.results if deleted == "results" else checkpoints)

    with pytest.raises(CheckpointError, match=r"best: checkpoint \d cannot be used \(it was deleted\); start again"):
        do(fresh=True, report=delete_after_two)  # the best epoch was before
    again = do()
    assert numbers(again.folder) == whole and do().skipped
