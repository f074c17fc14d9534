"""repro.gpu.archive: what comes back from a machine, and goes there again."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

from repro.gpu import archive
from repro.gpu.archive import ArchiveError, recorded_files, restore, save


def write(path, payload=b"{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)


@pytest.fixture
def results(tmp_path):
    """Records of a GPU and of a CPU, with what must not travel."""
    folder = tmp_path / "results"
    for device in ("gpu", "cpu"):
        run = folder / "runs" / "paper" / "default" / device / "clean" / "fer2013-1" / "seed-0"
        write(run / "run.json", device.encode())
        write(run / "predictions.npz")
        write(run / "run.lock")
        write(run / "checkpoints" / "last" / "7" / "state" / "x")
        write(folder / "bench" / f"{device}-machine" / "paper-train.json")
    write(folder / "gpu" / "works-paper.json")
    write(folder / "gpu" / "logs" / "works-paper.txt")
    write(folder / "RESULTS.md")
    return folder


def names(path):
    with tarfile.open(path) as found:
        return sorted(found.getnames())


def test_records_of_the_device_travel_and_nothing_large(results, tmp_path):
    (path,) = save(tmp_path / "out", results, "gpu")
    assert path.name == "results.tgz"
    assert names(path) == [
        "results/bench/gpu-machine/paper-train.json",
        "results/gpu/logs/works-paper.txt",
        "results/gpu/works-paper.json",
        "results/runs/paper/default/gpu/clean/fer2013-1/seed-0/predictions.npz",
        "results/runs/paper/default/gpu/clean/fer2013-1/seed-0/run.json",
    ]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["results.tgz"]


def test_what_was_saved_is_restored_and_nothing_is_overwritten(results, tmp_path):
    written = save(tmp_path / "out", results, "gpu")
    other = tmp_path / "other"
    record = other / "runs/paper/default/gpu/clean/fer2013-1/seed-0/run.json"
    write(record, b"newer")
    assert restore(written, other) == 4
    assert record.read_bytes() == b"newer"
    assert (other / "gpu/works-paper.json").read_bytes() == b"{}"
    assert not list(other.glob("runs/*/*/cpu")) and restore(written, other) == 0


def test_members_that_point_elsewhere_are_not_written(tmp_path):
    write(tmp_path / "evil")
    with tarfile.open(tmp_path / "results.tgz", "w:gz") as made:
        made.add(tmp_path / "evil", "results/../../evil")
        made.add(tmp_path / "evil", "results/good")
    inside = tmp_path / "a" / "b"
    assert restore([tmp_path / "results.tgz"], inside) == 1
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and p.name != "results.tgz"].count("evil") == 1


def test_large_results_are_cut_into_parts_that_stay_small(results, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 30_000)
    random = np.random.default_rng(0)
    for seed in range(1, 6):
        write(results / f"runs/paper/default/gpu/clean/fer2013-1/seed-{seed}/run.json", random.bytes(12_000))
    parts = save(tmp_path / "out", results, "gpu")
    assert [p.name for p in parts] == ["results.tgz", "results-2.tgz", "results-3.tgz"]
    assert all(p.stat().st_size <= 30_000 for p in parts)
    found = [name for p in parts for name in names(p)]
    assert len(found) == len(set(found)) == len(list(recorded_files(results, "gpu"))) == 10
    restored = tmp_path / "again"
    assert restore(parts, restored) == 10


def test_too_much_for_all_parts_is_an_error_and_the_first_parts_are_there(results, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1)
    monkeypatch.setattr(archive, "MOST_PARTS", 2)
    with pytest.raises(ArchiveError, match="5 archives would be needed: 7 bytes"):
        save(tmp_path / "out", results, "gpu")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["results-2.tgz", "results.tgz"]
