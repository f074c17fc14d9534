"""The pairs of equal images that `repro audit data` wrote to the results folder. No dataset is needed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fer_jax.duplicates.search import DUPLICATES_VERSION
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.audit.records import read_data_audit
from repro.runs.record_files import RecordError

PAIRS_NAME = "duplicates.csv"


@dataclass(frozen=True, eq=False)  # one object per file, which can be the key of a cache
class KnownPairs:
    """pairs: int64 (P, 2), imported samples that show the same image. labels, usage: label and split of each of these
    samples. fingerprint: of the dataset."""

    pairs: np.ndarray
    labels: Mapping[int, int]
    usage: Mapping[int, str]
    fingerprint: str

    @property
    def training(self) -> Mapping[int, int]:
        """Label of each sample of Training that is in a pair."""
        return {sample: label for sample, label in self.labels.items() if self.usage[sample] == USAGES[0]}


def read_known_pairs(results: Path) -> KnownPairs | None:
    """None if no dataset was audited, or if the search for duplicates has changed since.

    Raises RecordError for a file that cannot be read.
    """
    audit = read_data_audit(results)
    path = results / "audit" / PAIRS_NAME
    if audit is None or audit.duplicates_version != DUPLICATES_VERSION or not path.exists():
        return None
    return _read(path, audit.fingerprint, path.stat().st_mtime_ns, path.stat().st_size)


# A report needs the same list for its tables, its plot and each paper's page; reading it takes most of a second.
@lru_cache(maxsize=1)
def _read(path: Path, fingerprint: str, _changed_ns: int, _size: int) -> KnownPairs:
    pairs: list[list[int]] = []
    labels: dict[int, int] = {}
    usage: dict[int, str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                ends = [(int(line[f"row_{side}"]), line[f"split_{side}"], line[f"label_{side}"]) for side in "ab"]
                pairs.append([sample for sample, _, _ in ends])
                for sample, split, label in ends:
                    usage[sample] = USAGES[USAGES.index(split)]
                    if label:  # empty for a sample without
                        labels[sample] = EMOTIONS.index(label)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path}: no list of pairs ({error}); run `repro audit data` again") from error
    return KnownPairs(np.array(pairs, np.int64).reshape(-1, 2), labels, usage, fingerprint)
