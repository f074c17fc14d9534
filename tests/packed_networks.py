"""A tiny network that was trained and packed, with the dataset that its temperature was fitted on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TinyRuns

from fer_jax.data import cache
from fer_jax.data.faces import DataError, Faces, concatenate
from repro.runs.dataset import Dataset
from repro.use.fitting import LEAST_SAMPLES
from repro.use.packaged import About
from repro.use.packing import pack


@dataclass(frozen=True)
class TinyPacked:
    """file: of the network of the run in `folder`, named after its paper."""

    folder: Path
    file: Path
    about: About
    faces: Faces

    @property
    def results(self) -> Path:
        return self.folder.parents[6]


@contextmanager
def tiny_packed(place: Path, make_tiny_paper: Callable[..., Path]) -> Iterator[TinyPacked]:
    from conftest import draw_tiny_faces

    parts = [draw_tiny_faces(n, size=48, usage=usage) for usage, n in enumerate((200, LEAST_SAMPLES, 50))]
    faces = concatenate(parts).changed(origin=np.arange(sum(map(len, parts)), dtype=np.int32))

    def imported(fingerprint: str) -> Faces:
        if fingerprint != faces.fingerprint:
            raise DataError("not imported")
        return faces

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "open_faces", imported)
        do = TinyRuns(lambda **s: make_tiny_paper(place, **s), Dataset(faces, "fer2013"), place / "results")
        folder = do(epochs=4).folder
        file = place / "networks" / "tiny.npz"
        yield TinyPacked(folder, file, pack(folder, file), faces)
