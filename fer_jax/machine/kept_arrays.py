"""Named arrays in a file, with a digest: they come back as they were written, or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.machine.atomic_write import placed_whole
from fer_jax.machine.digests import arrays_sha256

_DIGEST = "sha256"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a .npz in one piece. Raises OSError."""
    content: dict[str, Any] = {_DIGEST: np.array(arrays_sha256(arrays)), **arrays}
    with placed_whole(path) as aside, aside.open("wb") as out:
        np.savez(out, **content)


def read_arrays(path: Path, names: Iterable[str], *, digest_needed: bool = True) -> dict[str, np.ndarray] | None:
    """The arrays of these names, or None if the file is not there, lacks one, or is damaged. digest_needed: whether a
    file without a digest counts as damaged."""
    try:
        with path.open("rb") as file:  # np.load leaves a damaged file open
            stored = np.load(file)
            arrays = {name: stored[name] for name in names}
            if (digest_needed or _DIGEST in stored) and str(stored[_DIGEST]) != arrays_sha256(arrays):
                return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return arrays
