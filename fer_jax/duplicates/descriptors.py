"""Short descriptors of images. Near duplicates agree in them despite a crop, a shift or a caption.

A descriptor starts from histograms of oriented gradients (Dalal and Triggs 2005, Histograms of oriented gradients for
human detection) on a grid of cells. A linear discriminant (Fisher 1936; Hastie, Tibshirani and Friedman, The Elements
of Statistical Learning, section 4.3.3) then keeps the directions in which different images differ much, but an image
and its crops and captioned copies differ little. It is fitted to the dataset itself, on copies made for the purpose.

Letters: N images, H, W pixels, O orientations, G cells per axis, F = G * G * O features, D numbers of a descriptor.
"""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from fer_jax.machine.processor import on_each_core

SIZE = 48  # images of other sizes are resized to this many pixels per side before they are compared
DESCRIPTOR = 64
CELLS = 7
ORIENTATIONS = 8  # a multiple of four, so that mirroring maps each orientation onto another
BLUR = 1.0  # pixels, before gradients are taken
WINDOW = 42  # pixels: windows of this size at offsets 0, 3, 6 differ by up to 6 pixels
SAMPLE = 3072  # images that the discriminant is fitted to, each in both orientations
LEAST_SCALE = 0.76  # of the simulated crops: two crops differ by a scale of 0.76 to 1.32 and by up to 11 pixels
LEAST_CAPTION, MOST_CAPTION = 0.05, 0.15  # of the height or width of an image, covered in the simulated captions
MEAN_SHRINKAGE = 100  # a mean of fewer images than about this is unreliable and is shrunk towards zero
PART = 512  # images described at once

_HIGHEST = jax.lax.Precision.HIGHEST  # on a GPU the default would round factors to 10 bits


