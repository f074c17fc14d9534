"""Every arrangement of files in a folder that is read, each with how it is recognised and read.

``LAYOUTS`` is the list. If a folder fits several, the user has to say which one is meant: nothing is chosen silently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import Reading
from fer_jax.data.formats.csv_layout import read_layout
from fer_jax.data.formats.csv_tables import layouts as csv_layouts
from fer_jax.data.formats.csv_tables import read_csv_tables
from fer_jax.data.formats.hdf5_file import read_hdf5
from fer_jax.data.formats.image_folder import image_root, read_image_folder, visible
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.npz_file import is_array_file, read_npy_files, read_npz
from fer_jax.data.formats.parquet_file import read_parquet
from fer_jax.data.formats.recognise import CSV, HDF5, NPZ, file_kind
from fer_jax.data.formats.webdataset import read_samples, samples

_MOST_FILES = 200_000


@dataclass(frozen=True)
class DataFolder:
    """A folder and what lies in it."""

    path: Path

    @cached_property
    def content(self) -> list[Path]:
        return visible(self.path)

    @cached_property
    def files(self) -> list[Path]:
        return [path for path in self.content if path.is_file()]

    def named(self, *suffixes: str) -> list[Path]:
        return [path for path in self.files if path.name.lower().endswith(suffixes)]


@dataclass(frozen=True)
class Layout:
    """find: the files or folders of the folder that are in this form, empty if there are none. read: those files."""

    name: str
    find: Callable[[DataFolder], list[Path]]
    read: Callable[[list[Path], DataFolder, Reading], Imported]


def _image_folder(folder: DataFolder) -> list[Path]:
    root = image_root(folder.path)
    return [root] if root else []


def _parquet_files(folder: DataFolder) -> list[Path]:
    deeper = islice(folder.path.glob("*/*.parquet"), _MOST_FILES)
    return sorted(path for path in (*folder.named(".parquet"), *deeper) if path.is_file())


def _read_parquet(paths: list[Path], folder: DataFolder, reading: Reading) -> Imported:
    for path in paths:
        file_kind(path)
    return read_parquet(paths, folder.path, reading)


def _csv_files(folder: DataFolder) -> list[Path]:
    """Csv files with faces; any others only if nothing else is there, so that the reason is said."""
    paths = folder.named(".csv")
    return list(csv_layouts(paths)[0])


def _nameless_files(folder: DataFolder) -> list[Path]:
    """Files without an extension, or with one of text, that hold faces: the `fer2013` of some Windows programs."""
    found = []
    for path in folder.files:
        if path.suffix.lower() in ("", ".txt", ".tsv", ".data"):
            try:
                if file_kind(path) == CSV:
                    read_layout(path)
                    found.append(path)
            except DataError:
                continue
    return found


def _npy_files(folder: DataFolder) -> list[Path]:
    return [path for path in folder.named(".npy") if is_array_file(path)]


def _samples(folder: DataFolder) -> list[Path]:
    return [image for image, _ in samples(folder.path)]


def _lone(read: Callable[[Path, Reading], Imported]) -> Callable[[list[Path], DataFolder, Reading], Imported]:
    def read_lone(paths: list[Path], folder: DataFolder, reading: Reading) -> Imported:
        if len(paths) > 1:
            raise DataError(
                f"{folder.path}: several datasets ({', '.join(p.name for p in paths[:5])}); name one of them"
            )
        return read(paths[0], reading)

    return read_lone


LAYOUTS = (
    Layout("an image folder", _image_folder, lambda paths, _, reading: read_image_folder(paths[0], reading)),
    Layout("parquet files", _parquet_files, _read_parquet),
    Layout("csv files", _csv_files, lambda paths, folder, reading: read_csv_tables(paths, folder.path, reading)),
    Layout("npy files", _npy_files, lambda paths, folder, reading: read_npy_files(paths, folder.path, reading)),
    Layout("a WebDataset", _samples, lambda _, folder, reading: read_samples(folder.path, reading)),
    Layout("npz files", lambda folder: _of_kind(folder, NPZ, ".npz"), _lone(read_npz)),
    Layout("HDF5 files", lambda folder: _of_kind(folder, HDF5, ".h5", ".hdf5"), _lone(read_hdf5)),
    Layout("text files", _nameless_files, lambda paths, folder, reading: read_csv_tables(paths, folder.path, reading)),
)


def _of_kind(folder: DataFolder, kind: str, *suffixes: str) -> list[Path]:
    found = []
    for path in folder.named(*suffixes):
        if file_kind(path) == kind:
            found.append(path)
    return found


def layout_of(folder: DataFolder) -> tuple[Layout, list[Path]] | None:
    """The layout of a folder and its files, or None. DataError if several fit."""
    fitting = [(layout, files) for layout in LAYOUTS if (files := layout.find(folder))]
    if len(fitting) > 1:
        named = ", ".join(f"{layout.name} such as {files[0].name or files[0]}" for layout, files in fitting)
        raise DataError(f"{folder.path}: several datasets ({named}); name one of them")
    return fitting[0] if fitting else None
