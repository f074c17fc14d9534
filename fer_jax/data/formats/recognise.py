"""Recognise a file by its first bytes. Its name is only checked for agreement."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import decoding, regular_size
from fer_jax.data.pictures import telephone_format

CSV, ZIP, TAR, TAR_GZ, GZIP, PARQUET = "csv", "zip", "tar", "tar.gz", "gzip", "parquet"
NPZ, NPY, HDF5 = "npz", "npy", "hdf5"
ARCHIVES = (ZIP, TAR, TAR_GZ, GZIP)
ACCEPTED = (
    "fer2013.csv, icml_face_data.csv, train.csv/test.csv, a folder train/<emotion>/*.jpg|png|webp, .npz, a pair of "
    ".npy, .h5, .parquet, a WebDataset, or a .zip, .tar, .tar.gz of one of these"
)

_PICKLE = "a Python pickle, which is never loaded (a stranger's would run its code); save it with numpy.savez"
_ARROW = "an Arrow or Feather file; save it as parquet (pyarrow.parquet.write_table, or Dataset.to_parquet)"
# First bytes of things that people have by mistake, and the words for them.
_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive (unpack it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"\x04\x22\x4d\x18", "lz4-compressed (unpack it first)"),
    (b"\x1f\x9d", "a file of compress, .Z (unpack it first)"),
    (b"]\0\0", "lzma-compressed (unpack it first)"),
    (b"MSCF", "a Windows cabinet (unpack it first)"),
    (b"MZ", "a Windows program, not data"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (Excel?); export it as CSV"),
    (b"{\\rtf", "a rich-text document; export it as CSV"),
    (b"MATLAB", "a MATLAB file; save it with numpy.savez (scipy.io.loadmat reads it)"),
    (b"ARROW1", _ARROW),
    (b"FEA1", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"ORC", "an ORC file; save it as parquet"),
    (b"BZh", "bzip2-compressed (unpack it first)"),
    (b"\xfd7zXZ", "xz-compressed (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed (unpack it first)"),
    *((head, _PICKLE) for head in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(dp", b"(lp")),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to (git lfs pull fetches it)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xff\xfe\0\0", "UTF-32 text (save it as UTF-8)"),
    (b"\0\0\xfe\xff", "UTF-32 text (save it as UTF-8)"),
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
    ".npy": (NPY,),
    ".h5": (HDF5,),
    ".hdf5": (HDF5,),
}
_WORDS = {
    CSV: "CSV text",
    ZIP: "a zip archive",
    TAR: "a tar archive",
    TAR_GZ: "a gzip-compressed tar archive",
    GZIP: "a gzip-compressed file",
    NPZ: "a NumPy .npz file",
    NPY: "a NumPy .npy file",
    HDF5: "an HDF5 file",
    PARQUET: "a Parquet file",
}


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _zip_kind(path: Path) -> str:
    with decoding(str(path), "a damaged or cut-off zip archive"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "[Content_Types].xml" in names:
        raise DataError(f"{path}: an Office document (Excel?), not FER-2013; export it as CSV")
    if any(name.endswith("/data.pkl") for name in names):
        raise DataError(f"{path}: a file of PyTorch (a pickle), which is never loaded; save it with numpy.savez")
    return NPZ if names and all(name.endswith(".npy") for name in names) else ZIP


def _gzip_kind(path: Path) -> str:
    with decoding(str(path), "damaged or cut-off gzip data"), gzip.open(path) as stream:
        return TAR_GZ if _is_tar(stream.read(512)) else GZIP


def file_kind(path: Path) -> str:
    """One of CSV, ZIP, TAR, TAR_GZ, GZIP, NPZ, NPY, HDF5, PARQUET, by content.

    DataError if the file is empty, a device or a pipe, is none of these (the message says what it is), or has a name
    that contradicts its content.
    """
    regular_size(path)
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
    for magic, kind in ((b"PAR1", PARQUET), (b"\x93NUMPY", NPY), (b"\x89HDF\r\n\x1a\n", HDF5)):
        if head.startswith(magic):
            return kind
    if _is_tar(head):
        return TAR
    for magic, words in _FOREIGN:
        if head.startswith(magic):
            raise DataError(f"{path}: this is {words}; accepted are {ACCEPTED}")
    if kind := telephone_format(head):
        raise DataError(f"{path}: this is a {kind} picture; accepted are {ACCEPTED}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{path}: this is an HTML page (a log-in page saved in place of the data?); fetch it again")
    if text.startswith((b"{", b"[", b"<svg")):
        raise DataError(f"{path}: this is JSON or SVG text; export it as CSV. Accepted are {ACCEPTED}")
    if not head.strip(b"\0"):
        raise DataError(f"{path}: begins with nothing but zeros, as a failed download leaves it; fetch it again")
    if b"\0" in head:
        wide = not head[1::2].strip(b"\0") or not head[::2].strip(b"\0")
        words = "UTF-16 text (save it as UTF-8)" if wide else "binary data of an unknown kind"
        raise DataError(f"{path}: {words}; accepted are {ACCEPTED}")
    return CSV
