"""A run of earlier settings is kept beside its folder, wherever a process is killed, and comes back if asked for."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from tiny_runs import Killed, stop_at

from repro.runs.record_files import RecordError
from repro.runs.records import RECORD_NAME
from repro.runs.stored_records import find_records, read_record, write_record
from repro.use.trained import find_trained, load_trained


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the lock, which stays where it is."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_an_edited_spec_leaves_the_run_of_the_earlier_settings_whole(do):
    first = do()
    before = content(first.folder)
    second = do(learning_rate=0.01)
    (aside,) = first.folder.parent.glob("seed-0-before-*")
    assert second.folder == first.folder and not second.skipped
    assert content(aside) == before, "record, predictions and network"
    assert do.said == [f"{first.folder}: held a run of earlier settings, which is kept beside it in {aside.name}"]
    assert load_trained(aside).record.network_sha256 == first.record.network_sha256
    assert find_trained(do.results) == second.folder, "the present settings come first"
    assert len(list(find_records(do.results))) == 2
    edited = content(second.folder)
    back = do()
    assert back.skipped and content(back.folder) == before
    (aside,) = first.folder.parent.glob("seed-0-before-*")
    assert content(aside) == edited
    assert do(learning_rate=0.01).skipped


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "future"])
def test_whatever_is_in_place_of_the_record_is_kept(do, tmp_path, kind):
    path = do().folder / RECORD_NAME
    content = path.read_bytes()
    path.unlink()
    if kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(content.replace(b'"format": 1', b'"format": 2'))
    again = do()
    assert not again.skipped and read_record(path).metrics == again.record.metrics
    kept = path.parent.with_name("seed-0-before-unreadable")
    assert os.path.lexists(kept / RECORD_NAME) and (kept / "checkpoints").is_dir()
    (said,) = do.said
    assert said.startswith(f"{path}: not a run record") and said.endswith(f"; it is kept beside it in {kept.name}")


def test_a_run_that_was_half_finished_resumes_after_another_one(do):
    with pytest.raises(Killed):
        do(report=stop_at(2))
    with pytest.raises(Killed):
        do(report=stop_at(1), learning_rate=0.01)
    resumed = do()
    assert resumed.record.resumed == 1
    other = do(learning_rate=0.01)
    assert other.record.resumed == 1


def test_a_run_that_never_made_an_epoch_is_not_kept(do):
    do(learning_rate=1e38)
    do()
    assert not list(do.results.rglob("seed-0-before-*"))


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_kill_while_one_makes_way_loses_nothing(do, monkeypatch, unfinished):
    """At each of the moves: after it, running either settings gives what was there."""
    if unfinished:
        with pytest.raises(Killed):
            do(report=stop_at(2))
    else:
        do()
    folder = do.stored().folder
    before = content(folder)
    rename = Path.rename
    for moves in itertools.count():
        done = itertools.count()

        def killed(self, target, moves=moves, done=done):
            if next(done) == moves:
                raise Killed
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", killed)
            try:
                do.stored(learning_rate=0.01)._make_way()
            except Killed:
                ended = False
            else:
                ended = True
        do.stored(learning_rate=0.01)._make_way()
        (aside,) = folder.parent.glob("seed-0-before-*")
        assert content(aside) == before and content(folder) == {}
        assert do.stored().state == ("resumable" if unfinished else "done")
        do.stored()._return()
        assert content(folder) == before and not aside.exists()
        if ended:
            break
    assert moves == (2 if unfinished else 4)


# --- a record without its network -------------------------------------------------------------------------------------


def without_network(run):
    shutil.rmtree(run.folder / "checkpoints")
    return (run.folder / RECORD_NAME).read_bytes(), (run.folder / "predictions.npz").read_bytes()


def kept_files(run):
    return (run.folder / RECORD_NAME).read_bytes(), (run.folder / "predictions.npz").read_bytes()


def test_a_network_that_is_not_here_is_trained_again_and_its_record_stays(do):
    first = do()
    kept = without_network(first)
    assert do().skipped, "not asked for"
    with pytest.raises(Killed):
        do(with_network=True, report=stop_at(2))
    again = do()  # resumed without the option: it still replaces nothing
    assert not again.skipped and again.record.finished == first.record.finished
    assert kept_files(first) == kept
    assert do.said == [f"{first.folder}: the network is trained again, with exactly the numbers of the record"]
    found = load_trained(first.folder)
    assert found.record.network_sha256 == first.record.network_sha256 and found.record.resumed == 1
    assert do(with_network=True).skipped


def test_a_network_with_other_numbers_has_a_record_of_its_own(do):
    """As on a machine that rounds differently. What predicts says the numbers of its own network."""
    first = do()
    metrics = {name: msgspec.structs.replace(m, accuracy=m.accuracy / 2) for name, m in first.record.metrics.items()}
    other = msgspec.structs.replace(first.record, metrics=metrics, network_sha256="0" * 64)
    write_record(first.folder, other)
    kept = without_network(first)
    again = do(with_network=True)
    assert again.record.metrics == metrics and kept_files(first) == kept
    (said,) = do.said
    accuracy = first.record.metrics["test"].accuracy
    assert f"test {accuracy / 2:.2%} recorded, {accuracy:.2%} now" in said and "The record stays" in said
    assert load_trained(first.folder).record.metrics == first.record.metrics
    fresh = do(fresh=True)
    assert fresh.record.metrics == first.record.metrics and not (first.folder / "network.json").exists()


@pytest.mark.parametrize("link", ["run", "checkpoints", "last", "set aside"])
def test_nothing_is_removed_behind_a_link(do, tmp_path, link):
    """A results folder of a stranger: `--fresh` would empty the folder that a link in it names."""
    folder = do().folder
    place = {"run": folder, "checkpoints": folder / "checkpoints", "last": folder / "checkpoints/last"}.get(link)
    if place is None:
        assert not do(learning_rate=0.01).skipped
        (place,) = folder.parent.glob("seed-0-before-*")
    elsewhere = place.rename(tmp_path / "elsewhere")
    place.symlink_to(elsewhere)
    before = content(elsewhere)
    with pytest.raises(RecordError, match=f"^{place}: a link; "):
        do(fresh=True)
    assert content(elsewhere) == before


def test_the_runs_may_be_on_another_disk(do, tmp_path):
    do()
    (do.results / "runs").rename(tmp_path / "disk")
    (do.results / "runs").symlink_to(tmp_path / "disk")
    assert do().skipped and not do(fresh=True).skipped
