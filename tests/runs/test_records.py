"""Run records: what is written is read again, in one piece, and stays small."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from report_records import make_record, make_spec

from fer_jax.machine import atomic_write
from fer_jax.machine.atomic_write import write_atomically
from repro.runs.folders import run_folder
from repro.runs.predictions import PROBABILITY_ROWS, pack_predictions
from repro.runs.record_files import RecordError
from repro.runs.records import Overrides
from repro.runs.stored_records import find_records, read_record, write_record

COMMITTED_BYTES = 100_000  # the most that a committed run may take


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = make_record(make_spec(), accuracy=0.1 + 0.2, seed=3)
    path = write_record(tmp_path, record)
    assert path == tmp_path / "run.json"
    assert msgspec.json.encode(read_record(path)) == msgspec.json.encode(record)  # tuples in `spec` come back as lists
    assert write_record(tmp_path / "again", read_record(path)).read_bytes() == path.read_bytes()


def test_seconds_are_rounded_and_figures_are_not(tmp_path):
    record = make_record(make_spec(), accuracy=1 / 3)
    time_of_run = msgspec.structs.replace(record.time, compile_s=1 / 3)
    found = read_record(write_record(tmp_path, msgspec.structs.replace(record, time=time_of_run)))
    assert found.time.compile_s == 0.333333
    assert found.metrics["test"].accuracy == 1 / 3


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_what_is_no_record_is_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"run\.json.*delete it"):
        read_record(path)


def test_records_from_before_there_were_some_fields_are_read(tmp_path):
    """A key may be added within a format, with what it stands for where it is not there."""
    path = write_record(tmp_path, make_record(make_spec()))
    raw = msgspec.json.decode(path.read_bytes())
    del raw["seeds_at_once"], raw["time"]["wall_s"], raw["time"]["first_step_s"], raw["sha256"]
    path.write_bytes(msgspec.json.encode(raw))
    found = read_record(path)
    assert (found.seeds_at_once, found.time.wall_s, found.time.first_step_s) == (1, None, None)


def test_records_are_found_in_the_order_of_their_paths(tmp_path):
    for seed in (2, 0, 1):
        write_record(tmp_path / "runs" / "someone2020" / f"seed-{seed}", make_record(make_spec(), seed=seed))
    assert [record.seed for _, record in find_records(tmp_path)] == [0, 1, 2]
    assert list(find_records(tmp_path / "nowhere")) == []


def test_every_difference_between_runs_has_a_folder_of_its_own():
    base = {
        "paper": "p",
        "variant": "v",
        "device": "cpu",
        "protocol": "as-published",
        "data": "fer2013-0123",
        "seed": 0,
    }
    changes = [
        {},
        {"paper": "q"},
        {"variant": "w"},
        {"device": "gpu"},
        {"protocol": "other"},
        {"data": "synthetic-0123"},
        {"seed": 1},
        {"overrides": Overrides(epochs=1)},
        {"overrides": Overrides(limit_train=1)},
        {"overrides": Overrides(epochs=1, limit_train=1)},
        {"precision": "float32"},
        {"precision": "bfloat16"},
    ]
    folders = [run_folder(Path("r"), **{"overrides": Overrides(), **base, **change}) for change in changes]
    assert folders[0] == Path("r/runs/p/v/cpu/as-published/fer2013-0123/seed-0")
    assert len(set(folders)) == len(folders)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "run.json", b"old")

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(atomic_write.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("run.json", b"old")]


def test_a_committed_file_can_be_read_by_everybody(tmp_path):
    assert write_atomically(tmp_path / "a" / "run.json", b"x").stat().st_mode & 0o777 == 0o644


WRITER = """
import sys
from pathlib import Path
from fer_jax.machine.atomic_write import write_atomically
for letter in b"ab" * 100_000:
    write_atomically(Path(sys.argv[1]), bytes([letter]) * 4_000_000)
"""


def test_a_reader_never_sees_half_a_file_and_a_kill_leaves_none(tmp_path):
    path = tmp_path / "run.json"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        seen, reads = set(), 0
        while reads < 100 or len(seen) < 2:
            assert process.poll() is None and time.monotonic() < deadline, "the file was never replaced"
            content = path.read_bytes()
            assert len(content) == 4_000_000 and len(set(content[::1_000])) == 1 and content[0] == content[-1]
            seen.add(content[:1])
            reads += 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    content = path.read_bytes()
    assert content in (b"a" * 4_000_000, b"b" * 4_000_000)


def predictions(rows, splits=("validation", "test"), origins=None):
    """Probabilities as a trained network has them, of rows in a random order."""
    random = np.random.default_rng(1)
    made = {}
    for name in splits:
        labels = random.choice(7, rows, p=np.array([3995, 436, 4097, 7215, 4830, 3171, 4965]) / 28_709)
        logits = random.normal(size=(rows, 7)) * 1.5
        logits[np.arange(rows), labels] += 2.0
        weights = np.exp(logits)
        origin = random.permutation(rows) if origins is None else random.choice(origins, rows)
        made[name] = {
            "probability": (weights / weights.sum(1, keepdims=True)).astype(np.float32),
            "label": labels.astype(np.uint8),
            "origin": origin.astype(np.int32),
        }
    return made


def packed_bytes(made):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **pack_predictions(made))
    return len(buffer.getvalue())


@pytest.mark.parametrize("rows", [100, 3_589, 5_000])
def test_predictions_can_be_read_back(rows):
    made = predictions(rows)
    arrays = pack_predictions(made)
    for name, given in made.items():
        origin = np.cumsum(arrays[f"{name}.origin_delta"])
        order = np.argsort(given["origin"], kind="stable")
        np.testing.assert_array_equal(origin, given["origin"][order])
        np.testing.assert_array_equal(arrays[f"{name}.label"], given["label"][order])
        np.testing.assert_array_equal(arrays[f"{name}.predicted"], given["probability"][order].argmax(1))
        if 2 * rows <= PROBABILITY_ROWS:
            found = arrays[f"{name}.probability"] / 255
            np.testing.assert_allclose(found, given["probability"][order], atol=0.5 / 255 + 1e-6)
        else:
            found = arrays[f"{name}.confidence"] / 255
            np.testing.assert_allclose(found, given["probability"][order].max(1), atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("rows", "origins"),
    [
        (3_589, None),  # the official PublicTest and PrivateTest
        (4_000, None),  # the most with all probabilities
        (10_000, None),  # the most with confidences
        (10_000, 35_887),  # augmented copies: origins stand several times, with gaps
        (28_709, None),  # teta2022 evaluates the training rows twice: 57,418 rows
    ],
)
def test_a_run_is_small_enough_to_be_committed(tmp_path, rows, origins):
    """With a record of 70 epochs, the most of any of the documents."""
    path = write_record(tmp_path, make_record(make_spec(), epochs=70))
    assert packed_bytes(predictions(rows, origins=origins)) + path.stat().st_size < COMMITTED_BYTES
