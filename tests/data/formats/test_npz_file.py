"""NumPy files: what is accepted, and that nothing wrong gets through."""

import io
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


def test_usage_may_be_absent_and_compression_present(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    imported = read_faces(tmp_path / "a.npz")
    assert imported.faces.usage.tolist() == [0] * 5
    assert "Training" in imported.notes[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": IMAGES[:, :47]}, r"'images': shape \(5, 47, 48\)"),
        ({"images": IMAGES / 255}, "dtype float64"),
        ({"images": np.where(np.arange(5)[:, None, None] == 3, 256, IMAGES.astype(int))}, "row 3 .*a pixel outside"),
        ({"images": IMAGES[:0], "labels": LABELS[:0], "usage": USAGE[:0]}, "no row"),
        ({"labels": np.array([0, 1, 7, 2, 3])}, "row 2 .*label 7"),
        ({"labels": np.array([0, -1, 7, 2, 3])}, "row 1 .*label -1"),
        ({"labels": LABELS[:4]}, r"shape \(4,\)"),
        ({"labels": LABELS.astype(float)}, "float64"),
        ({"usage": np.array([0, 1, 2, 3, 0])}, "row 3 .*usage 3"),
        ({"usage": np.array(["Training"] * 4 + ["Test"])}, "usage 'Test'"),
        ({"labels": np.array([None] * 5)}, "Python objects"),
        ({"labels": None}, "holds the arrays images, usage; needed are images and labels"),
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
