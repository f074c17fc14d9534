"""NumPy ``.npz`` files with the arrays ``images``, ``labels`` and, where known, ``usage``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from fer_jax.data.faces import EMOTIONS, UNLABELLED, USAGES, DataError, Faces
from fer_jax.data.formats.csv_file import PIXELS, SIDE
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import TRAINING, usage_index

_REMEDY = "save it with numpy.savez(path, images=uint8 (N, 48, 48), labels=integers (N,), usage=0, 1, 2 or names (N,))"
# One million faces; the official set has 35,887. A file that claims to be larger is not this data set.
_LARGEST_ARRAY_BYTES = 1_000_000 * PIXELS


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray | None:
    member = f"{name}.npy"
    if member not in archive.namelist():
        return None
    place = f"{path}, array {name!r}"
    try:
        with archive.open(member) as stream:
            version = npy_format.read_magic(stream)
            read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, _, dtype = read_header(stream)
        claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject:
            raise DataError(f"{place}: holds Python objects, which are never unpickled; {_REMEDY}")
        if claimed > _LARGEST_ARRAY_BYTES:
            raise DataError(f"{place}: its header claims {claimed:,} bytes; more than FER-2013 can have")
        with archive.open(member) as stream:
            return npy_format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{place}: damaged or cut off ({error}); fetch it again") from error


def _first_row(bad: np.ndarray) -> int:
    return int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0])


def _images(array: np.ndarray, path: Path) -> np.ndarray:
    place = f"{path}, array 'images'"
    n = array.shape[0] if array.ndim else 0
    if array.shape not in ((n, SIDE, SIDE), (n, SIDE, SIDE, 1), (n, PIXELS)):
        raise DataError(f"{place}: shape {array.shape}, needed is (N, {SIDE}, {SIDE}); {_REMEDY}")
    if not n:
        raise DataError(f"{place}: holds no row")
    if array.dtype.kind not in "iu":
        raise DataError(f"{place}: dtype {array.dtype}, needed is uint8 (0 black to 255 white); {_REMEDY}")
    if array.dtype != np.uint8:
        bad = (array < 0) | (array > 255)
        if bad.any():
            raise DataError(f"{place}, row {_first_row(bad)} (the first is 0): a pixel outside 0 to 255")
    return np.ascontiguousarray(array, np.uint8).reshape(n, SIDE, SIDE)


def _labels(array: np.ndarray, n: int, path: Path) -> np.ndarray:
    place = f"{path}, array 'labels'"
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise DataError(f"{place}: shape {array.shape} of {array.dtype}, needed is ({n},) of integers; {_REMEDY}")
    bad = (array != UNLABELLED) & ((array < 0) | (array >= len(EMOTIONS)))
    if bad.any():
        row = _first_row(bad)
        raise DataError(
            f"{place}, row {row} (the first is 0): label {array[row]}; it is 0 (angry) to 6 (neutral), or 255 where "
            "unknown"
        )
    return array.astype(np.uint8)


def _usage(array: np.ndarray, n: int, path: Path) -> np.ndarray:
    place = f"{path}, array 'usage'"
    if array.shape != (n,) or array.dtype.kind not in "iuUS":
        raise DataError(f"{place}: shape {array.shape} of {array.dtype}, needed is ({n},); {_REMEDY}")
    if array.dtype.kind in "US":
        names, inverse = np.unique(array.astype(np.str_), return_inverse=True)
        found = [usage_index(str(name)) for name in names]
        if None in found:
            unknown = str(names[found.index(None)])
            raise DataError(f"{place}: usage {unknown!r}; accepted are {', '.join(USAGES)}")
        return np.array(found, np.uint8)[inverse]
    bad = (array < 0) | (array >= len(USAGES))
    if bad.any():
        row = _first_row(bad)
        raise DataError(f"{place}, row {row} (the first is 0): usage {array[row]}; accepted are 0, 1, 2 ({USAGES})")
    return array.astype(np.uint8)


def read_npz(path: Path) -> Imported:
    """Read ``images``, ``labels`` and ``usage`` (all Training where absent). DataError naming array and row."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: a damaged or cut-off .npz file ({error})") from error
    with archive:
        images, labels, usage = (_array(archive, name, path) for name in ("images", "labels", "usage"))
        if images is None or labels is None:
            found = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
            raise DataError(f"{path}: holds the arrays {found}; needed are images and labels: {_REMEDY}")
    images = _images(images, path)
    n = len(images)
    notes = () if usage is not None else ("no usage array: every row is taken as Training",)
    splits = _usage(usage, n, path) if usage is not None else np.full(n, TRAINING, np.uint8)
    faces = Faces(images, _labels(labels, n, path), splits, np.arange(n, dtype=np.int32))
    return Imported(faces, "npz", str(path.resolve()), notes)
