"""Which split each sample of a dataset belongs to under a protocol, and why it is left out if it belongs to none."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fer_jax.data.faces import Faces, pixel_hash
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.step_kinds import DropRepeats, DropSamePictures, Step
from repro.specs.protocols import COMPLETE_SPLIT
from repro.specs.protocols.corrected import first_steps

SPLITS = ("train", "validation", "test")
NO_SPLIT = -1
LEAST_DIGITS = 8  # of a pixel hash: few keep the table of FER-2013 below 1 MB
COLUMNS = ("row", "split", "pixel_hash", "group", "reason")


@dataclass(frozen=True)
class SplitTable:
    """N samples in the order of the dataset.

    split: int8 (N,), index into SPLITS, or NO_SPLIT if the protocol leaves the sample out. group: int32 (N,), the
    smallest row that shows the same image. reason: why a sample is left out; empty for the others.
    """

    faces: Faces
    split: np.ndarray
    group: np.ndarray
    reason: tuple[str, ...]

    def rows_of(self, split: str) -> np.ndarray:
        """The rows of a split, in the order of the dataset."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def counts(self) -> dict[str, int]:
        return {split: len(self.rows_of(split)) for split in SPLITS}


def split_table(faces: Faces, protocol: str, pictures: Callable[[], np.ndarray]) -> SplitTable:
    """The splits of `official` or `clean`. faces: as imported. pictures: returns the duplicate group of every row, int
    (N,), as `fer_jax.duplicates.search.pictures_of` does.

    Raises StepError if the dataset lacks a split, and ValueError for another protocol.
    """
    steps = first_steps(protocol)
    group = pictures()
    split, reasons = np.full(len(faces), NO_SPLIT, np.int8), [""] * len(faces)
    before: dict[str, np.ndarray] = {}
    # These steps compare groups, not pixels, so one pixel per image spares copies of the dataset.
    rows_alone = faces.changed(images=faces.images[:, :1, :1])
    # Each step is applied once more after all earlier ones: what is missing then was left out by it.
    for count, step in enumerate(steps, 1):
        splits = apply_steps(rows_alone, steps[:count], seed=0, pictures=lambda: group).splits
        rows = {name: splits[name].origin for name in SPLITS}
        for name, earlier in before.items():
            for row in np.setdiff1d(earlier, rows[name]).tolist():
                reasons[row] = _reason(step)
        before = rows
    for index, name in enumerate(SPLITS):
        split[before[name]] = index
    return SplitTable(faces, split, group, tuple(reasons))


def _reason(step: Step) -> str:
    match step:
        case DropSamePictures(of=of):
            return f"copy in {' or '.join(name for name in of if name != COMPLETE_SPLIT)}"
        case DropRepeats(split=split):
            return f"repeat in {split}"
    raise ValueError(f"{step}: a step that leaves samples out for a reason that has no words yet")


def pixel_hashes(faces: Faces) -> list[str]:
    """For each image the first hexadecimal digits of the SHA-256 of its pixels, row by row, as bytes.

    As many digits as different images of this dataset need to differ, at least LEAST_DIGITS.
    """
    full = [pixel_hash(image) for image in faces.images]
    different = set(full)
    digits = LEAST_DIGITS
    while len({digest[:digits] for digest in different}) < len(different):
        digits += 1
    return [digest[:digits] for digest in full]


def table_csv(table: SplitTable) -> str:
    """The table without images: COLUMNS, one line per sample.

    `split` is empty for a sample that is left out, `group` for an image that the dataset holds once.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    names, hashes = (*SPLITS, ""), pixel_hashes(table.faces)
    several = np.bincount(table.group, minlength=len(table.faces))[table.group] > 1
    for row, (pixels, split, group) in enumerate(zip(hashes, table.split.tolist(), table.group.tolist(), strict=True)):
        writer.writerow((row, names[split], pixels, group if several[row] else "", table.reason[row]))
    return out.getvalue()
