"""Reading fer2013.csv: our import compared with the idioms of pandas and NumPy, each time in a fresh process."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_jax.data.cache import import_faces
from fer_jax.data.faces import DataError, Faces
from fer_jax.data.formats import read_faces
from fer_jax.vocabulary.fer2013 import USAGES
from repro.bench.machine import peak_memory_bytes
from repro.bench.records import ImportComparison, Timing, Way
from repro.bench.worker import Worker, thread_environment

OWN = "read_faces"
CACHED = "opened from the cache"


class CsvTiming(NamedTuple):
    """One timing of one method, and the SHA-256 of the pixels and labels it read."""

    seconds: float
    rows: int
    peak_memory_bytes: int
    digest: str


Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (N, 48, 48), labels (N,)


def fromstring_per_row(path: str) -> Arrays:
    """pandas.read_csv, then np.fromstring on each row."""
    import pandas as pd

    frame = pd.read_csv(path)
    images = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in frame["pixels"]])
    return images.reshape(-1, 48, 48), frame["emotion"].to_numpy(np.uint8)


def fromstring_at_once(path: str) -> Arrays:
    """pandas.read_csv, then np.fromstring on all rows joined."""
    import pandas as pd

    frame = pd.read_csv(path)
    images = np.fromstring(" ".join(frame["pixels"]), np.uint8, sep=" ")
    return images.reshape(-1, 48, 48), frame["emotion"].to_numpy(np.uint8)


def split_per_row(path: str) -> Arrays:
    """pandas.read_csv, then np.array of the split text of each row."""
    import pandas as pd

    frame = pd.read_csv(path)
    images = np.stack([np.array(text.split(), np.uint8) for text in frame["pixels"]])
    return images.reshape(-1, 48, 48), frame["emotion"].to_numpy(np.uint8)


IDIOMS: dict[str, Callable[[str], Arrays]] = {
    "pandas.read_csv, np.fromstring per row": fromstring_per_row,
    "pandas.read_csv, np.fromstring at once": fromstring_at_once,
    "pandas.read_csv, np.array(split) per row": split_per_row,
}


class Reader:
    """One method of reading, in its own process."""

    def __init__(self, way: str, path: str, cache_dir: str) -> None:
        self.way, self.path, self.cache_dir = way, path, Path(cache_dir)
        self.versions: dict[str, str] = {"numpy": np.__version__}
        if way in IDIOMS:
            import pandas as pd  # not timed, like the import of our own modules

            self.versions["pandas"] = pd.__version__

    def read(self) -> CsvTiming:
        """The digest is not timed, and peak memory is taken before it."""
        begin = time.perf_counter()
        images, labels = self._arrays()
        seconds = time.perf_counter() - begin
        peak = peak_memory_bytes()
        digest = hashlib.sha256(np.ascontiguousarray(images).data)
        digest.update(np.ascontiguousarray(labels, np.uint8).data)
        return CsvTiming(seconds, len(labels), peak, digest.hexdigest())

    def _arrays(self) -> Arrays:
        if self.way in IDIOMS:
            return IDIOMS[self.way](self.path)
        faces = read_faces(Path(self.path)).faces if self.way == OWN else self._cached()
        return faces.images, faces.labels

    def _cached(self) -> Faces:
        imported, from_cache = import_faces(Path(self.path), self.cache_dir)
        assert from_cache, "the cache was filled before"
        return imported.faces


def compare_imports(path: Path, *, rounds: int, threads: int, say: Callable[[str], None]) -> ImportComparison:
    """Time every method once per round, each time in a fresh process. The file stays in the system's cache.

    Raises DataError if the methods read different faces: then the file is not in the plain form that all support.
    """
    ways = [OWN, *IDIOMS, CACHED]
    timings: dict[str, list[Timing]] = {way: [] for way in ways}
    memory = dict.fromkeys(ways, 0)
    with tempfile.TemporaryDirectory(prefix="bench-cache-") as cache_dir:
        import_faces(path, Path(cache_dir))
        expected = ""
        for number in range(1, rounds + 1):
            for way in ways:
                with Worker(
                    Reader, (way, str(path), cache_dir), label=way, variables=thread_environment(threads, "cpu")
                ) as worker:
                    reading: CsvTiming = worker.call("read")
                expected = expected or reading.digest
                if reading.digest != expected:
                    raise DataError(f"{path}: {way} reads other faces from it than {OWN}; give the plain fer2013.csv")
                timings[way].append(Timing(images_per_s=reading.rows / reading.seconds, elapsed_s=reading.seconds))
                memory[way] = max(memory[way], reading.peak_memory_bytes)
                say(f"  round {number}/{rounds}: {way}: {reading.seconds:.3f} s")
    found = {way: Way(name=way, timings=tuple(timings[way]), peak_memory_bytes=memory[way]) for way in ways}
    return ImportComparison(
        file_bytes=path.stat().st_size,
        own=found[OWN],
        idioms=tuple(found[way] for way in IDIOMS),
        cached=found[CACHED],
    )


def write_csv(faces: Faces, path: Path) -> Path:
    """Write the faces in the format of fer2013.csv."""
    with path.open("w", encoding="ascii") as file:
        file.write("emotion,pixels,Usage\n")
        for image, label, usage in zip(faces.images, faces.labels, faces.usage, strict=True):
            file.write(f"{label},{' '.join(map(str, image.reshape(-1).tolist()))},{USAGES[usage]}\n")
    return path
