"""Processes that share a search for duplicates: every part once, dead ones taken over, damaged files searched again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fer_jax.duplicates.stages import CandidatePairs
from repro.audit.shared_search import SharedSearch, read_part, search_folder, searched_parts, write_part
from repro.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


def pairs(part: int, count: int = 3) -> CandidatePairs:
    a = np.arange(count, dtype=np.int32)
    return CandidatePairs(a, a + 1 + part, a % 2 == 1, a / np.float32(7), np.full((count, 4), part, np.float32))


def same(one: CandidatePairs | None, other: CandidatePairs) -> bool:
    return one is not None and all(
        np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def path_of(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05d}" / "pairs.npz"


def test_a_part_is_read_as_it_was_written_and_none_if_damaged(tmp_path: Path):
    path = tmp_path / "pairs.npz"
    write_part(path, pairs(2))
    assert same(read_part(path), pairs(2))
    content = bytearray(path.read_bytes())
    for at in (30, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        kept = read_part(path)
        assert kept is None or same(kept, pairs(2)), at
    path.write_bytes(content[: len(content) // 2])
    assert read_part(path) is None and read_part(tmp_path / "nothing.npz") is None


def test_each_part_is_searched_once_by_whoever_is_free(tmp_path: Path):
    searched: list[int] = []
    begun = threading.Barrier(2)

    def find(part: int) -> CandidatePairs:
        if len(searched) < 2:
            begun.wait(20)  # both are at work
        searched.append(part)
        return pairs(part)

    found: list[list[CandidatePairs]] = []
    two = [threading.Thread(target=lambda: found.append(SharedSearch(tmp_path, lambda _: None)(7, find))) for _ in "ab"]
    for one in two:
        one.start()
    for one in two:
        one.join(60)
    assert sorted(searched) == list(range(7)) and searched_parts(tmp_path) == 7
    assert all(same(one, pairs(part)) for both in found for part, one in enumerate(both)) and len(found) == 2


def test_what_a_killed_process_held_is_taken_over_and_a_damaged_part_is_searched_again(tmp_path: Path):
    code = f"""
import os, sys, pathlib
sys.path.insert(0, {str(ROOT / "tests" / "audit")!r})
from repro.audit.shared_search import SharedSearch
from test_shared_search import pairs
def find(part):
    if part == 2:
        os.kill(os.getpid(), 9)
    return pairs(part)
SharedSearch(pathlib.Path({str(tmp_path)!r}), print)(4, find)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == -9 and done.stdout == "searched part-00000\nsearched part-00001\n", done.stderr
    assert list((tmp_path / "part-00002").glob("claim-*.json"))
    path_of(tmp_path, 0).write_bytes(b"PK damaged")
    searched: list[int] = []
    found = SharedSearch(tmp_path, lambda _: None)(4, lambda part: searched.append(part) or pairs(part))
    assert searched == [2, 3, 0] and all(same(one, pairs(part)) for part, one in enumerate(found))
    assert not list(tmp_path.glob("part-*/claim-*"))


def test_another_dataset_or_method_has_another_folder(tmp_path: Path):
    folders = {search_folder(tmp_path, data * 64, method) for data in "ab" for method in ("blocks", "index")}
    assert len(folders) == 4 and all(one.is_relative_to(tmp_path / "parts") for one in folders)


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(tmp_path: Path):
    """On synthetic faces, which have copies."""
    for name, words in (("one", []), ("two", ["--on", "local", "--workers", "2", "--cores", "1"])):
        out = tmp_path / name
        command = [sys.executable, "-m", "repro", "audit", "data", "--data", "synthetic", "--out", str(out), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one" / "duplicates.csv").read_bytes() == (tmp_path / "two" / "duplicates.csv").read_bytes()
    one, two = (json.loads((tmp_path / name / "data.json").read_bytes()) for name in ("one", "two"))
    assert one == two and list((tmp_path / "two" / "parts").glob("*/part-*/pairs.npz"))


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--workers", "2"], "--workers: only with --on"), (["--on", "local", "--no-shared-disk"], "share a folder")],
)
def test_options_of_an_engine_are_refused_without_one(words: list[str], says: str):
    from click.testing import CliRunner

    result = CliRunner().invoke(main, ["audit", "data", *words])
    assert result.exit_code == 2 and says in result.stderr
