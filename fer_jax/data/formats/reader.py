"""From a path to faces: decide the form by content and hand over to the reader of that form."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces, concatenate
from fer_jax.data.formats.archive import Budget, unpack
from fer_jax.data.formats.csv_file import read_csv, read_layout
from fer_jax.data.formats.image_folder import is_image_folder, read_image_folder, visible
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.npz_file import read_npz
from fer_jax.data.formats.parquet_file import read_parquet
from fer_jax.data.formats.recognise import ACCEPTED, ARCHIVES, CSV, NPZ, PARQUET, file_kind

_DEEPEST = 4  # folders around the data, such as datasets/<owner>/fer2013/versions/1


def read_faces(path: Path) -> Imported:
    """Read FER-2013 from a file or folder in any accepted form (see ``recognise.ACCEPTED``).

    DataError, with file and row, for everything that cannot be used. Nothing is written outside a temporary folder,
    which is always removed.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: neither a file nor a folder")
    imported = _read(path, Budget())
    return replace(imported, source=str(path.resolve()))


def _read(path: Path, budget: Budget) -> Imported:
    try:
        return _read_folder(path, budget) if path.is_dir() else _read_file(path, file_kind(path), budget)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from error


def _read_file(path: Path, kind: str, budget: Budget) -> Imported:
    if kind == CSV:
        return read_csv(path)
    if kind == NPZ:
        return read_npz(path)
    if kind == PARQUET:
        return read_parquet([path], path)
    with tempfile.TemporaryDirectory(prefix="fer-import-") as temporary:
        try:
            unpack(path, kind, Path(temporary), budget)
            inner = _read(Path(temporary), budget)
        except DataError as error:
            # The temporary folder is gone when the message is read: name the place inside the archive instead.
            message = str(error).replace(f"{Path(temporary)}/", f"{path} -> ").replace(temporary, str(path))
            raise DataError(message) from error
    return replace(inner, form=f"{kind} of {inner.form}")


def _read_folder(folder: Path, budget: Budget) -> Imported:
    for _ in range(_DEEPEST):
        if is_image_folder(folder):
            return read_image_folder(folder)
        content = visible(folder)
        if len(content) != 1 or not content[0].is_dir():
            break
        folder = content[0]
    files = [p for p in visible(folder) if p.is_file()]
    tables = [p for p in files if p.suffix.lower() == ".csv"]
    parquet = sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")])
    if parquet and tables:
        raise DataError(f"{folder}: several data sets ({tables[0].name}, {parquet[0].name}); name one of them")
    if parquet:
        for path in parquet:
            file_kind(path)
        return read_parquet(parquet, folder)
    if chosen := _choose_csv(folder, tables):
        return chosen
    others = [p for p in files if p.name.lower().endswith((".npz", ".zip", ".tar", ".tar.gz", ".tgz", ".csv.gz"))]
    others = others or [p for p in files if _is_data(p)]
    if len(others) == 1:
        return _read(others[0], budget)
    if others:
        raise DataError(f"{folder}: several data sets ({', '.join(p.name for p in others[:5])}); name one of them")
    found = ", ".join(p.name for p in visible(folder)[:8])
    raise DataError(
        f"{folder}: " + (f"no FER-2013 in it, only {found}" if found else "the folder is empty") + f"; accepted: "
        f"{ACCEPTED}"
    )


def _is_data(path: Path) -> bool:
    """Whether the content of a file without a known extension is data."""
    if path.suffix and path.suffix.lower() not in (".csv", ".txt", ".tsv", ".data"):
        return False
    try:
        kind = file_kind(path)
        if kind == CSV:
            read_layout(path)
    except DataError:
        return False
    return kind in (CSV, NPZ, *ARCHIVES)


def _choose_csv(folder: Path, paths: list[Path]) -> Imported | None:
    """The complete file among a folder's CSV files, or train.csv and test.csv together."""
    complete, labelled, unlabelled = [], [], []
    first_error: DataError | None = None
    for path in paths:
        try:
            if file_kind(path) != CSV:
                continue
            layout = read_layout(path)
        except DataError as error:
            # A folder may hold other tables (example_submission.csv); the error counts when nothing else is there.
            first_error = first_error or error
            continue
        kind = complete if layout.usage is not None else labelled if layout.emotion is not None else unlabelled
        kind.append(path)
    for group in (complete, labelled, unlabelled):
        if len(group) > 1:
            raise DataError(f"{folder}: several data sets ({', '.join(p.name for p in group)}); name one of them")
    if complete:
        return read_csv(complete[0])
    if labelled and unlabelled:
        train, test = read_csv(labelled[0]), read_csv(unlabelled[0])
        joined = concatenate([train.faces, test.faces])
        faces = Faces(joined.images, joined.labels, joined.usage, np.arange(len(joined), dtype=np.int32))
        note = (
            f"the {len(test.faces):,} rows of {unlabelled[0].name} carry no labels, are taken as PublicTest, and "
            "cannot be trained or evaluated on"
        )
        return Imported(faces, "train.csv + test.csv", train.source, (note,))
    if labelled or unlabelled:
        return read_csv((labelled or unlabelled)[0])
    if first_error:
        raise first_error
    return None
