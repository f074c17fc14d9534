"""Hugging Face parquet files: labels by the names in the metadata, splits by file name."""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.data.formats.parquet_file import split_name
from fer_jax.vocabulary.fer2013 import EMOTIONS

pyarrow = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, images: list, labels: list, names: list[str] | None, paths: list | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": data, "path": p} for data, p in zip(images, paths or [None] * len(images), strict=True)]
    image_type = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({"image": pyarrow.array(cells, image_type), "label": pyarrow.array(labels)})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("names", [sorted(EMOTIONS), list(EMOTIONS), ["Happy", "sadness", "anger", "fear"]])
def test_labels_are_mapped_by_name(tmp_path: Path, names: list[str]) -> None:
    n = len(names)
    path = write(tmp_path / "train-00000-of-00001.parquet", [png(face(i)) for i in range(n)], list(range(n)), names)
    imported = read_faces(path)
    by_name = {e: i for i, e in enumerate(EMOTIONS)} | {"Happy": 3, "sadness": 4, "anger": 0}
    assert imported.faces.labels.tolist() == [by_name[name] for name in names]
    np.testing.assert_array_equal(imported.faces.images, [face(i) for i in range(n)])
    assert imported.form == "parquet"


def test_labels_may_be_words(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", [png(face(0)), png(face(1))], ["sad", "Angry"], None)
    assert read_faces(path).faces.labels.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("splits", "usages"),
    [
        (("train", "test"), [0, 1]),
        (("train", "valid", "test"), [0, 1, 2]),
        (("train", "validation", "test"), [0, 1, 2]),
    ],
)
def test_splits_come_from_the_file_names(tmp_path: Path, splits: tuple[str, ...], usages: list[int]) -> None:
    for i, split in enumerate(splits):
        write(tmp_path / "data" / f"{split}-00000-of-00001.parquet", [png(face(i))], [i], list(EMOTIONS))
    (tmp_path / "README.md").write_text("a dataset card")
    imported = read_faces(tmp_path)
    assert imported.faces.usage.tolist() == usages
    assert imported.faces.labels.tolist() == list(range(len(splits)))
    assert imported.faces.origin.tolist() == list(range(len(splits)))
    assert any("taken as PublicTest" in n for n in imported.notes) == (len(splits) == 2)


def test_shards_of_one_split_stay_in_order(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"train-0000{i}-of-00003.parquet", [png(face(i))], [i], list(EMOTIONS))
    assert read_faces(tmp_path).faces.labels.tolist() == [0, 1, 2]


def test_file_names_in_the_rows_tell_the_usage(tmp_path: Path) -> None:
    rows = ["PrivateTest_3.jpg", "PublicTest_1.jpg"]
    write(tmp_path / "test-00000-of-00001.parquet", [png(face(0))] * 2, [1, 2], list(EMOTIONS), rows)
    imported = read_faces(tmp_path)
    assert imported.faces.usage.tolist() == [2, 1]
    assert imported.notes == ()


@pytest.mark.parametrize(
    ("name", "split"),
    [("train-00000-of-00001", "train"), ("test", "test"), ("validation-0001-of-0002-abc", "validation"), ("x", None)],
)
def test_split_names(name: str, split: str | None) -> None:
    assert split_name(Path("folder") / f"{name}.parquet") == split
    assert split_name(Path("train") / "0000.parquet") == "train"


@pytest.mark.parametrize(
    ("images", "labels", "names", "says"),
    [
        ([png(face(0))], [3], None, "no names of the labels"),
        ([png(face(0))], [3], ["a", "b", "c", "d"], "class 'a' is none"),
        ([png(face(0))] * 2, [3, 7], list(EMOTIONS), "row 1 .*label 7"),
        ([png(face(0))] * 2, [3, None], list(EMOTIONS), "row 1 .*label None"),
        ([png(face(0)), b"not an image"], [3, 3], list(EMOTIONS), "row 1 .*not a readable"),
        ([png(face(0)), None], [3, 3], list(EMOTIONS), "row 1 .*no image bytes"),
        ([png(np.zeros((96, 96), np.uint8))], [3], list(EMOTIONS), "row 0 .*96 x 96"),
        ([], [], list(EMOTIONS), "no row|no names|label"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, images: list, labels: list, names: list | None, says: str) -> None:
    path = write(tmp_path / "train.parquet", images, labels, names)
    with pytest.raises(DataError, match=says) as error:
        read_faces(path)
    assert str(path) in str(error.value)


def table(path: Path, **columns: object) -> Path:
    parquet.write_table(pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()}), path)
    return path


