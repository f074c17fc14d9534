"""Which evaluated samples a network may have seen: those with a copy among its training samples.

- without copies: no sample of the training split shows the same image.
- copies only: the others.
- clean: as the protocol of that name (`repro.specs.protocols.corrected`) evaluates: no copy in training or in the split
  that the epoch is chosen on, and of images that the split has several times the first alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.duplicates.search import duplicates_of
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES
from repro.audit.copies import COPIES, TestSamples, test_samples
from repro.audit.known_pairs import read_known_pairs

TRAINING, PUBLIC_TEST = USAGES[0], USAGES[1]


@dataclass(frozen=True, eq=False)
class CopyPairs:
    """pairs: int64 (P, 2), samples of the dataset that show the same image. labels, usage: of each of these, a usage
    as in USAGES."""

    pairs: np.ndarray
    labels: Mapping[int, int]
    usage: Mapping[int, str]

    def labels_in(self, splits: Iterable[str]) -> dict[int, int]:
        """Labels of the samples of these splits that are in a pair."""
        splits = set(splits)
        return {sample: label for sample, label in self.labels.items() if self.usage[sample] in splits}


@dataclass(frozen=True)
class EvaluatedSamples:
    """samples: of a split, by their number, with what their copies in training are labelled. clean: bool (N,)."""

    samples: TestSamples
    clean: np.ndarray

    @property
    def subsets(self) -> dict[str, np.ndarray]:
        """bool (N,) by name, in the order in which they are shown."""
        copied = self.samples.has_copy
        return {
            "official": np.ones(len(copied), bool),
            "without copies": ~copied,
            "copies only": copied,
            "clean": self.clean,
        }

    @property
    def other_label(self) -> np.ndarray:
        """bool (N,): every copy in training carries another label than the sample."""
        return self.samples.copies == COPIES.index("other label")


def copy_pairs(faces: Faces, results: Path) -> CopyPairs:
    """Of the audit in the results folder if it is of this dataset, else searched for and kept in the cache.

    Raises RecordError for an audit that cannot be read.
    """
    known = read_known_pairs(results)
    if known is not None and known.fingerprint == faces.fingerprint:
        return CopyPairs(known.pairs, known.labels, known.usage)
    found = duplicates_of(faces)
    labelled = faces.labels != UNLABELLED
    pairs = np.stack([found.row_a, found.row_b], 1).astype(np.int64)
    numbers = [int(one) for one in np.unique(pairs) if labelled[one]]
    return CopyPairs(
        pairs,
        {one: int(faces.labels[one]) for one in numbers},
        {one: USAGES[faces.usage[one]] for one in numbers},
    )


def evaluated_samples(
    sample: np.ndarray, label: np.ndarray, split: str, known: CopyPairs, trained_on: Iterable[str]
) -> EvaluatedSamples:
    """sample: (N,), sorted numbers of the samples of `split`. label: (N,). trained_on: names of USAGES."""
    trained = set(trained_on) - {split}
    seen = test_samples(sample, label, known.pairs, known.labels_in(trained), len(EMOTIONS))
    chosen_on = trained | ({PUBLIC_TEST} - {split})
    touched = test_samples(sample, label, known.pairs, known.labels_in(chosen_on), len(EMOTIONS))
    _, first = np.unique(seen.group, return_index=True)
    once = np.zeros(len(sample), bool)
    once[first] = True
    return EvaluatedSamples(seen, once & ~touched.has_copy)
