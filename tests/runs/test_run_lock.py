"""One process at a time in a run's folder; what killed ones left is removed; a file system without locks is said."""

from __future__ import annotations

import errno
import os

import filelock
import pytest

from repro.runs.run_lock import run_lock


def test_temporary_files_of_killed_writers_are_removed(tmp_path):
    left = ["aside-0123", ".run.json.1a2b", ".predictions.npz.x", "checkpoints/aside-4567", "checkpoints/.asked.json.y"]
    (tmp_path / "checkpoints").mkdir()
    for name in [*left, "run.json", "checkpoints/identity.json"]:
        (tmp_path / name).write_text("")
    with run_lock(tmp_path, pytest.fail):
        there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert there == {"run.json", "run.lock", "checkpoints", "checkpoints/identity.json"}


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "no locks available"), NotImplementedError("no flock")])
def test_without_locks_it_goes_on_and_says_so(tmp_path, monkeypatch, error):
    def refused(self):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    said = []
    with run_lock(tmp_path / "run", said.append):
        pass
    assert said == [f"{tmp_path / 'run'}: this file system has no locks; do not start this run twice at once"]


def test_another_error_of_the_system_is_raised(tmp_path, monkeypatch):
    def refused(self):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    with pytest.raises(OSError, match="Input/output"), run_lock(tmp_path / "run", pytest.fail):
        pass
