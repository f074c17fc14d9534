"""A dataset of synthetic faces with planted copies, written with the list of the copies, for lessons and tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.planted import PlantedCopy, plant_copies
from fer_jax.data.synthetic import draw_faces
from fer_jax.machine.atomic_write import placed_whole
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.runs.dataset import synthetic_counts

LIST_ENDING = ".planted.csv"
COLUMNS = ("row_a", "row_b", "change", "split_a", "split_b", "label_a", "label_b")
FULL_SIZE = 35_887  # samples of FER-2013


def synthesise(path: Path, *, samples: int, duplicates: float, conflicts: float, seed: int = 0) -> dict[str, Any]:
    """Draw faces, plant copies as `plant_copies` does, and write both files. Returns what was written, as plain values.

    path: a new .npz (images, labels, usage) or .csv (as fer2013.csv). Raises DataError if it cannot be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise DataError(f"{path}: its ending names no format ({', '.join(_WRITERS)})")
    listed = path.with_name(path.name + LIST_ENDING)
    for one in (path, listed):
        if one.exists() or one.is_symlink():
            raise DataError(f"{one}: exists already; name another place, or delete it first")
    drawn = draw_faces(seed, synthetic_counts(FULL_SIZE / samples))
    faces, copies = plant_copies(drawn, duplicates, conflicts, seed)
    try:
        write(faces, path)
        _write_list(faces, copies, listed)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error
    return {
        "path": str(path),
        "list": str(listed),
        "samples": {usage: sum(counts) for usage, counts in faces.counts().items()},
        "fingerprint": faces.fingerprint,
        "seed": seed,
        "copies": {usage: int(sum(faces.usage[one.row] == u for one in copies)) for u, usage in enumerate(USAGES) if u},
        "exact": sum(one.change == "same" for one in copies),
        "conflicts": sum(one.conflict for one in copies),
    }


def _write_npz(faces: Faces, path: Path) -> None:
    with placed_whole(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, images=faces.images, labels=faces.labels, usage=faces.usage)


def _write_csv(faces: Faces, path: Path) -> None:
    with placed_whole(path) as aside, aside.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("emotion", "pixels", "Usage"))
        for image, label, usage in zip(faces.images, faces.labels.tolist(), faces.usage.tolist(), strict=True):
            writer.writerow((label, " ".join(map(str, image.ravel().tolist())), USAGES[usage]))


_WRITERS = {".npz": _write_npz, ".csv": _write_csv}


def _write_list(faces: Faces, copies: list[PlantedCopy], path: Path) -> None:
    """One line per copy; rows are counted from 0, as in the list of `repro audit data`."""
    with placed_whole(path) as aside, aside.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in copies:
            rows = (one.original, one.row)
            splits, labels = ([names[values[row]] for row in rows] for names, values in _named(faces))
            writer.writerow((*rows, one.change, *splits, *labels))


def _named(faces: Faces) -> tuple[tuple[tuple[str, ...], np.ndarray], tuple[tuple[str, ...], np.ndarray]]:
    return (USAGES, faces.usage), (EMOTIONS, faces.labels)