def test_the_columns_of_the_csv(tmp_path: Path) -> None:
    texts = [" ".join(map(str, face(i).ravel().tolist())) for i in range(3)]
    path = table(
        tmp_path / "a.parquet", emotion=[3, 4, 0], pixels=texts, Usage=["Training", "PublicTest", "PrivateTest"]
    )
    imported = read_faces(path)
    assert (imported.faces.labels.tolist(), imported.faces.usage.tolist()) == ([3, 4, 0], [0, 1, 2])
    np.testing.assert_array_equal(imported.faces.images, [face(i) for i in range(3)])
    assert imported.notes == ()


@pytest.mark.parametrize("of", [lambda a: a.tolist(), lambda a: a.ravel().tolist(), lambda a: a.astype(float).tolist()])
def test_images_may_be_lists_of_numbers(tmp_path: Path, of) -> None:
    path = table(tmp_path / "train.parquet", image=[of(face(0)), of(face(1))], label=["sad", "happy"])
    np.testing.assert_array_equal(read_faces(path).faces.images, [face(0), face(1)])


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ([1] * 2303, "shape"),
        ([300] * 2304, "outside"),
        ([0.5] * 2304, "whole"),
        ([1] * 9999, "more than 2,304"),
        (7, "no image"),
    ],
)
def test_lists_that_are_no_image(tmp_path: Path, image: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_faces(table(tmp_path / "train.parquet", image=[image], label=["sad"]))


@pytest.mark.parametrize("labels", [["0", "6"], [0.0, 6.0], [[1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1.0]]])
def test_labels_as_text_as_floats_and_one_hot(tmp_path: Path, labels: list) -> None:
    images = [face(0).tolist(), face(1).tolist()]
    assert read_faces(table(tmp_path / "train.parquet", image=images, emotion=labels)).faces.labels.tolist() == [0, 6]
    with pytest.raises(DataError, match="the order of the labels is not known"):
        read_faces(table(tmp_path / "train.parquet", image=images, label=labels))


@pytest.mark.parametrize(
    ("label", "says"), [("7", "label 7; .*run from 1"), ([0.5, 0.5], "not one-hot"), ("x7", "none")]
)
def test_labels_that_are_none(tmp_path: Path, label: object, says: str) -> None:
    path = table(tmp_path / "train.parquet", image=[face(0).tolist()], emotion=[label])
    with pytest.raises(DataError, match=f"row 0 .*{says}"):
        read_faces(path)


def test_a_webdataset_as_parquet(tmp_path: Path) -> None:
    path = table(tmp_path / "train-0.parquet", jpg=[png(face(0)), png(face(1))], cls=[3, 6], __key__=["a", "b"])
    imported = read_faces(path)
    assert imported.faces.labels.tolist() == [3, 6]
    assert any("numbers without names" in note for note in imported.notes)


@pytest.mark.parametrize(
    "metadata", [b"[", b"\xff", b"[" * 5000, b'{"info": []}', b'{"info":{"features":{"label":{"names":{"x":1}}}}}']
)
def test_metadata_of_strangers(tmp_path: Path, metadata: bytes) -> None:
    content = pyarrow.table({"image": [png(face(0))], "label": [3]}).replace_schema_metadata({b"huggingface": metadata})
    parquet.write_table(content, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train.parquet"):
        read_faces(tmp_path / "train.parquet")


def test_rows_are_left_out_on_request(tmp_path: Path) -> None:
    path = table(tmp_path / "train.parquet", image=[png(face(0)), b"", png(face(1))], label=["sad", "sad", "calm"])
    imported = read_faces(path, skip_bad=True)
    assert (len(imported.faces), len(imported.skipped)) == (1, 2)


def test_metadata_that_contradict_each_other_do_not_end_the_process(tmp_path: Path) -> None:
    """Asked for a column of such a file, Arrow calls std::terminate. Found by fuzzing."""
    path = table(tmp_path / "train.parquet", image=[face(0).tolist()], emotion=[3])
    content = path.read_bytes()
    for at in range(len(content) - 850, len(content) - 700):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with contextlib.suppress(DataError):
            read_faces(path)


def test_missing_columns_and_truncation(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="columns are x; a column of images is needed"):
        read_faces(tmp_path / "train.parquet")
    path = write(tmp_path / "train.parquet", [png(face(0))] * 9, [1] * 9, list(EMOTIONS))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="damaged or cut-off Parquet"):
        read_faces(path)


def test_without_pyarrow_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "train.parquet", [png(face(0))], [1], list(EMOTIONS))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        read_faces(path)