def resized(images_NHW: np.ndarray) -> np.ndarray:
    """The images at SIZE x SIZE pixels, uint8; the same array if they have that size."""
    if images_NHW.shape[1:] == (SIZE, SIZE):
        return images_NHW
    parts = [
        np.asarray(jax.image.resize(part.astype(np.float32), (len(part), SIZE, SIZE), "linear"))
        for part in np.array_split(images_NHW, max(1, -(-len(images_NHW) // PART)))
    ]
    return np.clip(np.rint(np.concatenate(parts)), 0, 255).astype(np.uint8)


class Images(Protocol):
    """An array of images, or something that gives parts of one."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: slice, /) -> np.ndarray: ...


def describe(images_NHW: Images, dtype: type[np.floating] = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (6, N, D) of six windows of each image, and (6, N, D) of each mirrored image, of type `dtype`.

    images_NHW: uint8 (N, SIZE, SIZE), read a part at a time. The windows are the whole image, the middle WINDOW
    pixels, and the four corners of that size. Descriptors have length 1 and do not change with brightness and
    contrast. They are valid only within this dataset, because another one has another discriminant.
    """
    mean_F, basis_FD = _discriminant(images_NHW[:: max(1, len(images_NHW) // SAMPLE)])
    flipped_FD, flipped_F = basis_FD[_mirrored_features()], mean_F[_mirrored_features()]

    n = len(images_NHW)
    as_is, mirrored = (np.empty((6, n, DESCRIPTOR), dtype) for _ in range(2))

    def describe_part(at: int) -> None:
        part = images_NHW[at : at + PART]
        features = _features(_filled(part))
        # A mirrored image has the same features and the same windows as the image, in another order.
        turned = features[np.array([0, 1, 3, 2, 5, 4])]
        as_is[:, at : at + PART] = _projected(features, mean_F, basis_FD)[:, : len(part)]
        mirrored[:, at : at + PART] = _projected(turned, flipped_F, flipped_FD)[:, : len(part)]

    on_each_core(describe_part, range(0, n, PART))
    return as_is, mirrored


def _parts(images_NHW: np.ndarray) -> list[np.ndarray]:
    """PART images at a time, all of one shape."""
    return [_filled(images_NHW[at : at + PART]) for at in range(0, len(images_NHW), PART)]


def _filled(part_NHW: np.ndarray) -> np.ndarray:
    """The images, and black ones up to PART."""
    return np.pad(part_NHW, ((0, PART - len(part_NHW)), (0, 0), (0, 0)))


def _discriminant(sample_NHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean feature (F,) and the directions (F, D): the eigenvectors of scatter between against within images.

    Both scatters are averaged over both orientations, so that (a, mirrored b) has the score of (mirrored a, b).
    """
    random = np.random.default_rng(0)
    crops = [_random_crops(sample_NHW, random) for _ in range(2)]
    whole, one, other, captioned = (
        np.concatenate(on_each_core(_whole_features, _parts(x)))[: len(x)].astype(np.float64)
        for x in (sample_NHW, *crops, _captioned(crops[0], random))
    )
    turn = _mirrored_features()
    mean_F = (whole.mean(0) + whole.mean(0)[turn]) / 2 * (len(whole) / (len(whole) + MEAN_SHRINKAGE))
    between = (whole - mean_F).T @ (whole - mean_F)
    within = (one - other).T @ (one - other) + (captioned - other).T @ (captioned - other)
    between, within = ((x + x[turn][:, turn]) / (2 * len(whole)) for x in (between, within / 2))
    within += (1e-3 * np.trace(within) / len(within) + 1e-9) * np.eye(len(within))
    size = len(within)
    spread, vectors = scipy.linalg.eigh(between, within, subset_by_index=(size - DESCRIPTOR, size - 1))
    spread, vectors = spread[::-1], vectors[:, ::-1]
    # Halfway between the weights that `within` gives (power 0) and an equal spread of all directions (power 1/2). This
    # choice found the most copies among equally many candidates.
    scale = np.maximum(spread, 1e-3 * spread[0] + 1e-9) ** -0.25
    return mean_F.astype(np.float32), (vectors * scale).astype(np.float32)


def _whole_features(part_NHW: np.ndarray) -> np.ndarray:
    """The features of the whole images, (N, F)."""
    return np.asarray(_features(part_NHW)[0])


def _random_crops(images_NHW: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random part of each image, LEAST_SCALE to 1 of its size, resized to SIZE x SIZE."""
    n = len(images_NHW)
    scale = random.uniform(LEAST_SCALE, 1, n)
    offset = random.random((2, n)) * (1 - scale) * SIZE
    maps = np.stack([scale, offset[0], scale, offset[1]], 1).astype(np.float32)
    made = [np.asarray(_cropped(*pair)) for pair in zip(_parts(images_NHW), _map_parts(maps), strict=True)]
    return np.concatenate(made)[:n]


def _map_parts(maps_N4: np.ndarray) -> list[np.ndarray]:
    filled = np.pad(maps_N4, ((0, -len(maps_N4) % PART), (0, 0)))
    return [filled[at : at + PART] for at in range(0, len(filled), PART)]


@jax.jit
def _cropped(images_NHW: jax.Array, maps_N4: jax.Array) -> jax.Array:
    place = jnp.arange(SIZE, dtype=jnp.float32)

    def weights(scale: jax.Array, offset: jax.Array) -> jax.Array:
        at = (place + 0.5) * scale[:, None] + offset[:, None] - 0.5
        return jnp.maximum(1 - jnp.abs(at[:, :, None] - place), 0)

    down, across = weights(maps_N4[:, 0], maps_N4[:, 1]), weights(maps_N4[:, 2], maps_N4[:, 3])
    return jnp.einsum("nyh,nhw,nxw->nyx", down, images_NHW.astype(jnp.float32), across, precision=_HIGHEST)


def _captioned(images_NHW: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The images with a band along one edge: plain, or with random pixels for letters."""
    made = images_NHW.copy()
    for image in made:
        side, thick = random.integers(4), round(SIZE * random.uniform(LEAST_CAPTION, MOST_CAPTION))
        level, letters = random.choice([0.0, 255.0]), random.random((thick, SIZE)) < random.choice([0.0, 0.35])
        band = np.where(letters, 255 - level, level)
        turned = np.rot90(image, int(side))  # a view
        turned[:thick] = band
    return made


@jax.jit
def _features(images_NHW: jax.Array) -> jax.Array:
    """Square roots of the gradient energy by orientation and cell, of six windows, (6, N, F), mean 0 and length 1."""
    n = len(images_NHW)
    blur = _gaussian(np.arange(SIZE), BLUR)
    x = jnp.einsum("yh,nhw,xw->nyx", blur, images_NHW.astype(jnp.float32), blur, precision=_HIGHEST)
    down = jnp.pad(x[:, 2:] - x[:, :-2], ((0, 0), (1, 1), (0, 0)))
    across = jnp.pad(x[:, :, 2:] - x[:, :, :-2], ((0, 0), (0, 0), (1, 1)))
    angles = np.arange(ORIENTATIONS) * (2 * np.pi / ORIENTATIONS)
    ahead = jnp.stack([jnp.maximum(across * np.cos(t) + down * np.sin(t), 0) for t in angles], 1)
    # Gray levels: gradients of compression and rounding are about 1.
    energy = ahead**2 / (jnp.sqrt(down**2 + across**2)[:, None] + 1)
    cells = [_cells(0, SIZE), *(_cells(at, WINDOW) for at in ((SIZE - WINDOW) // 2, 0, SIZE - WINDOW))]
    rows = jnp.einsum("ah,nohw->noaw", np.concatenate(cells), energy, precision=_HIGHEST).reshape(
        n, ORIENTATIONS, 4, CELLS, SIZE
    )
    windows = [
        jnp.einsum("noaw,bw->noab", rows[:, :, r], cells[c], precision=_HIGHEST)
        for r, c in ((0, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3))
    ]
    features = jnp.sqrt(jnp.maximum(jnp.stack(windows), 0)).reshape(6, n, -1)
    return _unit(features - features.mean(2, keepdims=True))


def _mirrored_features() -> np.ndarray:
    """For each feature of the mirrored image, its index among the features of the image, (F,)."""
    place = np.arange(ORIENTATIONS * CELLS**2).reshape(ORIENTATIONS, CELLS, CELLS)
    turned = (ORIENTATIONS // 2 - np.arange(ORIENTATIONS)) % ORIENTATIONS
    return place[turned][:, :, ::-1].ravel()


def _cells(start: int, length: int) -> np.ndarray:
    """Weights (CELLS, SIZE) of overlapping Gaussian cells on the pixels from start to start + length."""
    return _gaussian(start + (np.arange(CELLS) + 0.5) * (length / CELLS) - 0.5, 3 / 7 * length / CELLS)


def _gaussian(centres: np.ndarray, deviation: float) -> np.ndarray:
    """Weights (centres, SIZE). Near the edge of the image the pixels inside get more weight."""
    weights = np.exp(-0.5 * ((np.arange(SIZE) - centres[:, None]) / deviation) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@jax.jit
def _projected(features: jax.Array, mean_F: jax.Array, basis_FD: jax.Array) -> jax.Array:
    return _unit(jnp.matmul(features - mean_F, basis_FD, precision=_HIGHEST))


def _unit(x: jax.Array) -> jax.Array:
    """Divided by the length over the last axis; zeros stay zeros."""
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
    return jnp.where(length > 1e-6, x / jnp.maximum(length, 1e-6), 0)
