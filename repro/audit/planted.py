"""A dataset of synthetic faces with planted copies, for lessons and tests: written with the list of the copies, against
which a list of found pairs is marked (docs/lessons/leakage.ipynb does)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PairScore:
    """Of a list of pairs against the planted ones: how many were found, and how many planted. missed: those that are
    not in the list, by change."""

    right: int
    found: int
    planted: int
    missed: dict[str, int]

    @property
    def precision(self) -> float:
        """Share of the found pairs that were planted; 1 if nothing was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the planted pairs that were found."""
        return self.right / self.planted if self.planted else 1.0

    def __str__(self) -> str:
        missed = ", ".join(f"{count} {change}" for change, count in sorted(self.missed.items()))
        text = f"precision {self.precision:.1%}, recall {self.recall:.1%}: {self.right} of {self.planted} planted pairs"
        return f"{text} in a list of {self.found}" + (f"; missed: {missed}" if missed else "")


def read_planted(path: Path) -> dict[tuple[int, int], str]:
    """The planted pairs of rows, the smaller first, and their changes. path: of the dataset, or of its list.

    Raises DataError for a file that is not such a list.
    """
    path = Path(path)
    listed = path if path.name.endswith(LIST_ENDING) else path.with_name(path.name + LIST_ENDING)
    try:
        with listed.open(encoding="utf-8", newline="") as file:
            return {_pair(line["row_a"], line["row_b"]): line["change"] for line in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{listed}: no list of planted copies ({error})") from error


def score_pairs(found: Iterable[tuple[int, int]], planted: dict[tuple[int, int], str]) -> PairScore:
    """found: pairs of rows of the dataset, in any order; a pair that is named twice counts once."""
    listed = {_pair(a, b) for a, b in found}
    missed = [change for pair, change in planted.items() if pair not in listed]
    counts = {change: missed.count(change) for change in set(missed)}
    return PairScore(len(listed & planted.keys()), len(listed), len(planted), counts)


def _pair(a: Any, b: Any) -> tuple[int, int]:
    low, high = sorted((int(a), int(b)))
    return low, high
