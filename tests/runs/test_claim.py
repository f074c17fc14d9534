"""One process at a time works on a run, on one machine or many; a dead one's claim is taken over, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from repro.runs import claim as claim_module
from repro.runs.claim import STALE_S, ClaimLost, Holder, RunClaim, held, holder_of, take, this_process

ROOT = Path(__file__).parents[2]


def claims_in(folder):
    return sorted(path.name for path in folder.glob("claim-*"))


def write(folder, number, holder, *, age_s=0.0):
    folder.mkdir(exist_ok=True)
    path = folder / f"claim-{number}.json"
    path.write_bytes(msgspec.json.encode(holder))
    renewed = time.time() - age_s
    os.utime(path, (renewed, renewed))
    return path


ELSEWHERE = Holder(host="lab2", pid=77, machine="another", started=5)


def test_a_claim_is_there_until_it_is_released(tmp_path):
    folder = tmp_path / "run"
    found = take(folder)
    assert isinstance(found, RunClaim) and claims_in(folder) == ["claim-1.json"]
    other = take(folder)
    assert isinstance(other, Holder) and (other.pid, other.host) == (os.getpid(), this_process().host)
    assert holder_of(folder) == other
    found.release()
    assert claims_in(folder) == [] and holder_of(folder) is None


def test_temporary_files_of_killed_writers_are_removed(tmp_path):
    left = ["aside-0123", ".run.json.1a2b", ".predictions.npz.x", "checkpoints/aside-4567", "checkpoints/.asked.json.y"]
    (tmp_path / "checkpoints").mkdir()
    for name in [*left, "run.lock", "run.json", "checkpoints/identity.json"]:
        (tmp_path / name).write_text("")
    with held(tmp_path, pytest.fail):
        there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert there == {"run.json", "claim-1.json", "checkpoints", "checkpoints/identity.json"}


@pytest.mark.parametrize(
    ("holder", "age_s", "lives"),
    [
        (ELSEWHERE, 1, True),
        (ELSEWHERE, STALE_S + 5, False),
        (msgspec.structs.replace(this_process(), started=1), 0, False),  # its number was given to another process
        (msgspec.structs.replace(this_process(), pid=2**22 + 5), 0, False),
        (this_process(), STALE_S + 5, True),  # a process that is stopped, as by Ctrl-Z, renews nothing and lives
    ],
)
def test_who_lives(tmp_path, holder, age_s, lives):
    write(tmp_path, 4, holder, age_s=age_s)
    assert (holder_of(tmp_path) is not None) == lives
    found = take(tmp_path)
    assert isinstance(found, Holder) == lives
    if isinstance(found, RunClaim):
        assert claims_in(tmp_path) == ["claim-4.json", "claim-5.json"]
        found.release()
        assert claims_in(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == ({"claim-4.json"} if lives else set())


def test_a_claim_that_is_being_written_counts(tmp_path):
    write(tmp_path, 1, ELSEWHERE).write_bytes(b"")
    found = take(tmp_path)
    assert isinstance(found, Holder) and found == Holder() and found.spoken() == "an unknown host"


def test_a_dead_claim_that_has_gone_meanwhile_is_not_taken_over(tmp_path, monkeypatch):
    """Another process took the run, and a third one after it: whoever saw the dead claim must look again."""
    write(tmp_path, 1, ELSEWHERE, age_s=STALE_S + 5)
    alive = claim_module.is_alive

    def meanwhile(folder, path, content):
        found = alive(folder, path, content)
        if not found:
            write(tmp_path, 1, this_process())
            monkeypatch.setattr(claim_module, "is_alive", alive)
        return found

    monkeypatch.setattr(claim_module, "is_alive", meanwhile)
    assert isinstance(take(tmp_path), Holder) and claims_in(tmp_path) == ["claim-1.json"]


def test_progress_is_seen_and_a_lost_claim_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(claim_module, "BEAT_S", 0.02)
    found = take(tmp_path)
    assert isinstance(found, RunClaim)
    found.progress(7, 50, 120.0, 31.5)
    wait_for(lambda: (one := holder_of(tmp_path)) is not None and one.spoken().endswith("epoch 7 of 50"))
    write(tmp_path, 2, ELSEWHERE)
    wait_for(lambda: found.lost)
    with pytest.raises(ClaimLost, match="another process has taken this run over"):
        found.progress(8, 50, 120.0, 30.0)
    found.release()
    assert claims_in(tmp_path) == ["claim-2.json"]


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


HOLD = """
import pathlib, sys, time
from repro.runs.claim import RunClaim, take
folder, start = map(pathlib.Path, sys.argv[1:])
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
found = take(folder)
print(isinstance(found, RunClaim), flush=True)
sys.stdin.read()
if isinstance(found, RunClaim):
    found.release()
"""


def contender(folder, start):
    command = [sys.executable, "-c", HOLD, str(folder), str(start)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process):
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_many_that_find_a_killed_process_one_goes_on(tmp_path):
    folder, start = tmp_path / "run", tmp_path / "start"
    killed = contender(folder, tmp_path)
    assert [line_of(killed), line_of(killed)] == ["ready", "True"]
    assert isinstance(take(folder), Holder)
    killed.kill()
    killed.communicate()
    others = [contender(folder, start) for _ in range(4)]
    assert {line_of(one) for one in others} == {"ready"}
    start.touch()
    taken = [line_of(one) for one in others]
    for one in others:
        one.communicate()
    assert sorted(taken) == ["False"] * 3 + ["True"] and claims_in(folder) == []


def test_whoever_waits_says_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(claim_module, "POLL_S", 0.01)
    path = write(tmp_path, 1, msgspec.structs.replace(ELSEWHERE, epoch=3, epochs=9))
    said = []

    def say(text):
        said.append(text)
        path.unlink()

    with held(tmp_path, say):
        pass
    assert said == [f"{tmp_path}: waiting for lab2, process 77, epoch 3 of 9, which works on this run"]


def test_an_error_of_the_system_is_raised(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"), held(tmp_path / "file", pytest.fail):
        pass
