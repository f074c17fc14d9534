"""From a path to faces: decide the form by content and hand over to the reader of that form."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, concatenate
from fer_jax.data.formats.archive import unpack
from fer_jax.data.formats.budget import Reading, decoding
from fer_jax.data.formats.csv_tables import layouts, read_lone_csv
from fer_jax.data.formats.hdf5_file import read_hdf5
from fer_jax.data.formats.image_folder import IMAGE_SUFFIXES, visible
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.layouts import DataFolder, layout_of
from fer_jax.data.formats.names import is_split, split_usages
from fer_jax.data.formats.npz_file import read_lone_npy, read_npz
from fer_jax.data.formats.official import in_official_order
from fer_jax.data.formats.parquet_file import read_parquet, split_name
from fer_jax.data.formats.recognise import ACCEPTED, ARCHIVES, CSV, HDF5, NPY, NPZ, PARQUET, file_kind

_DEEPEST = 6  # folders around the data, such as datasets/<owner>/fer2013/versions/1
_MOST_NAMED = 5

READERS: dict[str, Callable[[Path, Reading], Imported]] = {
    CSV: read_lone_csv,
    NPZ: read_npz,
    NPY: read_lone_npy,
    HDF5: read_hdf5,
    PARQUET: lambda path, reading: read_parquet([path], path, reading),
}


def read_faces(path: Path, skip_bad: bool = False) -> Imported:
    """Read FER-2013 from a file or folder in any accepted form (see ``recognise.ACCEPTED``).

    skip_bad: leave out samples that cannot be used; ``Imported.skipped`` then says which ones and why.
    DataError, with file and row, for everything that cannot be used. Nothing is written outside a temporary folder,
    which is always removed.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: neither a file nor a folder")
    reading = Reading(skip_bad=skip_bad)
    with decoding(str(path), "cannot be read, for an unexpected reason", "please report it"):
        imported = _read(path, reading)
    if imported.numbered:
        faces, notes = in_official_order(imported.faces, imported.notes)
        imported = replace(imported, faces=faces, notes=notes)
    return replace(imported, source=str(path.resolve()), skipped=tuple(reading.skipped))


def _read(path: Path, reading: Reading, unpacked: bool = False) -> Imported:
    try:
        if path.is_dir():
            return _read_folder(path, reading, unpacked)
        kind = file_kind(path)
        if not unpacked:
            reading.budget.admit(path)
        return READERS[kind](path, reading) if kind in READERS else _read_archive(path, kind, reading)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from error


def _read_archive(path: Path, kind: str, reading: Reading) -> Imported:
    skipped = len(reading.skipped)
    with tempfile.TemporaryDirectory(prefix="fer-import-") as temporary:

        def named(message: str) -> str:
            # The temporary folder is gone when the message is read: name the place inside the archive instead.
            return message.replace(f"{temporary}/", f"{path} -> ").replace(temporary, str(path))

        try:
            unpack(path, kind, Path(temporary), reading.budget)
            inner = _read(Path(temporary), reading, unpacked=True)
        except DataError as error:
            raise DataError(named(str(error))) from error
    reading.skipped[skipped:] = map(named, reading.skipped[skipped:])
    return replace(inner, form=f"{kind} of {inner.form}", notes=tuple(map(named, inner.notes)))


def _read_folder(path: Path, reading: Reading, unpacked: bool) -> Imported:
    folder = DataFolder(path)
    for _ in range(_DEEPEST):
        found = layout_of(folder)
        if found is not None:
            layout, files = found
            if not unpacked:
                for file in files:
                    if file.is_file():
                        reading.budget.admit(file)
            return layout.read(files, folder, reading)
        content = folder.content
        if len(content) != 1 or not content[0].is_dir():
            break
        folder = DataFolder(content[0])
    return _packed(folder, reading, unpacked)


def _packed(folder: DataFolder, reading: Reading, unpacked: bool) -> Imported:
    """The archive of a folder without any other data, or one archive per split."""
    archives = [path for path in folder.files if _is_archive(path)]
    if len(archives) == 1:
        return _read(archives[0], reading, unpacked)
    splits = {path: split_name(path) for path in archives}
    if archives and all(splits.values()):
        return _split_archives({path: split for path, split in splits.items() if split}, folder, reading, unpacked)
    if archives:
        names = ", ".join(path.name for path in archives[:_MOST_NAMED])
        raise DataError(f"{folder.path}: several datasets ({names}); name one of them")
    _, reason = layouts(folder.named(".csv"))
    if reason is not None:
        raise reason
    found = ", ".join(path.name[:80] for path in visible(folder.path)[:8])
    raise DataError(
        f"{folder.path}: "
        + (f"no FER-2013 in it, only {found}" if found else "the folder is empty")
        + _loose_images(folder)
        + f"; accepted: {ACCEPTED}"
    )


def _loose_images(folder: DataFolder) -> str:
    """Said of images that lie in no emotion folder."""
    places = [folder.path, *(path for path in folder.content if path.is_dir() and is_split(path.name))]
    loose = (path for place in places for path in visible(place) if path.suffix.lower() in IMAGE_SUFFIXES)
    first = next(loose, None)
    return f"; {first.name[:80]} lies in no folder of an emotion, which would be its label" if first else ""


def _is_archive(path: Path) -> bool:
    if path.suffix.lower() not in ("", ".zip", ".tar", ".tgz", ".gz"):
        return False
    try:
        return file_kind(path) in ARCHIVES
    except DataError:
        return False


def _split_archives(splits: dict[Path, str], folder: DataFolder, reading: Reading, unpacked: bool) -> Imported:
    """One archive per split, such as the shards train-0000.tar and test-0000.tar of a WebDataset."""
    usages, notes = split_usages({split: None for split in splits.values()})
    parts, forms, numbered, found = [], [], [], list(notes)
    for path in sorted(splits, key=lambda p: (usages[splits[p]], p.name)):
        imported = _read(path, reading, unpacked)
        usage = np.full(len(imported.faces), usages[splits[path]], np.uint8)
        parts.append(imported.faces.changed(usage=usage))
        forms.append(imported.form)
        numbered.append(imported.numbered)
        found += [note for note in imported.notes if note not in found and "Training" not in note]
    joined = concatenate(parts)
    faces = joined.changed(origin=np.arange(len(joined), dtype=np.int32))
    return Imported(faces, forms[0], str(folder.path.resolve()), tuple(found), any(numbered))
