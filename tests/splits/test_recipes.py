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


def test_npz(table):
    names = recipe("npz")
    assert names["x_train"].shape == (11, 48, 48, 1) and names["x_train"].max() <= 1 and len(names["y_train"]) == 11


def test_hash(table):
    pixel_hash = recipe("hash")["pixel_hash"]
    assert [pixel_hash(image) for image in table.faces.images] == pixel_hashes(table.faces)
