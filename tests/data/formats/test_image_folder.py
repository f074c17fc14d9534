"""The image-folder form: labels by name and not by alphabetical order, usages by file name and by folder."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS


def face(seed: int, shape: tuple[int, ...] = (48, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def test_labels_come_from_the_names_and_not_from_their_order(tmp_path: Path) -> None:
    for i, name in enumerate(sorted(EMOTIONS)):
        save(tmp_path / "train" / name / f"Training_{i}.png", face(i))
    imported = read_faces(tmp_path)
    # alphabetical: angry disgust fear happy neutral sad surprise
    assert imported.faces.labels.tolist() == [0, 1, 2, 3, 6, 4, 5]
    np.testing.assert_array_equal(imported.faces.images, [face(i) for i in range(7)])
    assert (imported.form, imported.source) == ("image folder", str(tmp_path))


@pytest.mark.parametrize(
    "names", [("Anger", "HAPPINESS", "Neutrality", "surprised"), ("angry", "happy", "neutral", "surprise")]
)
def test_synonyms_and_capitals(tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        save(tmp_path / "Training" / name / f"im{i}.png", face(i))
    assert read_faces(tmp_path).faces.labels.tolist() == [0, 3, 6, 5]


def test_file_names_tell_the_usage(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "Training_5.png", face(0))
    save(tmp_path / "test" / "sad" / "PrivateTest_1.png", face(1))
    save(tmp_path / "test" / "fear" / "PublicTest_9.png", face(2))
    imported = read_faces(tmp_path)
    assert imported.faces.usage.tolist() == [0, 1, 2]
    assert imported.faces.labels.tolist() == [4, 2, 4]
    assert not any("PublicTest" in note and "taken" in note for note in imported.notes)


def test_a_lone_test_folder_is_public_test_with_a_note(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "1.png", face(0))
    save(tmp_path / "test" / "sad" / "2.png", face(1))
    imported = read_faces(tmp_path)
    assert imported.faces.usage.tolist() == [0, 1]
    assert any("taken as PublicTest" in note for note in imported.notes)


def test_beside_a_validation_folder_test_is_private_test(tmp_path: Path) -> None:
    for i, split in enumerate(("train", "validation", "test")):
        save(tmp_path / split / "sad" / "1.png", face(i))
    imported = read_faces(tmp_path)
    assert imported.faces.usage.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(imported.faces.images, [face(0), face(1), face(2)])


def test_rows_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "Training_10.png", face(10))
    save(tmp_path / "train" / "sad" / "Training_9.png", face(9))
    save(tmp_path / "train" / "angry" / "Training_11.png", face(11))
    assert read_faces(tmp_path).faces.labels.tolist() == [4, 4, 0]
    np.testing.assert_array_equal(read_faces(tmp_path).faces.images, [face(9), face(10), face(11)])


def test_folders_around_the_data_and_clutter_in_it(tmp_path: Path) -> None:
    save(tmp_path / "archive" / "versions" / "train" / "sad" / "1.png", face(0))
    (tmp_path / "archive" / "versions" / "train" / "sad" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert len(read_faces(tmp_path).faces) == 1
    single = read_faces(tmp_path / "archive" / "versions" / "train")
    assert single.faces.usage.tolist() == [0]


def test_colour_is_converted_with_a_note(tmp_path: Path) -> None:
    gray = face(1)
    save(tmp_path / "train" / "sad" / "1.png", np.repeat(gray[..., None], 3, axis=2))
    save(tmp_path / "train" / "sad" / "2.png", face(2, (48, 48, 3)))
    imported = read_faces(tmp_path)
    np.testing.assert_array_equal(imported.faces.images[0], gray)
    luma = face(2, (48, 48, 3)) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(imported.faces.images[1] - luma).max() <= 1
    assert any(note.startswith("2 images converted from colour") for note in imported.notes)


def test_transparency_is_white_and_exif_turns(tmp_path: Path) -> None:
    clear = np.dstack([face(1), np.zeros((48, 48), np.uint8)])
    save(tmp_path / "train" / "sad" / "1.png", clear)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(face(2)).save(tmp_path / "train" / "sad" / "2.png", exif=exif)
    images = read_faces(tmp_path).faces.images
    assert (images[0] == 255).all()
    np.testing.assert_array_equal(images[1], np.rot90(face(2), -1))


def test_jpeg_is_close_and_said_to_be_lossy(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8)
    save(tmp_path / "train" / "sad" / "1.jpg", smooth)
    imported = read_faces(tmp_path)
    assert np.abs(imported.faces.images[0].astype(int) - smooth).max() < 8
    assert any("lossy" in note for note in imported.notes)


def png_header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b"")):
        data += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return data


def cut_png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(face(0)).save(buffer, "PNG")
    return buffer.getvalue()[:900]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"emotion,pixels", "not a readable PNG"),
        (b"", "not a readable PNG"),
        (cut_png(), "not a readable PNG"),
        (png_header_only(47, 48), "47 x 48 pixels"),
        (png_header_only(60_000, 60_000), "3600000000 pixels"),
    ],
)
def test_a_bad_image_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    save(tmp_path / "train" / "sad" / "1.png", face(0))
    bad = tmp_path / "train" / "sad" / "2.png"
    bad.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_faces(tmp_path)
    assert str(bad) in str(error.value)
    assert says in str(error.value)


def test_sixteen_bit_gray_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "1.png", np.full((48, 48), 40_000, np.uint16))
    with pytest.raises(DataError, match="mode I;16"):
        read_faces(tmp_path)


def test_an_unknown_emotion_is_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "1.png", face(0))
    save(tmp_path / "train" / "contempt" / "1.png", face(0))
    with pytest.raises(DataError, match=r"'contempt' is none of the seven emotions .*angry, disgust"):
        read_faces(tmp_path)


@pytest.mark.parametrize("stray", ["train/1.png", "train/sad/more/1.png"])
def test_an_image_in_the_wrong_place_is_named(tmp_path: Path, stray: str) -> None:
    save(tmp_path / "train" / "sad" / "1.png", face(0))
    save(tmp_path / stray, face(0))
    with pytest.raises(DataError, match=r"train"):
        read_faces(tmp_path)


def test_empty_emotion_folders(tmp_path: Path) -> None:
    (tmp_path / "train" / "sad").mkdir(parents=True)
    with pytest.raises(DataError, match="no image"):
        read_faces(tmp_path)
