"""A trained network as one small file, such as the one that comes with the suite: the record of its run as it is, its
weights, its temperature. NumPy's .npz without objects, so that nothing is unpickled. No JAX here.

Kernels are stored in half precision, which takes half of the bytes, and used in single precision. What has one
dimension (biases, scales, running averages) stays in single precision, because variances may be too small for half.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from fer_jax.data.faces import DataError
from fer_jax.data.formats.npz_file import load_arrays
from fer_jax.machine.atomic_write import write_atomically
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.digests import arrays_sha256
from fer_jax.vocabulary.counted import counted
from repro import __version__
from repro.runs.record_files import RecordError, record_bytes
from repro.runs.records import RECORD_NAME, RunRecord
from repro.runs.stored_records import read_record
from repro.use.temperature import FittedTemperature

SUFFIX = ".npz"
PACKAGED_FORMAT = 1
DEFAULT_NETWORK = "fer_repro_small"
LARGEST = 1_000_000  # bytes of a file that comes with the suite
_MOST_UNPACKED = 64 << 20  # bytes of any such file
_ABOUT_NAME = "about.json"
_TREES = ("params", "batch_stats")
_REMEDY = "install the suite again, or pack the run again"


class StoredAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What the stored weights answer on a split of the run: accuracy over n samples, and how many answers differ from
    those of the run, whose weights are in single precision."""

    n: int
    accuracy: float
    changed: int


class About(msgspec.Struct, frozen=True, kw_only=True):
    """network_sha256: of the weights as they are used (`fer_jax.machine.digests.arrays_sha256`, by the names in the
    file). temperature: fitted on PublicTest with these weights. stored: by split."""

    format: int = PACKAGED_FORMAT
    network_sha256: str
    temperature: FittedTemperature
    stored: dict[str, StoredAccuracy]
    suite_version: str = __version__


@dataclass(frozen=True)
class PackagedNetwork:
    """variables: ``{"params": ..., "batch_stats": ...}``, float32 arrays in the canonical form of
    `fer_jax.network.model`."""

    path: Path
    record: RunRecord
    about: About
    variables: dict[str, Any]

    @property
    def place(self) -> Path:
        """Where the ONNX file is kept that opens at once, as a run has it beside its checkpoints."""
        return cache_folder() / "networks" / self.about.network_sha256[:16]


def networks_folder() -> Path:
    """The networks that come with the suite, inside the installed package and in the checkout."""
    return Path(__file__).parent / "networks"


def packaged_file(name: str | None = None) -> Path | None:
    """The file of the network of that name, by default of the one that is used where nothing was trained; None if none
    comes with the suite."""
    path = networks_folder() / f"{name or DEFAULT_NETWORK}{SUFFIX}"
    return path if path.parent == networks_folder() and path.is_file() else None


def is_packaged(path: Path) -> bool:
    """Whether a path names such a file, and no folder of a run."""
    return path.suffix == SUFFIX and path.is_file()


def stored_arrays(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The weights by their names in the file, as they are stored."""
    flat = {
        f"{tree}/{layer}/{key}": np.asarray(value, np.float32)
        for tree in _TREES
        for layer, held in variables[tree].items()
        for key, value in held.items()
    }
    return {name: value.astype(np.float16) if value.ndim > 1 else value for name, value in flat.items()}


def used_arrays(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same in single precision."""
    return {name: np.asarray(value, np.float32) for name, value in stored.items()}


def variables_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """As a network takes them. Raises ValueError for a name that is not a weight's."""
    variables: dict[str, Any] = {tree: {} for tree in _TREES}
    for name, value in arrays.items():
        tree, layer, key = name.split("/")
        if tree not in variables:
            raise ValueError(f"holds {tree!r}")
        variables[tree].setdefault(layer, {})[key] = value
    return variables


def write_packaged(path: Path, record: bytes, about: About, stored: Mapping[str, np.ndarray]) -> Path:
    """record: the content of the run's run.json. Raises RecordError for more than LARGEST bytes."""
    texts = {RECORD_NAME: record, _ABOUT_NAME: msgspec.json.encode(about)}
    packed = io.BytesIO()
    arrays = {**{name: np.frombuffer(text, np.uint8) for name, text in texts.items()}, **stored}
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    content = packed.getvalue()
    if len(content) > LARGEST:
        raise RecordError(f"{path}: would have {counted(len(content), 'byte')}; at most {LARGEST:,} are packed")
    return write_atomically(path, content)


def read_packaged(path: Path) -> PackagedNetwork:
    """Raises RecordError for a file that is not such a network, or is damaged."""
    try:
        arrays = load_arrays(io.BytesIO(record_bytes(path)), _MOST_UNPACKED)
        texts = {name: arrays.pop(name).tobytes() for name in (RECORD_NAME, _ABOUT_NAME)}
        about = msgspec.json.decode(texts[_ABOUT_NAME], type=About)
        if about.format != PACKAGED_FORMAT:
            raise ValueError(f"format {about.format} is of another version of the suite")
        used = used_arrays(arrays)
        if arrays_sha256(used) != about.network_sha256:
            raise ValueError("its weights are not those that were packed (SHA-256 differs)")
        variables = variables_of(used)
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error, DataError, msgspec.MsgspecError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise RecordError(f"{path}: no packaged network: {said[:200]}; {_REMEDY}") from None
    return PackagedNetwork(path, read_record(path, content=texts[RECORD_NAME]), about, variables)
