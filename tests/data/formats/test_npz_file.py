"""NumPy files: what is accepted, and that nothing wrong gets through."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.faces import DataError
from fer_jax.data.formats import read_faces

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
LABELS = np.array([0, 6, 3, 255, 1])
USAGE = np.array([0, 1, 2, 1, 0])


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES[..., None], IMAGES.reshape(5, 2304), IMAGES.astype(np.int64), np.asfortranarray(IMAGES)]
)
@pytest.mark.parametrize("usage", [USAGE, np.array(["Training", "PublicTest", "PrivateTest"])[USAGE]])
def test_accepted_shapes_and_types(tmp_path: Path, images: np.ndarray, usage: np.ndarray) -> None:
    imported = read_faces(save(tmp_path / "a.npz", images=images, labels=LABELS, usage=usage))
    np.testing.assert_array_equal(imported.faces.images, IMAGES)
    assert imported.faces.labels.tolist() == LABELS.tolist()
    assert imported.faces.usage.tolist() == USAGE.tolist()
    assert imported.form == "npz"


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES[:, None], LABELS[:, None]),
        (IMAGES.astype(np.float32), LABELS.astype(float)),
        (IMAGES / 255, LABELS),
        ((IMAGES / 255).astype(np.float16), LABELS),
        (np.repeat(IMAGES[..., None], 3, axis=-1), LABELS),
        (np.repeat(IMAGES[:, None], 3, axis=1), LABELS),
        (IMAGES, np.array(["angry", "Neutral", "happy", "fear", "b"])[[0, 1, 2, 3, 3]]),
    ],
)
def test_other_shapes_and_types(tmp_path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    imported = read_faces(save(tmp_path / "a.npz", images=images, labels=labels))
    np.testing.assert_array_equal(imported.faces.images, IMAGES)
    assert imported.faces.labels.tolist()[:3] == [0, 6, 3]
    assert any("multiplied by 255" in note for note in imported.notes) == (images.max() <= 1)


@pytest.mark.parametrize(
    ("names", "usage"),
    [
        (("x_train", "y_train", "x_test", "y_test"), [0, 0, 1, 1]),
        (("trainX", "trainY", "testX", "testY"), [0, 0, 1, 1]),
        (("xtrain", "ytrain", "xval", "yval"), [0, 0, 1, 1]),
        (("train_images", "train_labels", "private_images", "private_labels"), [0, 0, 2, 2]),
        (("Training_pixel", "Training_label", "PublicTest_pixel", "PublicTest_label"), [0, 0, 1, 1]),
    ],
)
def test_usual_names_with_splits_and_one_hot_labels(tmp_path: Path, names: tuple[str, ...], usage: list[int]) -> None:
    hot = np.eye(7)[[3, 6, 0, 1]]
    arrays = dict(zip(names, (IMAGES[:2], hot[:2], IMAGES[2:4], hot[2:]), strict=True))
    faces = read_faces(save(tmp_path / "a.npz", **arrays)).faces
    assert (faces.labels.tolist(), faces.usage.tolist()) == ([3, 6, 0, 1], usage)


def test_usual_names_without_splits(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", IMAGES, np.array([0, 6, 3, 2, 1]))
    for names in (("X", "y"), ("data", "target"), ("faces", "emotions"), ("x/pixels", "x/labels")):
        save(tmp_path / "b.npz", **dict(zip(names, (IMAGES, np.array([0, 6, 3, 2, 1])), strict=True)))
        assert read_faces(tmp_path / "b.npz").faces.fingerprint == read_faces(tmp_path / "a.npz").faces.fingerprint


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": IMAGES, "faces": IMAGES, "labels": LABELS}, "both seem to be images"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "expected images and labels"),
        ({"images": IMAGES, "labels": np.ones((5, 7))}, "row 0 .*one-hot"),
        ({"images": IMAGES, "labels": np.array(["sad"] * 4 + ["calm"])}, "'calm' is none of the seven"),
    ],
)
def test_arrays_that_contradict_each_other(tmp_path: Path, arrays: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_faces(save(tmp_path / "a.npz", **arrays))


def test_hdf5_without_and_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "h5py", None)
        with pytest.raises(DataError, match="needs the package h5py"):
            read_faces(tmp_path / "a.h5")
    h5py = pytest.importorskip("h5py", reason="optional: a reader of HDF5")
    with h5py.File(tmp_path / "b.h5", "w") as out:
        out["train/pixel"], out["train/label"] = IMAGES, np.array([0, 6, 3, 2, 1])
        out["test/pixel"], out["test/label"] = IMAGES[:2], np.eye(7)[:2]
    assert read_faces(tmp_path / "b.h5").faces.labels.tolist() == [0, 6, 3, 2, 1, 0, 1]
    with h5py.File(tmp_path / "b.h5", "w") as out:
        out["Training_pixel"], out["Training_label"] = IMAGES, np.array([0, 6, 3, 2, 1])
    assert read_faces(tmp_path / "b.h5").faces.labels.tolist() == [0, 6, 3, 2, 1]
    with pytest.raises(DataError, match="HDF5"):
        read_faces(tmp_path / "a.h5")


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    imported = read_faces(save(tmp_path / "a.npz", images=IMAGES, labels=LABELS, ids=LABELS))
    assert "arrays that were not read: ids" in imported.notes


def test_usage_may_be_absent_and_compression_present(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    imported = read_faces(tmp_path / "a.npz")
    assert imported.faces.usage.tolist() == [0] * 5
    assert "Training" in imported.notes[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": IMAGES[:, :47]}, r"'images': shape \(5, 47, 48\)"),
        ({"images": IMAGES / 127.5 - 1}, "row 0 .*outside 0 to 255; normalised pixels"),
        ({"images": np.stack([IMAGES, IMAGES, IMAGES // 2], -1)}, "in colour"),
        ({"images": IMAGES / 3}, "row 0 .*not a whole gray level"),
        ({"images": IMAGES.astype(complex)}, "dtype complex128"),
        ({"images": np.where(np.arange(5)[:, None, None] == 3, 256, IMAGES.astype(int))}, "row 3 .*a pixel outside"),
        ({"images": IMAGES[:0], "labels": LABELS[:0], "usage": USAGE[:0]}, "no row"),
        ({"labels": np.array([0, 1, 7, 2, 3])}, "row 2 .*label 7.*run from 1"),
        ({"labels": np.array([0, -1, 7, 2, 3])}, "row 1 .*label -1"),
        ({"labels": LABELS[:4]}, r"shape \(4,\)"),
        ({"labels": LABELS + 0.5}, "row 0 .*label 0.5"),
        ({"usage": np.array([0, 1, 2, 3, 0])}, "row 3 .*usage 3"),
        ({"usage": np.array(["Training"] * 4 + ["Tests"])}, "usage 'Tests'"),
        ({"labels": np.array([None] * 5)}, "Python objects"),
        ({"labels": None}, "holds the arrays images, usage; expected images and labels"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict, says: str) -> None:
    arrays = {"images": IMAGES, "labels": LABELS, "usage": USAGE} | change
    path = save(tmp_path / "a.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DataError, match=says) as error:
        read_faces(path)
    assert str(path) in str(error.value)


def test_a_header_that_claims_terabytes(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 48, 48)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as out:
        out.writestr("images.npy", header.getvalue() + b"\0" * 100)
        out.writestr("labels.npy", header.getvalue())
    with pytest.raises(DataError, match="claims 2,304,000,000,000 bytes"):
        read_faces(tmp_path / "a.npz")


@pytest.mark.parametrize("keep", [30, 6000, 11_000])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.npz"):
        read_faces(path)


def test_damaged_pixels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    data = bytearray(path.read_bytes())
    data[5000] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        read_faces(path)
