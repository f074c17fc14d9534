"""How well one image explains another after the best crop: a scale and a shift per axis, and a few spoilt blocks.

There are two steps. The coarse one tries five scales and all shifts of up to 8 pixels on smoothed images. The fine one
starts there, moves by Gauss-Newton steps (Lucas and Kanade 1981, An iterative image registration technique) and gives
the score: the multiple correlation of the details of b with those of a and their changes under small affine maps, over
the region that both show. Of the 20 blocks along the edges the 11 that fit worst are left out, because a caption or
border may be there. Blocks away from the edges always count. Otherwise two photographs of one person that differ only
in the mouth would agree.

Letters: P pairs, H, W pixels (SIZE), B blocks per axis, T terms of the regression.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.duplicates.descriptors import SIZE
from fer_jax.machine.processor import on_each_core

FINE, COARSE = 0.7, 2.0  # pixels: standard deviations of the two blurs between which details lie
SMOOTH, WIDE = 1.4, 5.0  # the same for the coarse step
STEP = 2  # pixels between the samples of the coarse step
SHIFTS = 4  # samples of the coarse step, in each direction: 8 pixels
WINDOWS = 2 * SHIFTS + 1  # per axis
SCALES = (0.71, 0.84, 1.0, 1.19, 1.41)
SMOOTH_STEPS, FINE_STEPS = 2, 3
BLOCKS = 6  # of 8 x 8 pixels
LEFT_OUT = 11  # blocks along the edges: as many as two adjacent edges have
LEAST_OVERLAP = 0.5  # share of a that b must show
MIN_DETAIL_STD = 1.0  # gray levels: below are rounding and compression errors, which correlate with nothing
BATCH, COARSE_BATCH = 32, 64  # pairs compared at once, few enough for a processor's cache
PART = 1024  # images smoothed at once

_HIGHEST = jax.lax.Precision.HIGHEST
_TERMS = 8  # a, its two derivatives, those times y and x, and a constant


def _blur(deviation: float, step: int = 1) -> np.ndarray:
    """Weights (SIZE / step, SIZE) of a Gaussian. Near the edge the pixels inside get more weight."""
    centres = np.arange(0, SIZE, step) + (step - 1) / 2
    weights = np.exp(-0.5 * ((centres[:, None] - np.arange(SIZE)) / deviation) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _band(images_PHW: jax.Array, narrow: float, wide: float, step: int = 1) -> jax.Array:
    """The images between two blurs. The wide blur removes light and the shape that all faces share."""
    return _blurred(images_PHW, _blur(narrow, step)) - _blurred(images_PHW, _blur(wide, step))


def _blurred(images_PHW: jax.Array, weights: np.ndarray) -> jax.Array:
    return jnp.einsum("yh,phw,xw->pyx", weights, images_PHW.astype(jnp.float32), weights, precision=_HIGHEST)


def coarse_match(
    images_NHW: np.ndarray, a: np.ndarray, b: np.ndarray, mirrored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best correlation of the middle of a with b over SCALES and shifts, float32 (P,), and the map, (P, 4).

    images_NHW: uint8 (N, SIZE, SIZE). a, b: rows, (P,). mirrored: bool (P,), compare with mirrored b. A map is (scale,
    shift) down, then across: position y in a, counted from its centre, corresponds to scale * y + shift in b.
    """
    best = np.zeros(len(a), np.float32)
    index = np.full(len(a), _index_of_no_change(), np.int32)
    smooth = _of_all(_smooth_band, images_NHW)
    for k, scale in enumerate(SCALES):
        # One scale at a time: all scales would take several times the memory of the images.
        scaled = _of_all(partial(_rescaled, _rescaling(scale)), smooth)
        score, shift = _batched(_best_shift, COARSE_BATCH, (smooth, a), (scaled, b), mirrored)
        better = score > best
        best[better], index[better] = score[better], shift[better] + k * WINDOWS**2
    scale = np.array(SCALES, np.float32)[index // WINDOWS**2]
    down, across = np.divmod(index % WINDOWS**2, WINDOWS)
    # Samples of the rescaled b: position y in a corresponds to y + shift there.
    maps = [scale, scale * STEP * (down - SHIFTS), scale, scale * STEP * (across - SHIFTS)]
    return best, np.stack(maps, 1).astype(np.float32)


def _index_of_no_change() -> int:
    return SCALES.index(1.0) * WINDOWS**2 + WINDOWS**2 // 2


def _of_all(step: Callable[[np.ndarray], jax.Array], images: np.ndarray) -> np.ndarray:
    """The step applied to all images, float32 (N, SIZE / STEP, SIZE / STEP), PART at a time."""
    parts = [images[at : at + PART] for at in range(0, len(images), PART)]
    made = [np.asarray(step(np.pad(part, ((0, PART - len(part)), (0, 0), (0, 0)))))[: len(part)] for part in parts]
    return np.concatenate([np.zeros((0, SIZE // STEP, SIZE // STEP), np.float32), *made])


@jax.jit
def _smooth_band(images_NHW: jax.Array) -> jax.Array:
    return _band(images_NHW, SMOOTH, WIDE, STEP)


def _rescaling(scale: float) -> np.ndarray:
    """Weights of linear interpolation, (SIZE / STEP, SIZE / STEP); places outside the image count as 0."""
    size = SIZE // STEP
    at = (np.arange(size) - (size - 1) / 2) * scale + (size - 1) / 2
    return np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0).astype(np.float32)


@jax.jit
def _rescaled(weights: np.ndarray, smooth_NHW: jax.Array) -> jax.Array:
    return jnp.einsum("yh,nhw,xw->nyx", weights, smooth_NHW, weights, precision=_HIGHEST)


@jax.jit
def _best_shift(a_PHW: jax.Array, b_PHW: jax.Array, mirrored: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Best correlation of the middle of a with b, and the index (down, across) of its shift."""
    size = SIZE // STEP
    inner = size - 2 * SHIFTS
    other = jnp.where(mirrored[:, None, None], b_PHW[:, :, ::-1], b_PHW)
    one = a_PHW[:, SHIFTS : SHIFTS + inner, SHIFTS : SHIFTS + inner]
    one = one - one.mean((1, 2), keepdims=True)
    # The correlation theorem. Every window lies inside b, so nothing wraps around.
    padded = jnp.pad(one, ((0, 0), (0, 2 * SHIFTS), (0, 2 * SHIFTS)))
    spectrum = jnp.conj(jnp.fft.rfft2(padded)) * jnp.fft.rfft2(other)
    products = jnp.fft.irfft2(spectrum, s=(size, size))[:, :WINDOWS, :WINDOWS]
    total, square = _window_sums(other, inner), _window_sums(other**2, inner)
    own, variance = (one**2).sum((1, 2))[:, None, None], square - total**2 / inner**2
    least = MIN_DETAIL_STD**2 * inner**2
    seen = (own >= least) & (variance >= least)
    scores = jnp.where(seen, products / jnp.sqrt(jnp.maximum(own * variance, 1e-6)), 0).reshape(len(one), -1)
    return scores.max(1), scores.argmax(1)


def _window_sums(x_PHW: jax.Array, inner: int) -> jax.Array:
    """Sums over the window of every shift, (P, down, across)."""
    place = np.arange(SIZE // STEP) - np.arange(WINDOWS)[:, None]
    inside = ((place >= 0) & (place < inner)).astype(np.float32)
    return jnp.einsum("yh,phw,xw->pyx", inside, x_PHW, inside, precision=_HIGHEST)


def fine_match(
    images_NHW: np.ndarray, a: np.ndarray, b: np.ndarray, mirrored: np.ndarray, maps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each pair, -1 to 1, and its map, from the maps of `coarse_match`.

    The score is 0 if b shows less than LEAST_OVERLAP of a, or if details deviate by less than MIN_DETAIL_STD.
    """
    score, maps = _batched(_registered, BATCH, (images_NHW, a), (images_NHW, b), mirrored, maps)
    return score, maps


def _batched(
    step: Callable[..., tuple[jax.Array, ...]],
    batch: int,
    one: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
    *more: np.ndarray,
) -> list[np.ndarray]:
    """The result of the step for each pair of (images, rows), in batches filled up so that all have one shape.

    XLA computes a batch of this size on one core. The batches, and so the result, are the same for any number of cores.
    """
    (of_a, a), (of_b, b) = one, other
    short = -len(a) % batch or batch * (len(a) == 0)
    filled = [np.pad(values, [(0, short), *[(0, 0)] * (values.ndim - 1)]) for values in (a, b, *more)]

    def results(at: int) -> list[np.ndarray]:
        rows_a, rows_b, *rest = (values[at : at + batch] for values in filled)
        return [np.asarray(part) for part in step(of_a[rows_a], of_b[rows_b], *rest)]

    made = on_each_core(results, range(0, len(filled[0]), batch))
    return [np.concatenate(column)[: len(a)] for column in zip(*made, strict=True)]


@jax.jit
def _registered(
    a_PHW: jax.Array, b_PHW: jax.Array, mirrored: jax.Array, maps_P4: jax.Array
) -> tuple[jax.Array, jax.Array]:
    b_PHW = jnp.where(mirrored[:, None, None], b_PHW[:, :, ::-1], b_PHW)
    for narrow, wide, steps in ((SMOOTH, WIDE, SMOOTH_STEPS), (FINE, COARSE, FINE_STEPS)):
        one, other = _band(a_PHW, narrow, wide), _band(b_PHW, narrow, wide)
        terms = _terms(one)
        maps_P4 = jax.lax.fori_loop(0, steps, partial(_step, terms, other), maps_P4)
    score, _ = _fit(terms, other, maps_P4)
    return score, maps_P4


def _step(terms_PHWT: jax.Array, other_PHW: jax.Array, _: int, maps_P4: jax.Array) -> jax.Array:
    return _moved(maps_P4, _fit(terms_PHWT, other_PHW, maps_P4)[1])


def _terms(one_PHW: jax.Array) -> jax.Array:
    """The regressors of b, (P, H, W, T): a, its derivatives down and across, these times y and x, a constant."""
    down, across = jnp.gradient(one_PHW, axis=(1, 2))
    y, x = (_centred() / (SIZE / 2))[:, None], _centred() / (SIZE / 2)
    terms = [one_PHW, down, across, y * down, x * across, x * down, y * across, jnp.ones_like(one_PHW)]
    return jnp.stack(terms, -1)


def _centred() -> np.ndarray:
    return (np.arange(SIZE) - (SIZE - 1) / 2).astype(np.float32)


def _fit(terms_PHWT: jax.Array, other_PHW: jax.Array, maps_P4: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The score, (P,), and the weights of the terms, (P, T)."""
    down, inside_y = _resampling(maps_P4[:, 0], maps_P4[:, 1])
    across, inside_x = _resampling(maps_P4[:, 2], maps_P4[:, 3])
    target = jnp.einsum("pyh,phw,pxw->pyx", down, other_PHW, across, precision=_HIGHEST)
    seen = inside_y[:, :, None] * inside_x[:, None, :]
    both = jnp.concatenate([terms_PHWT, target[..., None]], -1) * seen[..., None]
    n, side = len(both), SIZE // BLOCKS
    both = both.reshape(n, BLOCKS, side, BLOCKS, side, _TERMS + 1).swapaxes(2, 3).reshape(n, BLOCKS**2, side**2, -1)
    gram = jnp.einsum("pbki,pbkj->pbij", both, both, precision=_HIGHEST)
    _, weights = _regression(gram, jnp.ones(gram.shape[:2]))
    # A caption or a border lies along an edge, so only blocks there may be left out.
    wrong = jnp.where(_outer(), _residual(gram, weights), 0)
    limit = jnp.sort(wrong, axis=1)[:, -LEFT_OUT - 1, None]
    return _regression(gram, (wrong <= limit).astype(jnp.float32))


def _residual(gram: jax.Array, weights: jax.Array) -> jax.Array:
    """Residual sum of squares in each block or window, (P, B)."""
    away = jnp.concatenate([-weights, jnp.ones((len(weights), 1))], 1)
    return jnp.einsum("pi,pbij,pj->pb", away, gram, away, precision=_HIGHEST)


def _outer() -> np.ndarray:
    """bool (B * B,): blocks along an edge."""
    place = np.arange(BLOCKS) % (BLOCKS - 1) == 0
    return (place[:, None] | place).ravel()


def _regression(gram: jax.Array, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The signed multiple correlation, (P,), and the weights, (P, T), over the kept blocks."""
    total = jnp.einsum("pb,pbij->pij", kept, gram, precision=_HIGHEST)
    own, with_b, square = total[:, :-1, :-1], total[:, :-1, -1], total[:, -1, -1]
    count, sum_b, sum_a = own[:, -1, -1], with_b[:, -1], own[:, 0, -1]
    ridge = 1e-4 * jnp.trace(own[:, :-1, :-1], axis1=1, axis2=2)[:, None, None] / (_TERMS - 1) + 1e-3
    weights = jnp.linalg.solve(own + ridge * jnp.eye(_TERMS), with_b[..., None])[..., 0]
    variance = square - sum_b**2 / jnp.maximum(count, 1)
    detail = own[:, 0, 0] - sum_a**2 / jnp.maximum(count, 1)
    residual = square - 2 * (weights * with_b).sum(1) + jnp.einsum("pi,pij,pj->p", weights, own, weights)
    explained = 1 - residual / jnp.maximum(variance, 1e-6)
    least = MIN_DETAIL_STD**2 * count
    area = kept.sum(1) * (SIZE / BLOCKS) ** 2
    sound = (count >= LEAST_OVERLAP * area) & (variance >= least) & (detail >= least)
    score = jnp.sqrt(jnp.clip(explained, 0, 1)) * jnp.sign(weights[:, 0])
    return jnp.where(sound, score, 0), weights


def _resampling(scale: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weights (P, SIZE, SIZE) of linear interpolation along one axis, and whether a place lies inside, (P, SIZE)."""
    at = _centred() * scale[:, None] + shift[:, None] + (SIZE - 1) / 2
    inside = jnp.logical_and(at >= 0, at <= SIZE - 1)
    return jnp.maximum(1 - jnp.abs(at[:, :, None] - jnp.arange(SIZE)), 0), inside.astype(jnp.float32)


def _moved(maps_P4: jax.Array, weights: jax.Array) -> jax.Array:
    """The maps after one Gauss-Newton step: b was g * a(y + d(y)), so y in a is at the old map of y - d(y) in b."""
    gain = jnp.where(jnp.abs(weights[:, 0]) > 1e-2, weights[:, 0], jnp.inf)
    shift_y, shift_x = (jnp.clip(weights[:, k] / gain, -2, 2) for k in (1, 2))
    scale_y, scale_x = (jnp.clip(weights[:, k] / gain / (SIZE / 2), -0.06, 0.06) for k in (3, 4))
    sy, ty, sx, tx = maps_P4.T
    moved = jnp.stack([sy * (1 - scale_y), ty - sy * shift_y, sx * (1 - scale_x), tx - sx * shift_x], 1)
    return jnp.where(jnp.isfinite(moved), moved, maps_P4)
