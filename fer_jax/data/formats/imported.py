"""The result of an import: the faces, their source, and how they differ from the official dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.formats.official import verdict
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, UNLABELLED, USAGES

_MOST_SHOWN = 20  # of the samples that were left out


@dataclass(frozen=True)
class Imported:
    """Faces as they were read.

    faces:  the rows, in the order of the source.
    form:   the file form in words ("csv", "image folder", "zip of csv", ...), decided by content.
    source: absolute path of what was read.
    notes:  what a user should know about the samples (labels missing, splits guessed, images converted).
    numbered: whether the classes were numbers in the source, not names.
    skipped: the samples that were left out, each with its place and the reason (`repro data import --skip-bad`).
    """

    faces: Faces
    form: str
    source: str
    notes: tuple[str, ...] = ()
    numbered: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a run's record says of the import: every note, and how many samples were left out."""
        left_out = f"{counted(len(self.skipped), 'unusable sample')} left out (--skip-bad)"
        return (*self.notes, left_out) if self.skipped else self.notes


def unlabelled_counts(faces: Faces) -> dict[str, int]:
    """Samples without a label, per usage."""
    missing = faces.labels == UNLABELLED
    return {name: int(np.count_nonzero(missing & (faces.usage == u))) for u, name in enumerate(USAGES)}


def differences(faces: Faces) -> list[str]:
    """One line per (usage, emotion) whose count is not the official one; empty when all 21 agree."""
    counts, unlabelled = faces.counts(), unlabelled_counts(faces)
    found = [
        f"{usage} {emotion}: {counted(ours, 'sample')}, official {official:,} ({ours - official:+,})"
        for usage in USAGES
        for emotion, ours, official in zip(EMOTIONS, counts[usage], OFFICIAL_COUNTS[usage], strict=True)
        if ours != official
    ]
    return found + [f"{usage}: {counted(n, 'sample')} without a label" for usage, n in unlabelled.items() if n]


def summary(imported: Imported) -> dict[str, Any]:
    """The findings as plain values, ready for JSON."""
    faces = imported.faces
    return {
        "source": imported.source,
        "form": imported.form,
        "rows": len(faces),
        "image_shape": list(faces.images.shape[1:]),
        "counts": {usage: dict(zip(EMOTIONS, row, strict=True)) for usage, row in faces.counts().items()},
        "unlabelled": unlabelled_counts(faces),
        "fingerprint": faces.fingerprint,
        "differences": differences(faces),
        "verdict": verdict(faces),
        "notes": list(imported.notes),
        "skipped": list(imported.skipped),
    }


def describe(imported: Imported) -> list[str]:
    """The findings as lines for a terminal."""
    faces = imported.faces
    height, width = faces.images.shape[1:]
    counts, unlabelled = faces.counts(), unlabelled_counts(faces)
    lines = [
        f"source       {imported.source}",
        f"form         {imported.form}",
        f"faces        {len(faces):,} of {height} x {width} gray pixels",
        f"fingerprint  {faces.fingerprint}",
        "",
        "split        " + "".join(f"{name:>10}" for name in (*EMOTIONS, "no label", "all")),
    ]
    for usage in USAGES:
        row = (*counts[usage], unlabelled[usage])
        lines.append(f"{usage:<13}" + "".join(f"{n:>10,}" for n in (*row, sum(row))))
    lines.append("")
    found = differences(faces)
    lines.append(verdict(faces))
    if found:
        lines.append(f"differs from the official counts in {len(found)} places:")
    lines += [f"  {line}" for line in found]
    lines += [f"note: {note}" for note in imported.notes]
    if imported.skipped:
        lines.append(f"left out, {len(imported.skipped):,} in all:")
        lines += [f"  {line}" for line in imported.skipped[:_MOST_SHOWN]]
        lines += ["  ... (--json lists all)"] if len(imported.skipped) > _MOST_SHOWN else []
    return lines
