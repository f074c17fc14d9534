"""Exported splits hold the samples of the table, read by our own import and as other programs read them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import draw_tiny_faces
from PIL import Image

from fer_jax.data.faces import DataError, concatenate
from fer_jax.data.formats import read_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED
from repro.cli.main import main
from repro.splits import export
from repro.splits.formats import FORMS, write_split
from repro.splits.table import SPLITS, split_table


@pytest.fixture(scope="module")
def faces():
    made = concatenate([draw_tiny_faces(n, size=48, usage=usage) for usage, n in enumerate((12, 6, 6))])
    return made.changed(origin=np.arange(24, dtype=np.int32))


@pytest.fixture(scope="module")
def table(faces):
    groups = np.arange(24, dtype=np.int32)
    groups[13] = 3  # a copy of a training sample in validation
    groups[20] = 19  # a repeat in test
    return split_table(faces, "clean", lambda: groups)


def test_csv_is_read_by_our_own_import(table, faces, tmp_path):
    found = read_faces(write_split(table, tmp_path / "x.csv", "csv")).faces
    rows = np.concatenate([table.rows_of(split) for split in SPLITS])
    assert len(found) == 22
    np.testing.assert_array_equal(found.images, faces.images[rows])
    np.testing.assert_array_equal(found.labels, faces.labels[rows])
    np.testing.assert_array_equal(found.usage, faces.usage[rows])


def test_npz(table, faces, tmp_path):
    with np.load(write_split(table, tmp_path / "x.npz", "npz")) as held:
        for split, n in (("train", 11), ("validation", 6), ("test", 5)):
            rows = held[f"row_{split}"]
            assert len(rows) == n
            np.testing.assert_array_equal(held[f"x_{split}"], faces.images[rows])
            np.testing.assert_array_equal(held[f"y_{split}"], faces.labels[rows])
        assert tuple(held["classes"]) == EMOTIONS


def test_folder(table, faces, tmp_path):
    folder = write_split(table, tmp_path / "x", "folder")
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 22 and sorted(path.name for path in tmp_path.iterdir()) == ["x"]
    for path in files:
        row = int(path.stem)
        assert path.parent.name == EMOTIONS[faces.labels[row]] and row in table.rows_of(path.parents[1].name)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), faces.images[row])


def test_parquet(table, faces, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = write_split(table, tmp_path / "x", "parquet")
    assert sorted(path.name for path in folder.iterdir()) == ["test.parquet", "train.parquet", "validation.parquet"]
    held = parquet.read_table(folder / "test.parquet")
    assert held["row"].to_pylist() == table.rows_of("test").tolist()
    assert held["label"].to_pylist() == faces.labels[table.rows_of("test")].tolist()
    described = json.loads(held.schema.metadata[b"huggingface"])["info"]["features"]
    assert described["label"] == {"_type": "ClassLabel", "names": list(EMOTIONS)}
    np.testing.assert_array_equal(read_faces(folder).faces.images[:11], faces.images[table.rows_of("train")])


def test_torch(table, faces, tmp_path):
    torch = pytest.importorskip("torch")
    held = torch.load(write_split(table, tmp_path / "x.pt", "torch"), weights_only=True)
    assert held["train"]["images"].shape == (11, 1, 48, 48) and held["train"]["labels"].dtype == torch.int64
    np.testing.assert_array_equal(held["test"]["images"][:, 0].numpy(), faces.images[table.rows_of("test")])


@pytest.mark.parametrize("form", ["csv", "npz", "folder", "parquet", "torch"])
def test_a_sample_without_a_label_is_refused_by_every_form_with_labels(table, tmp_path, form):
    for package in {"parquet": ["pyarrow"], "torch": ["torch"]}.get(form, []):
        pytest.importorskip(package)
    labels = table.faces.labels.copy()
    labels[20 - 1] = UNLABELLED
    unlabelled = replace(table, faces=table.faces.changed(labels=labels))
    with pytest.raises(DataError, match="row 19 of the dataset has no label"):
        write_split(unlabelled, tmp_path / "x", form)
    assert not (tmp_path / "x").exists()
    assert write_split(unlabelled, tmp_path / "rows", "rows").exists(), "it holds no labels"


@pytest.mark.parametrize("form", FORMS)
def test_what_exists_is_left_alone(table, tmp_path, form):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(DataError, match="x: exists already"):
        write_split(table, tmp_path / "x", form)
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("form", ["rows", "csv", "npz", "folder"])
def test_a_place_that_cannot_be_written_to_is_named(table, tmp_path, form):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        write_split(table, tmp_path / "file" / "x", form)


def test_the_command(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "pictures_of", lambda faces: np.arange(len(faces), dtype=np.int32))
    data = tmp_path / "data.npz"
    np.savez(data, images=faces.images, labels=faces.labels, usage=faces.usage)

    def call(*words: object):
        return CliRunner().invoke(main, ["data", "export", *map(str, words), "--data", str(data)])

    done = call(tmp_path / "x.npz", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["samples"] == {"train": 12, "validation": 6, "test": 6}
    done = call(tmp_path / "rows.csv", "--format", "rows")
    assert "It holds no image" in done.stdout and len((tmp_path / "rows.csv").read_text().splitlines()) == 25
    assert call(tmp_path / "x.csv").stdout.endswith("do not publish it.\n")
    wrong = call(tmp_path / "x.foo")
    assert wrong.exit_code == 2 and "its ending names no format" in wrong.stderr
    again = call(tmp_path / "x.npz")
    assert again.exit_code == 2 and "exists already" in again.stderr


def test_a_dataset_without_test_images_is_refused(tmp_path):
    faces = draw_tiny_faces(9, size=48)
    np.savez(tmp_path / "data.npz", images=faces.images, labels=faces.labels, usage=faces.usage)
    words = ["data", "export", str(tmp_path / "x"), "--data", str(tmp_path / "data.npz")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "protocol clean cannot split this dataset" in done.stderr
