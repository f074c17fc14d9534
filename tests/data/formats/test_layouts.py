"""The arrangements of files that people have, and what is guessed of each."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from faces_of_strangers import encoded, face, pixel_text, split_of, write_images

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.data.formats.imported import Imported
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES


def usages(imported: Imported) -> list[int]:
    return [int((imported.faces.usage == u).sum()) for u in range(len(USAGES))]


def said(imported: Imported, words: str) -> bool:
    return any(words in note for note in imported.notes)


def test_an_own_validation_folder_counts_more_than_the_names_of_its_files(tmp_path: Path) -> None:
    names = split_of("train", 0, "Training_") | split_of("val", 10, "Training_") | split_of("test", 20, "PrivateTest_")
    imported = read_faces(write_images(tmp_path, names | split_of("test", 30, "PublicTest_")))
    assert usages(imported) == [7, 7, 14]
    assert said(imported, "7 files of val named like another split (such as Training_")
    assert said(imported, "val is read as PublicTest")
    np.testing.assert_array_equal(imported.faces.images[7], face(10))


def test_a_train_folder_keeps_files_that_are_named_like_a_test(tmp_path: Path) -> None:
    imported = read_faces(write_images(tmp_path, {"train/sad/PublicTest_1.png": 1, "test/sad/PrivateTest_2.png": 2}))
    assert imported.faces.usage.tolist() == [0, 2]
    assert said(imported, "1 file of train named like another split")


@pytest.mark.parametrize(
    "rename", [lambda i, name: str(i), lambda i, name: f"{i}_{name}", lambda i, name: f"{name}-{i}"]
)
def test_numbered_class_folders(tmp_path: Path, rename) -> None:
    names = {f"train/{rename(i, name)}/Training_{i}.png": i for i, name in enumerate(EMOTIONS)}
    imported = read_faces(write_images(tmp_path, names))
    assert imported.faces.labels.tolist() == list(range(7))
    assert said(imported, "0 to 6 are taken as in fer2013.csv") == (rename(0, "angry") == "0")


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        ([str(i) for i in range(1, 8)], "numbers are read as in fer2013.csv, 0 .angry. to 6"),
        ([*EMOTIONS[:6], "Suprise"], "did you mean 'surprise'"),
        ([*EMOTIONS, "contempt"], "'contempt' is none of the seven"),
    ],
)
def test_other_class_folders_are_refused_with_the_reason(tmp_path: Path, folders: list[str], says: str) -> None:
    write_images(tmp_path, {f"train/{name}/{i}.png": i for i, name in enumerate(folders)} | {"test/sad/1.png": 1})
    with pytest.raises(DataError, match=says):
        read_faces(tmp_path)


@pytest.mark.parametrize(
    "splits", [("FER2013Train", "FER2013Valid", "FER2013Test"), ("training_set", "validation set", "test_images")]
)
def test_words_around_the_names_of_splits_and_emotions(tmp_path: Path, splits: tuple[str, ...]) -> None:
    names = {f"{split}/Angry_faces/{i}.png": i for i, split in enumerate(splits)}
    faces = read_faces(write_images(tmp_path, names)).faces
    assert (faces.usage.tolist(), faces.labels.tolist()) == ([0, 1, 2], [0, 0, 0])


def test_no_folder_of_samples_is_passed_over(tmp_path: Path) -> None:
    write_images(tmp_path, {"train/sad/1.png": 1, "notes/figure.png": 2})
    assert "folders that were not read: notes" in read_faces(tmp_path).notes
    write_images(tmp_path, {"eval/sad/1.png": 1})
    with pytest.raises(DataError, match=r"eval: holds emotions, but 'eval' names no split; rename it"):
        read_faces(tmp_path)


def test_images_without_a_folder_of_their_emotion(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"angry_1.png lies in no folder of an emotion"):
        read_faces(write_images(tmp_path, {"train/angry_1.png": 1}))


def test_doubled_folders_webp_and_leftovers(tmp_path: Path) -> None:
    write_images(tmp_path, {"train/train/happy/1.webp": 1, "train/train/sad/2.png": 2}, "PNG")
    (tmp_path / "train/train/happy/1.webp").write_bytes(encoded(face(1), "WEBP", lossless=True))
    (tmp_path / "train/train/happy/Picasa.ini").write_text("[Picasa]")
    imported = read_faces(tmp_path)
    np.testing.assert_array_equal(imported.faces.images, [face(1), face(2)])
    assert said(imported, "1 file not read (no image): Picasa.ini")


def test_what_cannot_be_used_is_listed_and_left_out_on_request(tmp_path: Path) -> None:
    write_images(tmp_path, {"train/happy/1.png": 1, "train/sad/2.png": 2, "train/fear/3.png": 3})
    for name in ("happy/4.jpg", "sad/5.png"):
        (tmp_path / "train" / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)4.jpg: an empty file.*1 more of 5 files.*5.png.*--skip-bad"):
        read_faces(tmp_path)
    imported = read_faces(tmp_path, skip_bad=True)
    assert imported.faces.labels.tolist() == [3, 4, 2]
    assert [name for name in ("4.jpg", "5.png") if any(name in line for line in imported.skipped)] == ["4.jpg", "5.png"]
    assert "2 unusable samples" in imported.remarks[-1]


def csv(path: Path, labels: list[object], header: str = "emotion,pixels", seed: int = 0, tail: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{label},{pixel_text(seed + i)}{tail}" for i, label in enumerate(labels)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("test",), [0, 2, 0]),
        (("val",), [0, 2, 0]),
        (("PrivateTest",), [0, 0, 2]),
        (("train", "val", "test"), [2, 2, 2]),
        (("train", "test"), [2, 2, 0]),
    ],
)
def test_labelled_tables_are_what_their_names_say(tmp_path: Path, names: tuple[str, ...], expected: list[int]) -> None:
    for i, name in enumerate(names):
        csv(tmp_path / f"{name}.csv", [i, i], seed=10 * i)
    imported = read_faces(tmp_path)
    assert usages(imported) == expected
    assert sorted(imported.faces.labels.tolist()) == sorted(2 * list(range(len(names))))
    assert imported.notes


def test_images_beside_a_table_are_two_data_sets(tmp_path: Path) -> None:
    write_images(tmp_path, split_of("train", 0))
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    assert usages(read_faces(tmp_path)) == [7, 0, 0]
    csv(tmp_path / "fer2013.csv", [3], "emotion,pixels,Usage", tail=",Training")
    with pytest.raises(DataError, match=r"several datasets \(an image folder .*, csv files such as fer2013.csv\)"):
        read_faces(tmp_path)


def test_numpy_files_side_by_side(tmp_path: Path) -> None:
    np.save(tmp_path / "data_set_fer2013.npy", np.stack([face(i) for i in range(3)]))
    np.save(tmp_path / "data_labels_fer2013.npy", np.eye(7)[[3, 6, 5]])
    for path in (tmp_path, tmp_path / "data_set_fer2013.npy"):
        assert read_faces(path).faces.labels.tolist() == [3, 6, 5]


def webdataset(path: Path, labels: list[object], suffix: str = "cls") -> Path:
    with tarfile.open(path, "w") as out:
        for i, label in enumerate(labels):
            for name, data in ((f"s{i}.png", encoded(face(i))), (f"s{i}.{suffix}", str(label).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    return path


def test_a_webdataset_by_numbers_by_names_and_in_shards(tmp_path: Path) -> None:
    imported = read_faces(webdataset(tmp_path / "train-0000.tar", [3, 6, 5]))
    assert imported.faces.labels.tolist() == [3, 6, 5]
    assert said(imported, "numbers without names")
    webdataset(tmp_path / "test-0000.tar", ["sad", "happy"], "txt")
    shards = read_faces(tmp_path)
    assert (usages(shards), shards.faces.labels.tolist()) == ([3, 2, 0], [3, 6, 5, 4, 3])
    with pytest.raises(DataError, match="nor a number from 0 to 6"):
        read_faces(webdataset(tmp_path / "x.tar", ["calm"]))


def test_a_zip_of_powershell_5(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        for name, seed in split_of("train", 0).items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name.replace("/", "\\")
            out.writestr(info, encoded(face(seed)))
    assert read_faces(tmp_path / "a.zip").faces.labels.tolist() == list(range(7))
