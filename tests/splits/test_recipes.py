"""The recipes of docs/clean-split.md, run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_tiny_faces

from fer_jax.data.faces import concatenate
from repro.bench.import_csv import write_csv
from repro.splits.formats import write_split
from repro.splits.table import pixel_hashes, split_table

TEXT = (Path(__file__).parents[2] / "docs" / "clean-split.md").read_text(encoding="utf-8")


def recipe(name: str) -> dict[str, Any]:
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.+?)```", TEXT, re.S)
    assert found
    names: dict[str, Any] = {}
    exec(found.group(1), names)
    return names


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faces = concatenate([draw_tiny_faces(n, size=48, usage=usage) for usage, n in enumerate((12, 6, 6))])
    faces = faces.changed(origin=np.arange(24, dtype=np.int32))
    write_csv(faces, tmp_path / "fer2013.csv")
    groups = np.arange(24, dtype=np.int32)
    groups[20] = 3
    made = split_table(faces, "clean", lambda: groups)
    write_split(made, Path("fer2013-clean.csv"), "rows")
    write_split(made, Path("fer2013-clean.npz"), "npz")
    return made


def test_pandas(table):
    names = recipe("pandas")
    assert names["train"].index.tolist() == table.rows_of("train").tolist() == [*range(3), *range(4, 12)]
    assert names["test"].emotion.tolist() == table.faces.labels[18:].tolist()


def test_keras(table):
    names = recipe("keras")
    assert names["x_train"].shape == (11, 48, 48, 1) and names["x_train"].dtype == np.float32
    assert (
        names["x_train"].max() <= 1 and names["y_train"].tolist() == table.faces.labels[table.rows_of("train")].tolist()
    )
    names["data"].close()
    keras = pytest.importorskip("keras")
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")])
    network.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(network.fit(names["x_train"], names["y_train"], verbose=0).history["loss"])


def test_torch(table):
    torch = pytest.importorskip("torch")
    write_split(table, Path("fer2013-clean.pt"), "torch")
    train = recipe("torch")["train"]
    assert len(train) == 11
    images, labels = next(iter(torch.utils.data.DataLoader(train, batch_size=11)))
    assert images.shape == (11, 1, 48, 48) and images.dtype == torch.float32 and images.max() <= 1
    assert labels.tolist() == table.faces.labels[table.rows_of("train")].tolist()


def test_datasets(table, monkeypatch):
    for package in ("datasets", "pyarrow"):
        pytest.importorskip(package)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(Path("cache").resolve()))
    write_split(table, Path("clean"), "parquet")
    names = recipe("datasets")
    assert names["train"]["row"][:] == table.rows_of("train").tolist()
    assert names["test"]["label"][:] == table.faces.labels[table.rows_of("test")].tolist()
    np.testing.assert_array_equal(np.asarray(names["train"][0]["image"]), table.faces.images[0])
    assert names["train"].features["label"].names[3] == "happy"


def test_hash(table):
    pixel_hash = recipe("hash")["pixel_hash"]
    assert [pixel_hash(image) for image in table.faces.images] == pixel_hashes(table.faces)
