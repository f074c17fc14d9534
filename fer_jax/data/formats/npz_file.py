"""NumPy's ``.npz`` files and pairs of ``.npy`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from fer_jax.data.faces import DataError
from fer_jax.data.formats.archive import open_zip
from fer_jax.data.formats.arrays import REMEDY, ArraySource, read_arrays, role_of
from fer_jax.data.formats.budget import Budget, Counted, Reading, decoding
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import is_split
from fer_jax.vocabulary.counted import counted

_DAMAGED = "damaged or cut off"
_MOST_ARRAYS = 100


def read_npz(path: Path, reading: Reading) -> Imported:
    """Read ``images``, ``labels`` and ``usage`` (all Training without it), or arrays under other usual names.

    DataError naming array and row.
    """
    with decoding(str(path), "a damaged or cut-off .npz file"), open_zip(path, reading.budget) as archive:
        names = [name for name in archive.namelist() if role_of(_array_name(name)) is not None]
        # unknown names are only listed in the error
        others = [_without_content(_array_name(n), path) for n in archive.namelist()[:_MOST_ARRAYS] if n not in names]
        sources = [_of_member(archive, name, path, reading.budget) for name in names[:_MOST_ARRAYS]]
        return read_arrays([*sources, *others], "npz", path, reading)


def load_arrays(file: Path | BinaryIO, most_bytes: int) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` by name. Nothing is unpickled.

    Raises DataError if they unpack to more than `most_bytes`, which is found before anything is unpacked, and what
    zipfile, zlib and NumPy raise for a damaged file.
    """
    with zipfile.ZipFile(file) as archive:  # a member never yields more than its entry says
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > most_bytes:
        raise DataError(f"it unpacks to {counted(unpacked, 'byte')}; at most {most_bytes:,} are read")
    with np.load(file, allow_pickle=False) as held:
        return dict(held)


def read_npy_files(paths: list[Path], folder: Path, reading: Reading) -> Imported:
    """Read ``.npy`` files that lie side by side, one array each. DataError naming file and row."""
    sources = [_of_file(path, reading.budget) for path in paths[:_MOST_ARRAYS]]
    with decoding(str(folder), _DAMAGED):
        return read_arrays(sources, "npy files", folder, reading)


def read_lone_npy(path: Path, reading: Reading) -> Imported:
    """Read the array that a user named together with its partner in the same folder. DataError if there is none."""
    found = role_of(path.stem)
    for other in sorted(path.parent.glob("*.npy")):
        partner = role_of(other.stem)
        if (
            other != path
            and found
            and partner
            and partner[1] == found[1]
            and {found[0], partner[0]}
            == {
                "images",
                "labels",
            }
        ):
            imported = read_npy_files([path, other], path.parent, reading)
            note = f"{other.name} beside {path.name} is its partner"
            return Imported(
                imported.faces, "npy files", str(path.resolve()), (note, *imported.notes), imported.numbered
            )
    raise DataError(
        f"{path}: a single NumPy array; images and labels are needed, in two files side by side, or {REMEDY}"
    )


def _array_name(member: str) -> str:
    return member.rsplit("/", 1)[-1].removesuffix(".npy")


def _without_content(name: str, path: Path) -> ArraySource:
    return ArraySource(name, f"{path}, array {name[:40]!r}", (0,), np.dtype(np.uint8), lambda: np.empty(0, np.uint8))


def _of_member(archive: zipfile.ZipFile, member: str, path: Path, budget: Budget) -> ArraySource:
    name = _array_name(member)
    return _source(name, f"{path}, array {name[:40]!r}", lambda: archive.open(member), budget)


def _of_file(path: Path, budget: Budget) -> ArraySource:
    return _source(path.stem, str(path), lambda: path.open("rb"), budget)


def _source(name: str, place: str, open_it: Callable[[], AbstractContextManager[Any]], budget: Budget) -> ArraySource:
    with decoding(place, _DAMAGED), open_it() as stream:
        version = npy_format.read_magic(stream)
        read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if any(not isinstance(n, int) or n < 0 for n in shape):
            raise DataError(f"{place}: {_DAMAGED} (shape {str(shape)[:80]}); fetch it again")

    def read() -> np.ndarray:
        with decoding(place, _DAMAGED), open_it() as stream:
            array = npy_format.read_array(Counted(stream, budget, place), allow_pickle=False)
            # the rest, so that a zip's check sum is compared
            while stream.read(1 << 20):
                pass
            return array

    return ArraySource(name, place, shape, dtype, read)


def is_array_file(path: Path) -> bool:
    """Whether a .npy file's name shows what is in it."""
    return path.suffix.lower() == ".npy" and (role_of(path.stem) is not None or is_split(path.stem))
