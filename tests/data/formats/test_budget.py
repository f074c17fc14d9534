"""One budget for every container: what is claimed, what comes out, and what is no file."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from faces_of_strangers import encoded, face, pixel_text, split_of, write_images

from fer_jax.data.faces import DataError
from fer_jax.data.formats import budget, read_faces
from fer_jax.data.formats.budget import Budget, Reading, decoding
from fer_jax.vocabulary.errors import UserError


def npz(path: Path, **arrays: tuple[str, tuple[int, ...]]) -> Path:
    """Arrays of zeros by dtype and shape, written without being in memory."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name, (descr, shape) in arrays.items():
            header = io.BytesIO()
            about = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(header, about)
            with out.open(f"{name}.npy", "w") as member:
                member.write(header.getvalue())
                left = int(np.prod(shape)) * np.dtype(descr).itemsize
                while left:
                    left -= member.write(bytes(min(left, 1 << 24)))
    return path


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"usage": ("<U2304", (10_000,))}, "usage.* claims 92,160,"),
        ({"usage": ("<U2304", (3,)), "labels": ("|u1", (3,)), "images": ("|u1", (3, 48, 48))}, "'usage': shape"),
        ({"images": ("|u1", (60_000, 48, 48)), "labels": ("|u1", (60_000,))}, "claims 138,240,"),
    ],
)
def test_arrays_are_looked_at_before_they_are_read(tmp_path: Path, arrays: dict, says: str) -> None:
    small = {"images": ("|u1", (10_000, 48, 48)), "labels": ("|u1", (10_000,))}
    with pytest.raises(DataError, match=says):
        read_faces(npz(tmp_path / "a.npz", **({} if "labels" in arrays else small), **arrays))


def test_an_archive_of_a_million_names_is_not_printed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as out:
        for i in range(3000):
            out.writestr(f"nothing{i}.npy", b"")
    with pytest.raises(DataError, match=r"expected images and labels") as error:
        read_faces(tmp_path / "a.npz")
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("target", ["/dev/zero", "pipe", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, target: str) -> None:
    folder = write_images(tmp_path / "data", split_of("train", 0))
    if target == "pipe":
        os.mkfifo(folder / "train/sad/x.png")
    else:
        (folder / "train/sad/x.png").symlink_to(target if target.startswith("/") else tmp_path)
    with pytest.raises(DataError, match=r"not a regular file|a folder where images are expected"):
        read_faces(folder)


def test_a_link_to_an_image_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(encoded(face(3)))
    (tmp_path / "data/train/sad").mkdir(parents=True)
    (tmp_path / "data/train/sad/1.png").symlink_to(tmp_path / "blob")
    assert len(read_faces(tmp_path / "data").faces) == 1


def test_a_sparse_picture_is_not_read(tmp_path: Path) -> None:
    folder = write_images(tmp_path, split_of("train", 0))
    with (folder / "train/sad/x.png").open("wb") as out:
        out.truncate(50 << 30)
    with pytest.raises(DataError, match="more than 1,048,576 bytes"):
        read_faces(folder)


def test_a_sparse_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n3,{pixel_text(0)},Training\n")
    with path.open("ab") as out:
        out.truncate(1 << 40)
    with pytest.raises(DataError, match=r"longer than|NUL"):
        read_faces(path)


def test_a_file_of_50_kb_does_not_become_gigabytes(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    large = pyarrow.array([0] * 1000, pyarrow.int32())
    values = pyarrow.DictionaryArray.from_arrays(large, pyarrow.array([bytes(20 << 20)])).cast(
        pyarrow.dictionary(pyarrow.int32(), pyarrow.binary())
    )
    table = pyarrow.table({"image": values, "label": pyarrow.array(["sad"] * 1000)})
    parquet.write_table(table, tmp_path / "train.parquet", compression="zstd")
    assert (tmp_path / "train.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match="20,971,520 bytes"):
        read_faces(tmp_path / "train.parquet")
    many = pyarrow.table({"image": pyarrow.array([b""] * 300_000), "label": pyarrow.array(["sad"] * 300_000)})
    parquet.write_table(many, tmp_path / "train.parquet")
    with pytest.raises(DataError, match="300,000 rows; at most 250,000"):
        read_faces(tmp_path / "train.parquet")


def test_time_is_counted() -> None:
    with pytest.raises(DataError, match="reading took more than 0 s"):
        Budget(cpu_s=0.0).check_time("x")
    assert Budget(cpu_s=0.0, packed_bytes=10**12).check_time("x") is None


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), SystemError("bad"), MemoryError(), EOFError("end")])
def test_whatever_a_decoder_raises_is_named(error: Exception) -> None:
    with pytest.raises(DataError, match=r"a.npz, array 'x'"), decoding("a.npz, array 'x'", "damaged"):
        raise error
    with pytest.raises(UserError, match=r"^mine$"), decoding("a.npz", "damaged"):
        raise UserError("mine")


def test_left_out_samples_are_kept_with_their_reason() -> None:
    with pytest.raises(DataError, match=r"(?s)no\n--skip-bad imports the rest"):
        Reading().leave_out(DataError("no"))
    reading = Reading(skip_bad=True)
    reading.leave_out(DataError("no"))
    assert reading.skipped == ["no"]
    assert budget.MOST_ROWS > 35_887
