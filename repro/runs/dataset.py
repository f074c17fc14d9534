"""The faces that a run uses: the file that the user names, the last imported dataset, or the synthetic faces."""

from __future__ import annotations

import contextlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data import cache
from fer_jax.data.faces import Faces
from fer_jax.data.formats.official import likeness
from fer_jax.data.synthetic import draw_faces
from fer_jax.machine.atomic_write import placed_whole
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from repro.runs.data_names import BY_LIKENESS, NOT_FER2013, SYNTHETIC

SYNTHETIC_SEED = 0
# One eighth of the official counts: chavan2020 then runs at its full length in 97 s on two cores (AMD EPYC).
SYNTHETIC_SHARE = 8
# Of the faces that are drawn with this seed, by share. Drawing them takes as long as importing JAX, so they are kept in
# the cache folder, and used if they are these.
SYNTHETIC_FINGERPRINTS = {8: "de8416e4929210ce5475fce19cc51bc73c014a627e6eecec85373b22105f8926"}

SYNTHETIC_WARNING = (
    "SYNTHETIC faces: drawn by this suite, not FER-2013. These figures cannot be compared with any paper. "
    "Give the real data with --data PATH (fer2013.csv, a zip, a folder of images, ...)."
)


__all__ = ["NOT_FER2013", "SYNTHETIC", "Dataset", "open_dataset"]


@dataclass(frozen=True, repr=False)
class Dataset:
    """Faces and what to call them. `tag` names the folder of the records. notes: what the import guessed or changed."""

    faces: Faces
    name: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        height, width = self.faces.images.shape[1:]
        splits = ", ".join(f"{split} {sum(counts):,}" for split, counts in self.faces.counts().items())
        return "\n".join(
            [f"{self.tag}: {counted(len(self.faces), 'image')} of {height} x {width}; {splits}", *self.notes]
        )

    @property
    def tag(self) -> str:
        return f"{self.name}-{self.faces.fingerprint[:8]}"


def synthetic_counts(share: float = SYNTHETIC_SHARE) -> dict[str, tuple[int, ...]]:
    """The official class proportions at 1 / `share` of the size, at least one sample per class."""
    return {usage: tuple(max(1, round(n / share)) for n in counts) for usage, counts in OFFICIAL_COUNTS.items()}


def name_of(faces: Faces) -> str:
    """ "fer2013" if the number of samples of each class in each split is the official one."""
    return BY_LIKENESS[likeness(faces).kind]


def not_fer2013_warning(dataset: Dataset) -> str:
    n, official = len(dataset.faces), sum(map(sum, OFFICIAL_COUNTS.values()))
    return (
        f"not the FER-2013 of the papers: {counted(n, 'sample')}, official {official:,}, or other "
        "numbers per class and split. "
        "These results cannot be compared with any paper."
    )


def open_dataset(data: str | None) -> Dataset:
    """data: a path, the word "synthetic", or None for the last imported dataset, else the synthetic one.

    Raises DataError for a path that cannot be imported.
    """
    if data is not None and data != SYNTHETIC:
        imported, _ = cache.import_faces(Path(data))
        return Dataset(imported.faces, name_of(imported.faces), imported.remarks)
    known = cache.get_default() if data is None else None
    if known is not None:
        return Dataset(known, name_of(known), cache.default_notes())
    return Dataset(_kept() or _drawn(), SYNTHETIC)


def _drawn() -> Faces:
    """The synthetic faces, drawn and kept."""
    faces = draw_faces(seed=SYNTHETIC_SEED, counts=synthetic_counts(SYNTHETIC_SHARE))
    if faces.fingerprint == SYNTHETIC_FINGERPRINTS.get(SYNTHETIC_SHARE):
        with contextlib.suppress(OSError), placed_whole(_kept_at()) as aside, open(aside, "wb") as file:
            np.savez(file, images=faces.images, labels=faces.labels, usage=faces.usage)
    return faces


def _kept() -> Faces | None:
    """The synthetic faces of an earlier process, if they have the content that they must have."""
    try:
        with open(_kept_at(), "rb") as file, np.load(file) as held:
            images, labels, usage = (held[name] for name in ("images", "labels", "usage"))
            faces = Faces(images, labels, usage, np.arange(len(images), dtype=np.int32), synthetic=True)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or damaged
    return faces if faces.fingerprint == SYNTHETIC_FINGERPRINTS.get(SYNTHETIC_SHARE) else None


def _kept_at() -> Path:
    return cache_folder() / "synthetic" / f"share-{SYNTHETIC_SHARE}.npz"
