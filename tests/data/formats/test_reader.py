"""The form is decided by content: names that lie, folders that hold several things, things that are no data."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.vocabulary.fer2013 import UNLABELLED

PIXELS = [" ".join(str(v) for v in np.random.default_rng(i).integers(0, 256, 2304)) for i in range(4)]
FULL = f"emotion,pixels,Usage\n3,{PIXELS[0]},Training\n4,{PIXELS[1]},PrivateTest\n".encode()
TRAIN = f"emotion,pixels\n3,{PIXELS[0]}\n4,{PIXELS[1]}\n".encode()
TEST = f"pixels\n{PIXELS[2]}\n{PIXELS[3]}\n".encode()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return buffer.getvalue()


def png_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_name_without_meaning_is_no_hindrance(tmp_path: Path) -> None:
    for name, data in (("faces", FULL), ("faces.data", gzip.compress(FULL)), ("x", zip_bytes({"y": FULL}))):
        (tmp_path / name).write_bytes(data)
        assert read_faces(tmp_path / name).faces.labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("fer2013.csv", zip_bytes({"fer2013.csv": FULL}), "its name says CSV text, but it is a zip archive"),
        ("fer2013.csv", gzip.compress(FULL), "but it is a gzip-compressed file"),
        ("fer2013.zip", FULL, "its name says a zip archive, but it is CSV text"),
        ("fer2013.npz", zip_bytes({"fer2013.csv": FULL}), "its name says a NumPy .npz file, but it is a zip archive"),
        ("a.parquet", FULL, "its name says a Parquet file, but it is CSV text"),
        ("a.tar.gz", FULL, "but it is CSV text"),
        ("a.tar", gzip.compress(FULL), "but it is a gzip-compressed file"),
        ("fer2013.csv", png_bytes(), "this is a PNG image"),
        ("fer2013.csv", b"<!DOCTYPE html><html>Please sign in</html>", "HTML page"),
        ("fer2013.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        ("fer2013.zip", b"7z\xbc\xaf'\x1c1234", "a 7z archive"),
        ("fer2013.xlsx", zip_bytes({"[Content_Types].xml": b""}), "Office document"),
        ("fer2013.pickle", b"(dp0\nS'x'\n", "a Python pickle, which is never loaded"),
        ("fer2013.csv", "emotion,pixels".encode("utf-16-le"), "UTF-16 text"),
        ("fer2013.csv", "emotion,pixels".encode("utf-32"), "UTF-32 text"),
        ("fer2013.csv", bytes(600), "nothing but zeros"),
        ("fer2013.jsonl", b'{"pixels": [1]}', "JSON"),
        ("fer2013.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "an old Office document"),
        ("fer2013.mat", b"MATLAB 5.0 MAT-file" + bytes(600), "a MATLAB file"),
        ("data.arrow", b"ARROW1\0\0" + bytes(600), "an Arrow or Feather file; save it as parquet"),
        ("fer2013.csv.lz4", b"\x04\x22\x4d\x18" + bytes(600), "lz4-compressed"),
        ("fer2013.bin", b"\x01\x02\x00\x03" * 9, "binary data of an unknown kind"),
        ("a.csv", b"", "the file is empty"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as error:
        read_faces(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert says in str(error.value)


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file or folder"):
        read_faces(tmp_path / "nowhere.csv")


def test_train_and_test_csv_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(TRAIN)
    (tmp_path / "test.csv").write_bytes(TEST)
    (tmp_path / "example_submission.csv").write_bytes(b"id,emotion\n1,2\n")
    imported = read_faces(tmp_path)
    assert imported.form == "train.csv + test.csv"
    assert imported.faces.labels.tolist() == [3, 4, UNLABELLED, UNLABELLED]
    assert imported.faces.usage.tolist() == [0, 0, 1, 1]
    assert imported.faces.origin.tolist() == [0, 1, 2, 3]
    assert "cannot be trained or evaluated on" in imported.notes[0]
    alone = read_faces(tmp_path / "train.csv")
    assert alone.faces.labels.tolist() == [3, 4]


def test_the_complete_file_wins_over_its_parts(tmp_path: Path) -> None:
    for name, data in (("train.csv", TRAIN), ("test.csv", TEST), ("icml_face_data.csv", FULL)):
        (tmp_path / name).write_bytes(data)
    assert read_faces(tmp_path).faces.usage.tolist() == [0, 2]
    (tmp_path / "fer2013.csv").write_bytes(FULL)
    assert read_faces(tmp_path).notes == (
        "fer2013.csv was read; not read: test.csv, train.csv",
        "fer2013.csv was read; icml_face_data.csv: the same",
    )
    (tmp_path / "fer2013.csv").write_bytes(FULL.replace(b"3,", b"5,", 1))
    with pytest.raises(DataError, match=r"different content \(fer2013.csv, icml_face_data.csv\)"):
        read_faces(tmp_path)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "the folder is empty"),
        ({"notes.txt": b"hello", "a.png": png_bytes()}, "no FER-2013 in it, only a.png, notes.txt"),
        ({"labels.csv": b"a,b\n1,2\n"}, "the columns are a, b; expected emotion, pixels and Usage"),
        ({"a.zip": zip_bytes({"f.csv": FULL}), "b.zip": zip_bytes({"f.csv": FULL})}, "several datasets"),
        ({"train.parquet": b"PAR1", "fer2013.csv": FULL}, "several datasets"),
    ],
)
def test_folders_of_something_else(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as error:
        read_faces(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert says in str(error.value)
