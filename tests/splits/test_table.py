"""Which samples the protocols leave out, and why."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_tiny_faces

from fer_jax.data.faces import concatenate
from repro.splits import table
from repro.splits.table import pixel_hashes, split_table, table_csv

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results" / "splits" / "fer2013-clean.csv"


def dataset(*sizes: int):
    """Faces with these numbers of samples per usage, rows numbered through."""
    faces = concatenate([draw_tiny_faces(n, usage=usage) for usage, n in enumerate(sizes)])
    return faces.changed(origin=np.arange(len(faces), dtype=np.int32))


# Rows 0 to 4 are Training, 5 to 8 PublicTest, 9 to 12 PrivateTest.
GROUPS = np.array([0, 1, 2, 1, 4, 1, 6, 6, 4, 9, 9, 4, 12], np.int32)


def test_clean_leaves_out_copies_and_repeats_with_the_reason():
    found = split_table(dataset(5, 4, 4), "clean", lambda: GROUPS)
    assert {split: found.rows_of(split).tolist() for split in table.SPLITS} == {
        "train": [0, 2],
        "validation": [5, 6],
        "test": [9, 11, 12],
    }
    assert {row: reason for row, reason in enumerate(found.reason) if reason} == {
        1: "copy in validation or test",
        3: "copy in validation or test",
        4: "copy in validation or test",
        7: "repeat in validation",
        8: "copy in test",
        10: "repeat in test",
    }


def test_official_leaves_nothing_out():
    found = split_table(dataset(5, 4, 4), "official", lambda: GROUPS)
    assert found.counts() == {"train": 5, "validation": 4, "test": 4} and not any(found.reason)


def test_a_protocol_without_splits_is_refused():
    with pytest.raises(ValueError, match="no splits for protocol 'as-published'"):
        split_table(dataset(5, 4, 4), "as-published", lambda: GROUPS)


def test_hashes_have_as_many_digits_as_tell_images_apart(monkeypatch):
    monkeypatch.setattr(table, "LEAST_DIGITS", 1)
    faces = dataset(40, 4, 4)
    faces = faces.take(np.r_[np.arange(48), 0])
    hashes = pixel_hashes(faces)
    assert len(set(hashes)) == 48 and hashes[0] == hashes[48]
    assert len({digest[:-1] for digest in hashes}) < 48, "one digit less does not"


def test_a_group_is_named_where_the_dataset_holds_an_image_twice():
    lines = list(csv.DictReader(io.StringIO(table_csv(split_table(dataset(5, 4, 4), "clean", lambda: GROUPS)))))
    assert [line["group"] for line in lines] == ["", "1", "", "1", "4", "1", "6", "6", "4", "9", "9", "4", ""]
    assert [line["split"] for line in lines[:3]] == ["train", "", "train"]


def test_the_committed_split_is_that_of_the_recorded_clean_runs():
    lines = list(csv.DictReader(io.StringIO(COMMITTED.read_text(encoding="utf-8"))))
    counts = Counter(line["split"] for line in lines if line["split"])
    (path, *_) = sorted((ROOT / "results/runs/teta2022/default/cpu/clean").glob("fer2013-*/seed-0/run.json"))
    recorded = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert counts == {split: recorded["splits"][split]["rows"] for split in table.SPLITS}
    assert len(lines) == recorded["rows"] == 35_887
    of_group: dict[str, set[str]] = {}
    for line in lines:
        assert bool(line["split"]) != bool(line["reason"])
        if line["group"] and line["split"]:
            of_group.setdefault(line["group"], set()).add(line["split"])
    assert all(len(splits) == 1 for splits in of_group.values()), "an image is in two splits"
