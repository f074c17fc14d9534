"""Downloading: the official clients are called as they are documented, and their failures become two lines."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_jax.data.faces import DataError
from fer_jax.data.formats.download import HANDLES, download


@pytest.mark.parametrize(("source", "client"), [("kaggle", "kagglehub"), ("huggingface", "huggingface_hub")])
def test_without_the_client(source, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(DataError) as error:
        download(source)
    first, second = str(error.value).splitlines()
    assert client in first
    assert f"pip install {client}" in second
    assert HANDLES[source] in second


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> str:
        raise ConnectionError("Max retries exceeded\nwith url: /v1/datasets " + "x" * 500)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=fail))
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=fail))
    for source in ("kaggle", "huggingface"):
        with pytest.raises(DataError) as error:
            download(source)
        first, second = str(error.value).splitlines()
        assert "ConnectionError: Max retries exceeded with url" in first
        assert len(first) < 300
        assert "credentials" in second
        assert "browser" in second


def test_the_clients_are_asked_for_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fer2013.csv").write_text("x")
    asked = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        return str(tmp_path)

    def snapshot_download(repo_id: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append((repo_id, repo_type, allow_patterns))
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    assert download("kaggle", "someone/faces") == tmp_path
    assert download("huggingface") == tmp_path
    assert asked == ["someone/faces", (HANDLES["huggingface"], "dataset", ["*.parquet"])]


def test_nothing_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=lambda _: str(tmp_path)))
    with pytest.raises(DataError, match="no usable file"):
        download("kaggle")
    with pytest.raises(DataError, match="accepted are kaggle, huggingface"):
        download("elsewhere")  # type: ignore[arg-type]
