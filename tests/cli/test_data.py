"""`repro data status|import|get`."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import draw_tiny_faces

from repro.cli.main import main


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_JAX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    faces = draw_tiny_faces(21, size=48)
    path = tmp_path / "faces.npz"
    np.savez(path, images=faces.images, labels=faces.labels, usage=faces.usage)
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(main, ["data", *(str(word) for word in words)], catch_exceptions=False)


def test_status_without_data_says_what_to_do() -> None:
    done = _call("status")
    assert done.exit_code == 0
    assert "repro data import" in done.stdout
    assert json.loads(_call("status", "--json").stdout)["data_sets"] == []


def test_an_import_tells_what_it_found_and_becomes_the_default(data: Path) -> None:
    done = _call("import", data)
    assert done.exit_code == 0
    assert "21 of 48 x 48" in done.stdout
    assert "official" in done.stdout
    status = json.loads(_call("status", "--json").stdout)
    assert [entry["default"] for entry in status["data_sets"]] == [True]
    assert status["default"] in done.stdout
    assert "imported before" in _call("import", data).stdout


def test_import_as_json_is_one_document(data: Path) -> None:
    document = json.loads(_call("import", data, "--json").stdout)
    assert document["rows"] == 21
    assert document["was_cached"] is False
    assert sum(document["counts"]["Training"].values()) == 21


def test_bad_data_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n0,1 2 3,Training\n")
    done = _call("import", path)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert str(path) in done.stderr
    assert "line 2" in done.stderr or "row 2" in done.stderr
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_get_without_client_or_network_says_in_two_lines_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as where the extra is not installed
    done = _call("get", "--from", "kaggle")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 2
    assert "repro data import" in done.stderr or "import the file" in done.stderr
