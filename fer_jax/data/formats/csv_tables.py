"""The csv files of one folder: the complete one, or one per part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces, concatenate
from fer_jax.data.formats.budget import Reading
from fer_jax.data.formats.csv_file import read_csv
from fer_jax.data.formats.csv_layout import CsvColumns, read_layout
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import PUBLIC_TEST, TRAINING, is_split, split_usages
from fer_jax.data.formats.recognise import CSV, file_kind
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import UNLABELLED, USAGES


def layouts(paths: list[Path]) -> tuple[dict[Path, CsvColumns], DataError | None]:
    """The files that are tables of faces, and the first reason why another one is not."""
    found: dict[Path, CsvColumns] = {}
    first_error: DataError | None = None
    for path in paths:
        try:
            if file_kind(path) == CSV:
                found[path] = read_layout(path)
        except DataError as error:
            # A folder may hold other tables (example_submission.csv); the error counts when nothing else is there.
            first_error = first_error or error
    return found, first_error


def read_lone_csv(path: Path, reading: Reading) -> Imported:
    """One csv file. If it has labels and no Usage column, its own name may give the split (test.csv, val.csv)."""
    imported = read_csv(path, reading)
    layout = read_layout(path)
    if layout.usage is not None or layout.emotion is None or not is_split(path.stem):
        return imported
    usages, guesses = split_usages([path.stem])
    usage = usages[path.stem]
    if usage == TRAINING:
        return imported
    faces = imported.faces.changed(usage=np.full(len(imported.faces), usage, np.uint8))
    named = f"no Usage column: by the name {path.name}, every row is taken as {USAGES[usage]}"
    return Imported(faces, imported.form, imported.source, (named, *guesses), imported.numbered)


def read_csv_tables(paths: list[Path], folder: Path, reading: Reading) -> Imported:
    """The complete file among a folder's csv files, or train.csv, val.csv and test.csv together.

    DataError if several files could be meant and their content differs, or if none is a table of faces.
    """
    found, first_error = layouts(paths)
    complete = [path for path, layout in found.items() if layout.usage is not None]
    if complete:
        imported = _the_same(complete, folder, reading)
        parts = ", ".join(path.name for path in found if path not in complete)
        said = (f"{complete[0].name} was read; not read: {parts}",) if parts else ()
        return replace(imported, notes=(*said, *imported.notes))
    unlabelled = [path for path, layout in found.items() if layout.emotion is None]
    labelled = [path for path in found if path not in unlabelled]
    if len(found) > 1 and (len(unlabelled) > 1 or not all(is_split(path.stem) for path in found)):
        if len(labelled) == len(unlabelled) == 1:
            return _parts(found, folder, reading)
        raise DataError(f"{folder}: several datasets ({', '.join(p.name for p in found)}); name one of them")
    if len(found) > 1:
        return _parts(found, folder, reading)
    if found:
        return read_lone_csv(next(iter(found)), reading)
    raise first_error or DataError(f"{folder}: no csv file with faces in it")


def _the_same(paths: list[Path], folder: Path, reading: Reading) -> Imported:
    """The first of files that all hold the same samples, such as fer2013.csv and icml_face_data.csv of Kaggle."""
    first = read_csv(paths[0], reading)
    for path in paths[1:]:
        if read_csv(path, reading).faces.fingerprint != first.faces.fingerprint:
            raise DataError(
                f"{folder}: several datasets with different content ({', '.join(p.name for p in paths)}); name one of "
                "them"
            )
    if len(paths) == 1:
        return first
    same = ", ".join(path.name for path in paths[1:])
    notes = (f"{paths[0].name} was read; {same}: the same", *first.notes)
    return Imported(first.faces, first.form, first.source, notes, first.numbered)


def _parts(found: dict[Path, CsvColumns], folder: Path, reading: Reading) -> Imported:
    """One file per part. The names give the splits; an unlabelled file is PublicTest, as in the competition."""
    named = [path.stem for path, layout in found.items() if layout.emotion is not None and is_split(path.stem)]
    usages, guesses = split_usages(named)
    parts, notes, numbered = [], list(guesses), False
    for path, layout in found.items():
        imported = read_csv(path, reading)
        faces, numbered = imported.faces, numbered or imported.numbered
        if layout.emotion is None:
            notes.append(
                f"{path.name} has {counted(len(faces), 'row')} without labels, taken as PublicTest, which cannot be "
                "trained or evaluated on"
            )
        usage = PUBLIC_TEST if layout.emotion is None else usages.get(path.stem, TRAINING)
        parts.append((usage, faces.changed(usage=np.full(len(faces), usage, np.uint8)), path.name))
    parts.sort(key=lambda part: (part[0], (part[1].labels == UNLABELLED).all(), part[2]))
    joined: Faces = concatenate([faces for _, faces, _ in parts])
    faces = joined.changed(origin=np.arange(len(joined), dtype=np.int32))
    form = " + ".join(name for _, _, name in parts)
    return Imported(faces, form, str(folder.resolve()), tuple(notes), numbered)
