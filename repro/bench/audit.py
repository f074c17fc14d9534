"""The search for duplicates compared with two common methods, each time in a fresh process.

The other methods solve an easier problem, as their users do: neither looks for mirrored or shifted copies. So the
number of pairs that each method finds is reported beside its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fer_jax.duplicates.search import almost_constant, find_duplicates
from fer_jax.vocabulary.counted import counted
from repro.bench.machine import peak_memory_bytes
from repro.bench.records import AuditComparison, AuditWay, Timing
from repro.bench.worker import Worker, thread_environment

OWN = "find_duplicates"
BLOCK = 2048
PIXEL_CORRELATION = 0.92  # a usual bound for "the same image"
# Bits of 64 that may differ: the usual bound for "the same image" with this hash.
HAMMING = 6
HASH_SIZE = 8
HASH_FREQUENCIES = 32  # images are shrunk to this side in pixels before the cosine transform


class SearchTiming(NamedTuple):
    """One timing of one method. The pairs it found are row_a * rows + row_b, row_a < row_b, sorted."""

    seconds: float
    peak_memory_bytes: int
    keys: np.ndarray


def our_pairs(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`fer_jax.duplicates.search.find_duplicates`."""
    pairs = find_duplicates(images)
    return pairs.row_a, pairs.row_b


def correlated_pixels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images whose pixel correlation reaches a common threshold, by matrix products in NumPy."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    flat *= ~almost_constant(images)[:, None] / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return _in_blocks(len(images), lambda a, b: flat[a] @ flat[b].T >= PIXEL_CORRELATION)


def near_hashes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The perceptual hash of 64 bits: signs of the lowest frequencies against their median, compared bit by bit."""
    from scipy.fft import dctn

    size = images.shape[1]
    nearest = np.arange(HASH_FREQUENCIES) * size // HASH_FREQUENCIES
    frequencies = np.asarray(dctn(images[:, nearest][:, :, nearest].astype(np.float32), axes=(1, 2)))
    low = frequencies[:, :HASH_SIZE, :HASH_SIZE].reshape(len(images), -1)
    bits = low > np.median(low, 1, keepdims=True)
    words = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return _in_blocks(len(images), lambda a, b: np.bitwise_count(words[a, None] ^ words[None, b]) <= HAMMING)


def _in_blocks(rows: int, alike: Callable[[slice, slice], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All pairs a < b for which `alike` is true, computed block by block."""
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i in range(0, rows, BLOCK):
        for j in range(i, rows, BLOCK):
            a, b = np.nonzero(alike(slice(i, i + BLOCK), slice(j, j + BLOCK)))
            kept = a + i < b + j
            first.append(a[kept] + i)
            second.append(b[kept] + j)
    return np.concatenate(first), np.concatenate(second)


WAYS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    OWN: our_pairs,
    f"NumPy, correlation of pixels from {PIXEL_CORRELATION:g}": correlated_pixels,
    f"NumPy, perceptual hash of 64 bits, at most {HAMMING} differ": near_hashes,
}


class Searcher:
    """One method of searching, in its own process."""

    def __init__(self, way: str, images: np.ndarray) -> None:
        self.way, self.images = way, images
        self.versions = {"numpy": np.__version__}
        if way == OWN:
            import fer_jax.duplicates.correlation  # noqa: F401  the import is not timed; its compilation is

    def search(self) -> SearchTiming:
        begin = time.perf_counter()
        a, b = WAYS[self.way](self.images)
        seconds = time.perf_counter() - begin
        return SearchTiming(seconds, peak_memory_bytes(), np.unique(a.astype(np.int64) * len(self.images) + b))


def compare_audits(images: np.ndarray, *, rounds: int, threads: int, say: Callable[[str], None]) -> AuditComparison:
    """Run every method once per round. Raises WorkerError."""
    searches: dict[str, list[SearchTiming]] = {way: [] for way in WAYS}
    for number in range(1, rounds + 1):
        for way, done in searches.items():
            with Worker(Searcher, (way, images), label=way, variables=thread_environment(threads, "cpu")) as worker:
                done.append(worker.call("search"))
            say(f"  round {number}/{rounds}: {way}: {done[-1].seconds:.2f} s, {counted(len(done[-1].keys), 'pair')}")
    ours = searches[OWN][0].keys
    own, *others = (_way(name, done, len(images), ours) for name, done in searches.items())
    return AuditComparison(own=own, others=tuple(others))


def _way(name: str, done: list[SearchTiming], rows: int, ours: np.ndarray) -> AuditWay:
    return AuditWay(
        name=name,
        timings=tuple(Timing(images_per_s=rows / s.seconds, elapsed_s=s.seconds) for s in done),
        peak_memory_bytes=max(s.peak_memory_bytes for s in done),
        pairs=len(done[0].keys),
        pairs_of_ours=int(np.isin(done[0].keys, ours, assume_unique=True).sum()),
    )
