"""Whether samples are FER-2013: compared with the official counts per split and class, in whatever order the classes
are numbered.

The seven triples of counts (Training, PublicTest, PrivateTest) are all different, and so are the counts of each split
and of both test splits together. So a dataset with the official counts in another order has been numbered in that
order: chance does not permute 21 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.formats.names import NUMBERS_NOTE, PRIVATE_TEST, PUBLIC_TEST
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, UNLABELLED, USAGES

_OFFICIAL = np.array([OFFICIAL_COUNTS[usage] for usage in USAGES])


@dataclass(frozen=True)
class CountsMatch:
    """kind: 'all' 35,887 samples in their splits; 'merged' if PublicTest holds both test splits; 'part' if a split is
    missing or carries no labels; 'other' if it is not the FER-2013 of the papers.

    order: the emotion of each number, where the counts show one; the official order unless the classes were numbered
    in another.
    """

    kind: str
    order: tuple[int, ...] | None

    @property
    def is_reordered(self) -> bool:
        return self.order is not None and self.order != tuple(range(len(EMOTIONS)))


def likeness(faces: Faces) -> CountsMatch:
    """What the counts say of a dataset."""
    counts = np.array([faces.counts()[usage] for usage in USAGES])
    present = np.flatnonzero(counts.sum(axis=1))
    merged = _OFFICIAL.copy()
    merged[PUBLIC_TEST] += merged[PRIVATE_TEST]
    merged[PRIVATE_TEST] = 0
    for kind, official in (("all", _OFFICIAL), ("merged", merged)):
        order = _order(counts[present], official[present])
        if order is not None:
            whole = np.array_equal(np.sort(counts, axis=1), np.sort(official, axis=1))
            whole &= not (faces.labels == UNLABELLED).any()
            return CountsMatch(kind if whole else "part", order)
    return CountsMatch("other", None)


def _order(counts: np.ndarray, official: np.ndarray) -> tuple[int, ...] | None:
    """The official class of each column of counts (splits, 7); None unless the columns are the official ones."""
    if not len(counts):
        return None
    class_of = {tuple(column): emotion for emotion, column in enumerate(official.T.tolist())}
    found = [class_of.get(tuple(column)) for column in counts.T.tolist()]
    known = [emotion for emotion in found if emotion is not None]
    return tuple(known) if len(set(known)) == len(EMOTIONS) else None


def in_official_order(faces: Faces, notes: tuple[str, ...]) -> tuple[Faces, tuple[str, ...]]:
    """Faces whose classes were numbered by the source, renumbered if the counts show another order; and the notes.

    If the counts show the order, it is not a guess any more.
    """
    found = likeness(faces)
    if found.order is None:
        return faces, notes
    notes = tuple(note for note in notes if note != NUMBERS_NOTE)
    if not found.is_reordered:
        return faces, notes
    new = np.full(256, UNLABELLED, np.uint8)
    new[: len(EMOTIONS)] = found.order
    names = ", ".join(EMOTIONS[emotion] for emotion in found.order)
    note = (
        f"the classes are numbered in another order than fer2013.csv's: the counts are the official ones in the order "
        f"{names}; labels were renumbered by it"
    )
    return faces.changed(labels=new[faces.labels]), (*notes, note)


def usages_by_order(labels: np.ndarray) -> np.ndarray | None:
    """Usages of the samples of a test split that holds PublicTest and PrivateTest, from their order; or None.

    Programs that write fer2013.csv as images number the files of a class in the order of the csv, in which PublicTest
    comes before PrivateTest. So the first files of each class are PublicTest, as many as it has there. None unless
    every class has the official number of both together.
    """
    public, private = _OFFICIAL[PUBLIC_TEST], _OFFICIAL[PRIVATE_TEST]
    if not np.array_equal(np.bincount(labels, minlength=256)[: len(EMOTIONS)], public + private):
        return None
    usage = np.full(len(labels), PRIVATE_TEST, np.uint8)
    for emotion, n in enumerate(public):
        usage[np.flatnonzero(labels == emotion)[:n]] = PUBLIC_TEST
    return usage


def verdict(faces: Faces) -> str:
    """In one sentence, what the samples are."""
    found = likeness(faces)
    if found.is_reordered:
        order = ", ".join(EMOTIONS[emotion] for emotion in found.order or ())
        return f"the official counts of FER-2013, but in the order {order}: are the classes named wrongly?"
    words = {
        "all": "counts per split and class equal the official fer2013.csv",
        "merged": "all of FER-2013 by its counts, PublicTest and PrivateTest together",
        "part": "a part of FER-2013: the labelled splits have the official counts, others are missing or unlabelled",
        "other": "not the FER-2013 of the papers: other numbers of samples, so results do not compare with theirs",
    }
    return words[found.kind]
