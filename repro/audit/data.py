"""Defects of a dataset: copies, copies with other labels, empty images, and images without a face."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.ferplus import not_a_face, read_votes
from fer_jax.duplicates.search import (
    DUPLICATES_VERSION,
    MIRRORED_MARGIN,
    Candidates,
    Pairs,
    almost_constant,
    default_threshold,
    duplicates_of,
    find_duplicates,
    picture_groups,
)
from fer_jax.duplicates.stages import CarryOut
from fer_jax.machine.atomic_write import placed_whole
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES
from repro.runs.dataset import Dataset

CountMatrix = tuple[tuple[int, ...], ...]


class PairCounts(msgspec.Struct, frozen=True):
    """Pairs of one kind. rows: number of samples that have such a copy. between: pairs by the splits of their two
    samples, as rows and columns, symmetric, in the order of USAGES; on the diagonal both are in that split."""

    pairs: int
    rows: int
    between: CountMatrix


class SplitCopies(msgspec.Struct, frozen=True):
    """Samples of an evaluation split. exact: with the same pixels as a Training sample. exact_or_near: same image as a
    Training sample (see `picture_groups`). repeated: same image as an earlier sample of this split."""

    split: str
    rows: int
    exact: int
    exact_or_near: int
    repeated: int


class LabelConflicts(msgspec.Struct, frozen=True):
    """The same image under different emotions. pictures: images with at least two emotions. rows: their samples."""

    pairs: int
    pictures: int
    rows: int


class DataAudit(msgspec.Struct, frozen=True):
    """The results. Rows are counted from 0, in the order of the imported file. pictures: number of different images.
    almost_constant: without the constant ones. not_faces: None if no votes of FER+ were given. threshold: for near
    pairs; mirrored_threshold: for mirrored pairs; None in older records, in which it is the same."""

    data: str
    fingerprint: str
    synthetic: bool
    rows: int
    split_rows: tuple[int, ...]
    duplicates_version: int
    candidates: Candidates
    threshold: float
    pictures: int
    exact: PairCounts
    near: PairCounts
    copies_in_training: tuple[SplitCopies, ...]
    exact_conflicts: LabelConflicts
    conflicts: LabelConflicts
    constant: tuple[int, ...]
    almost_constant: tuple[int, ...]
    not_faces: tuple[int, ...] | None
    not_faces_by_split: tuple[int, ...] | None
    mirrored_threshold: float | None = None


def search_duplicates(
    faces: Faces, candidates: Candidates, carry_out: CarryOut | None = None, *, threshold: float | None = None
) -> Pairs:
    """All pairs, compared in blocks and kept in the cache; or those found with an index or with another threshold,
    which are not kept. The index may miss a few. carry_out, threshold: see `find_duplicates`.

    Raises DataError if the index is not installed.
    """
    if candidates == "blocks" and carry_out is None and threshold in (None, default_threshold(len(faces))):
        return duplicates_of(faces)
    return find_duplicates(faces.images, threshold=threshold, candidates=candidates, carry_out=carry_out)


def audit_data(
    dataset: Dataset,
    pairs: Pairs,
    *,
    candidates: Candidates = "blocks",
    threshold: float | None = None,
    ferplus: Path | None = None,
) -> DataAudit:
    """Count the duplicates and other defects of a dataset.

    pairs: from `search_duplicates` with the same `candidates` and `threshold`. ferplus: fer2013new.csv. Raises
    DataError if the votes do not fit.
    """
    faces = dataset.faces
    votes = None if ferplus is None else read_votes(ferplus, faces)
    exact = pairs.take(pairs.exact)
    identical, pictures = (picture_groups(len(faces), some) for some in (exact, pairs))
    least = default_threshold(len(faces)) if threshold is None else threshold
    constant = faces.images.max((1, 2), initial=0) == faces.images.min((1, 2), initial=255)
    strangers = None if votes is None else not_a_face(votes)
    return DataAudit(
        data=dataset.name,
        fingerprint=faces.fingerprint,
        synthetic=faces.synthetic,
        rows=len(faces),
        split_rows=_by_split(faces, np.ones(len(faces), bool)),
        duplicates_version=DUPLICATES_VERSION,
        candidates=candidates,
        threshold=least,
        mirrored_threshold=least + MIRRORED_MARGIN,
        pictures=len(np.unique(pictures)),
        exact=_pair_counts(faces, exact),
        near=_pair_counts(faces, pairs.take(~pairs.exact)),
        copies_in_training=tuple(_split_copies(faces, split, identical, pictures) for split in (1, 2)),
        exact_conflicts=_conflicts(faces, exact, identical),
        conflicts=_conflicts(faces, pairs, pictures),
        constant=_rows(constant),
        almost_constant=_rows(almost_constant(faces.images) & ~constant),
        not_faces=None if strangers is None else _rows(strangers),
        not_faces_by_split=None if strangers is None else _by_split(faces, strangers),
    )


def _rows(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def _by_split(faces: Faces, mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.bincount(faces.usage[mask], minlength=len(USAGES)).tolist())


def _pair_counts(faces: Faces, pairs: Pairs) -> PairCounts:
    counts = np.zeros((len(USAGES),) * 2, np.int64)
    np.add.at(counts, (faces.usage[pairs.row_a], faces.usage[pairs.row_b]), 1)
    between = counts + counts.T - np.diag(np.diag(counts))
    rows = len(np.unique(np.concatenate([pairs.row_a, pairs.row_b])))
    return PairCounts(len(pairs), rows, tuple(tuple(line) for line in between.tolist()))


def _split_copies(faces: Faces, split: int, identical: np.ndarray, pictures: np.ndarray) -> SplitCopies:
    inside, training = faces.usage == split, faces.usage == 0
    exact, near = (np.isin(group[inside], group[training]).sum() for group in (identical, pictures))
    repeated = inside.sum() - len(np.unique(pictures[inside]))
    return SplitCopies(USAGES[split], int(inside.sum()), int(exact), int(near), int(repeated))


def _conflicts(faces: Faces, pairs: Pairs, groups: np.ndarray) -> LabelConflicts:
    known = faces.labels != UNLABELLED
    a, b = faces.labels[pairs.row_a], faces.labels[pairs.row_b]
    pair_known = known[pairs.row_a] & known[pairs.row_b]
    emotions = np.unique(np.stack([groups[known], faces.labels[known]]), axis=1)[0]
    pictures, kinds = np.unique(emotions, return_counts=True)
    torn = pictures[kinds > 1]
    rows = (np.isin(groups, torn) & known).sum()
    return LabelConflicts(int((pair_known & (a != b)).sum()), len(torn), int(rows))


def write_pairs_csv(path: Path, faces: Faces, pairs: Pairs) -> None:
    """Every pair as a line: row_a,row_b,kind,score,split_a,split_b,label_a,label_b; rows from 0, labels as words.

    Creates the folder if needed. Raises DataError if the file cannot be written.
    """
    labels = [*EMOTIONS, *[""] * (256 - len(EMOTIONS))]
    try:
        with placed_whole(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(("row_a", "row_b", "kind", "score", "split_a", "split_b", "label_a", "label_b"))
            for a, b, exact, score in zip(pairs.row_a, pairs.row_b, pairs.exact, pairs.score, strict=True):
                splits, words = (
                    [names[values[row]] for row in (a, b)]
                    for names, values in ((USAGES, faces.usage), (labels, faces.labels))
                )
                lines.writerow((a, b, "exact" if exact else "near", f"{score:.4f}", *splits, *words))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); name another folder") from error


def audit_data_document(audit: DataAudit) -> dict[str, Any]:
    """`repro audit data --json`: the fields of DataAudit, with `splits` to name the lines and columns of `between`."""
    return {"splits": list(USAGES), **msgspec.to_builtins(audit)}
