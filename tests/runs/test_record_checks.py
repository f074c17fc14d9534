"""A record of a stranger is refused for what it says, not only for its types."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_records import make_record, make_spec

from repro.runs.predictions import read_predictions
from repro.runs.record_files import RecordError, RecordWarning
from repro.runs.stored_records import find_records, read_record, scan_records, write_record


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("good")
    document = json.loads(write_record(folder, make_record(make_spec())).read_text())
    document.pop("sha256")  # a stranger's record carries none, or a right one
    return document


def put(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(document))
    node: Any = document
    *way, last = (int(part) if part.isdigit() else part for part in key.split("/"))
    for part in way:
        node = node[part]
    if value is DELETE:
        del node[last]
    else:
        node[last] = value
    return document


DELETE = object()
RAGGED = [[1] * 7] * 6 + [[1] * 6]


def written(folder: Path, document: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder / "run.json"


def test_the_record_that_is_changed_is_good(tmp_path: Path, good: dict[str, Any]) -> None:
    assert read_record(written(tmp_path, good)).paper == "someone2020"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("format", 99, "format 99 is of another version"),
        ("paper", "![a](/etc/hostname)", "paper: .* is not a name"),
        ("variant", "../../x", "variant: .* is not a name"),
        ("variant", "x\n", "variant: .* is not a name"),
        ("protocol", "<script>", "protocol: .* is not a name"),
        ("same_run_as", "[x](javascript:alert(1))", "same_run_as: .* is not a name"),
        ("data/name", "\x1b[2J", "data.name: .* is not a name"),
        ("data/fingerprint", "../x", "not a hash"),
        ("matmul_precision", "x" * 90_000, "is none of float32"),
        ("matmul_precision", "x" * 3_000_000, "a text of 3,000,000 characters"),
        ("versions", {"jax": "x" * 1000}, "1,000 characters"),
        ("metrics/test/n", -1, "out of range"),
        ("metrics/test/n", 10**30, "beyond|Expected"),
        ("metrics/test/accuracy", 1.5, "out of range"),
        ("metrics/test/confusion", RAGGED, "not 7 x 7"),
        ("metrics/test/confusion", [[1] * 3] * 3, "not 7 x 7"),
        ("metrics/test/confusion", [[-1] * 7] * 7, "not 7 x 7"),
        ("metrics", {}, "without spec, history or metrics"),
        ("history", [], "without spec, history or metrics"),
        ("spec", {}, "without spec, history or metrics"),
        ("spec/training", DELETE, "no training settings"),
        ("spec/training", [], "no training settings"),
        ("spec/training/batch_size", "4", "no training settings"),
        ("spec/training/evaluate_every_steps", "a", "evaluate_every_steps is not a number"),
        ("spec/training/evaluate_every_steps", -1, "evaluate_every_steps is below 1"),
        ("data/splits", {}, "no train"),
        ("data/class_rows", [1, 2], "class_rows are not 7"),
        ("data/splits/train/class_rows", [1], "class_rows are not 7"),
        ("time/total_s", -1.0, "total_s: -1 is not a number"),
        ("time/total_s", 1e30, "total_s: 1e.30 is not a number"),
        ("device/count", 0, "at least 1"),
        ("overrides/epochs", -3, "overrides.epochs"),
        ("seed", -1, "seed: -1"),
        ("status", DELETE, "status"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, good: dict[str, Any], key: str, value: Any, says: str) -> None:
    document = put(good, key, value)
    with pytest.raises(RecordError, match=says) as error:
        read_record(written(tmp_path, document))
    assert str(tmp_path / "run.json") in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "", "null", '{"format": 1}', "9" * 10_000])
def test_no_json_and_no_record(tmp_path: Path, content: str) -> None:
    with pytest.raises(RecordError, match=r"run\.json"):
        read_record(written(tmp_path, content))


def odd_files(runs: Path, elsewhere: Path) -> None:
    """A folder, a pipe and a link called run.json, and a text that is no UTF-8."""
    for name in ("folder", "pipe", "link", "bytes"):
        (runs / name).mkdir(parents=True)
    (runs / "folder/run.json").mkdir()
    os.mkfifo(runs / "pipe/run.json")
    (runs / "link/run.json").symlink_to(elsewhere)
    (runs / "bytes/run.json").write_bytes(b'{"paper": "\xff\xfe"}')


def test_a_bad_record_stops_no_other(tmp_path: Path, good: dict[str, Any]) -> None:
    written(tmp_path / "results/runs/good", good)
    written(tmp_path / "results/runs/future", put(good, "format", 99))
    odd_files(tmp_path / "results/runs", written(tmp_path / "other", good))
    with pytest.warns(RecordWarning, match="left out: .*run.json") as warned:
        found = list(find_records(tmp_path / "results"))
    assert [path.parent.name for path, _ in found] == ["good"]
    assert len(warned) == 5
    bad = {path.parent.name for path, one in scan_records(tmp_path / "results") if isinstance(one, RecordError)}
    assert bad == {"bytes", "folder", "future", "link", "pipe"}


def test_predictions_are_a_file_of_this_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"of somebody else")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(RecordError, match="not a regular file"):
            read_predictions(tmp_path / name, "")
    assert read_predictions(tmp_path / "none", "") == {}


def test_a_folder_whose_name_is_no_text(tmp_path: Path, good: dict[str, Any]) -> None:
    name = os.fsdecode(b"caf\xe9")
    written(tmp_path / "runs" / name, good)
    [(path, error)] = scan_records(tmp_path)
    assert isinstance(error, RecordError)
    str(path).encode()
    str(error).encode()


def test_predictions_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "p.npz", predicted=np.zeros(9 << 20))
    with pytest.raises(RecordError, match=r"it unpacks to 75,497,[0-9]+ bytes; at most 67,108,864 are read"):
        read_predictions(tmp_path / "p.npz", "")
