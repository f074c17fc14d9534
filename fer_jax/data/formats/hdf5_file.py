"""HDF5 files (``.h5``) with arrays under the usual names, through the package h5py if it is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from fer_jax.data.faces import DataError
from fer_jax.data.formats.arrays import ArraySource, read_arrays, role_of
from fer_jax.data.formats.budget import Budget, Reading, decoding
from fer_jax.data.formats.imported import Imported

_MOST_ARRAYS = 100


def read_hdf5(path: Path, reading: Reading) -> Imported:
    """Read arrays named as in ``.npz`` files (see ``arrays.role_of``). DataError naming array and row."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise DataError(
            f"{path}: an HDF5 file; reading it needs the package h5py, which is not installed\n"
            "install it (pip install 'fer-repro[hdf5]'), or save the arrays with numpy.savez"
        ) from error
    with decoding(str(path), "a damaged or unreadable HDF5 file"), h5py.File(path, "r") as file:
        found: list[ArraySource] = []

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and role_of(name.rsplit("/", 1)[-1]) and len(found) < _MOST_ARRAYS:
                found.append(_source(name, item, path, reading.budget))

        file.visititems(visit)  # follows no link to another file
        return read_arrays(found, "hdf5", path, reading)


def _source(name: str, item: Any, path: Path, budget: Budget) -> ArraySource:
    place = f"{path}, array {name[:40]!r}"
    if item.external is not None or item.is_virtual:
        raise DataError(f"{place}: its content lies in another file; only arrays in the file itself are read")
    if item.dtype.hasobject and item.dtype.metadata:  # text of any length
        raise DataError(f"{place}: text of variable length; save names as fixed-length text or as numbers")

    def read() -> Any:
        budget.spend(place, item.nbytes)
        return item[()]

    return ArraySource(name, place, tuple(item.shape or ()), item.dtype, read)
