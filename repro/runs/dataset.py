"""The faces that a run uses: the file that the user names, the last imported data set, or the synthetic faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_jax.data import cache
from fer_jax.data.faces import OFFICIAL_COUNTS, Faces
from fer_jax.data.synthetic import draw_faces

SYNTHETIC = "synthetic"
SYNTHETIC_SEED = 0
# One eighth of the official counts: chavan2020 then runs at its full length in 97 s on two cores (AMD EPYC).
SYNTHETIC_SHARE = 8

SYNTHETIC_WARNING = (
    "SYNTHETIC faces: drawn by this suite, not FER-2013. These figures cannot be compared with any paper. "
    "Give the real data with --data PATH (fer2013.csv, a zip, a folder of images, ...)."
)


@dataclass(frozen=True)
class Dataset:
    """Faces and what to call them. `tag` names the folder of the records."""

    faces: Faces
    name: str

    @property
    def tag(self) -> str:
        return f"{self.name}-{self.faces.fingerprint[:8]}"


def synthetic_counts(share: int = SYNTHETIC_SHARE) -> dict[str, tuple[int, ...]]:
    """The official class proportions at 1 / `share` of the size, at least one sample per class."""
    return {usage: tuple(max(1, round(n / share)) for n in counts) for usage, counts in OFFICIAL_COUNTS.items()}


def open_dataset(data: str | None) -> Dataset:
    """data: a path, the word "synthetic", or None for the last imported data set, else the synthetic one.

    Raises DataError for a path that cannot be imported.
    """
    if data is not None and data != SYNTHETIC:
        imported, _ = cache.import_faces(Path(data))
        return Dataset(imported.faces, "fer2013")
    known = cache.get_default() if data is None else None
    if known is not None:
        return Dataset(known, "fer2013")
    return Dataset(draw_faces(seed=SYNTHETIC_SEED, counts=synthetic_counts()), SYNTHETIC)
