"""Copies planted into clean faces at known places, changed as pictures are on their way through the web."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fer_jax.duplicates import Pairs


def _gray(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def flipped(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return image[:, ::-1]


def brightened(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By up to 40 of 255 gray levels, up or down; what leaves the scale is lost."""
    return _gray(image + random.choice([-1, 1]) * random.uniform(10, 40))


def contrasted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _gray((image - image.mean()) * random.uniform(0.6, 1.4) + image.mean())


def compressed(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By JPEG at quality 50 to 95."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, "JPEG", quality=int(random.integers(50, 96)))
    return np.asarray(Image.open(out))


def shifted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By 1 or 2 pixels down, across or both; the edge is repeated."""
    moves = [(dy, dx) for dy in range(5) for dx in range(5) if (dy, dx) != (2, 2)]
    dy, dx = moves[random.integers(len(moves))]
    h, w = image.shape
    return np.pad(image, 2, mode="edge")[dy : dy + h, dx : dx + w]


def everything(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirrored or not, then all other changes, one after the other."""
    changes = [shifted, contrasted, brightened, compressed]
    for change in [flipped, *changes] if random.random() < 0.5 else changes:
        image = change(image, random)
    return image


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
CHANGES: dict[str, Change] = {
    "same": lambda image, random: image,
    **{change.__name__: change for change in (flipped, brightened, contrasted, compressed, shifted, everything)},
}


@dataclass(frozen=True)
class Planted:
    """Pictures among which each of some has one copy. truth: the pairs of rows (a, b), a < b, and what was changed."""

    images: np.ndarray
    truth: dict[tuple[int, int], str]

    def recall(self, pairs: Pairs) -> dict[str, float]:
        """Share of the copies of each kind that were found."""
        found = rows(pairs)
        return {kind: float(np.mean([pair in found for pair in self.of(kind)])) for kind in set(self.truth.values())}

    def of(self, *kinds: str) -> set[tuple[int, int]]:
        return {pair for pair, kind in self.truth.items() if kind in kinds}

    def false_alarms(self, pairs: Pairs) -> set[tuple[int, int]]:
        return rows(pairs) - set(self.truth)


def rows(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True))


def plant(images: np.ndarray, copies: int, seed: int) -> Planted:
    """Add `copies` copies of each kind of change, of different pictures, and shuffle all rows."""
    random = np.random.default_rng(seed)
    kinds = [kind for kind in CHANGES for _ in range(copies)]
    sources = random.permutation(len(images))[: len(kinds)]
    made = [CHANGES[kind](images[source], random) for kind, source in zip(kinds, sources, strict=True)]
    place = random.permutation(len(images) + len(made))
    mixed = np.empty((len(place), *images.shape[1:]), np.uint8)
    mixed[place] = np.concatenate([images, np.stack(made)])
    truth = {}
    for k, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        a, b = sorted((int(place[source]), int(place[len(images) + k])))
        # A change can leave every pixel as it was; then the copy is the same.
        truth[a, b] = "same" if (mixed[a] == mixed[b]).all() else kind
    return Planted(mixed, truth)
