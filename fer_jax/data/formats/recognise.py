"""Recognise a file by its first bytes. Its name is only checked for agreement."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from fer_jax.data.faces import DataError

CSV, ZIP, TAR, TAR_GZ, GZIP, NPZ, PARQUET = "csv", "zip", "tar", "tar.gz", "gzip", "npz", "parquet"
ARCHIVES = (ZIP, TAR, TAR_GZ, GZIP)
ACCEPTED = (
    "fer2013.csv, icml_face_data.csv, train.csv/test.csv, a folder train/<emotion>/*.jpg|png, .npz, Hugging Face "
    ".parquet, or a .zip, .tar, .tar.gz of one of these"
)

# First bytes of things that people have by mistake, and the words for them.
_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive (unpack it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"BZh", "bzip2-compressed (unpack it first)"),
    (b"\xfd7zXZ", "xz-compressed (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed (unpack it first)"),
    (b"\x93NUMPY", "a single NumPy array; save images and labels together with numpy.savez"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to (git lfs pull fetches it)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xff\xfe", "UTF-16 text (save it as UTF-8)"),
    (b"\xfe\xff", "UTF-16 text (save it as UTF-8)"),
)
_NAMES = {
    ".csv": (CSV,),
    ".txt": (CSV,),
    ".tsv": (CSV,),
    ".zip": (ZIP, NPZ),
    ".npz": (NPZ,),
    ".tar": (TAR,),
    ".tgz": (TAR_GZ,),
    ".gz": (GZIP, TAR_GZ),
    ".parquet": (PARQUET,),
}
_WORDS = {
    CSV: "CSV text",
    ZIP: "a zip archive",
    TAR: "a tar archive",
    TAR_GZ: "a gzip-compressed tar archive",
    GZIP: "a gzip-compressed file",
    NPZ: "a NumPy .npz file",
    PARQUET: "a Parquet file",
}


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise DataError(f"{path}: a damaged or cut-off zip archive ({error}); fetch it again") from error
    if "[Content_Types].xml" in names:
        raise DataError(f"{path}: an Office document (Excel?), not FER-2013; export it as CSV")
    return NPZ if names and all(name.endswith(".npy") for name in names) else ZIP


def _gzip_kind(path: Path) -> str:
    try:
        with gzip.open(path) as stream:
            return TAR_GZ if _is_tar(stream.read(512)) else GZIP
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut-off gzip data ({error}); fetch it again") from error


def file_kind(path: Path) -> str:
    """One of CSV, ZIP, TAR, TAR_GZ, GZIP, NPZ, PARQUET, by content.

    DataError if the file is empty, is none of these (the message says what it is), or has a name that contradicts its
    content.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise DataError(f"{path}: the file is empty; accepted are {ACCEPTED}")
    kind = _kind_of(path, head)
    expected = _NAMES.get(path.suffix.lower())
    if expected and kind not in expected:
        raise DataError(
            f"{path}: its name says {_WORDS[expected[0]]}, but it is {_WORDS[kind]}; rename it or fetch it again"
        )
    return kind


def _kind_of(path: Path, head: bytes) -> str:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(path)
    if head.startswith(b"\x1f\x8b"):
        return _gzip_kind(path)
    if head.startswith(b"PAR1"):
        return PARQUET
    if _is_tar(head):
        return TAR
    for magic, words in _FOREIGN:
        if head.startswith(magic):
            raise DataError(f"{path}: this is {words}; accepted are {ACCEPTED}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{path}: this is an HTML page (a log-in page saved in place of the data?); fetch it again")
    if b"\0" in head:
        raise DataError(f"{path}: binary data of an unknown kind; accepted are {ACCEPTED}")
    return CSV
