"""Which pictures are alike: short descriptors that survive small shifts, and the correlation of details that decides.

Two stages, because all pairs at full resolution would be far too many products. The descriptor of a picture has
``DESCRIPTOR`` numbers; pairs whose descriptors point the same way are candidates. It is a linear discriminant (Fisher
1936; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 4.3.3), fitted to the data set
itself: directions in which pictures differ much, but a picture and its shifted copy little. With plain thumbnails,
other faces that are aligned alike would be as near to a picture as its own copy shifted by 2 pixels. The candidates are
then compared pixel by pixel over the region that both show, at every shift.

Letters: N pictures, H, W pixels, K cells of a thumbnail, D numbers of a descriptor, P pairs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

MAX_SHIFT = 2  # pixels, in each direction
MARGIN = MAX_SHIFT // 2
DESCRIPTOR = 48
CELLS = 16  # thumbnails have CELLS x CELLS cells, of about 3 x 3 pixels in FER-2013
SAMPLE = 2048  # pictures that the discriminant is fitted to, each in both orientations
MEAN_SHRINKAGE = 100  # a mean of fewer pictures than about this says little: it is drawn towards zero
FINE, COARSE = 0.7 / 48, 2 / 48  # standard deviations of the two blurs in widths of the picture
ALIGNED = 0.6  # correlation after the best shift from which it is worth while to look at affine maps
MIN_DETAIL_STD = 1.0  # gray levels: below lie the errors of rounding and compression, which correlate with nothing
BLOCK = 2048  # a block of scores is BLOCK x BLOCK x 4 bytes = 16 MB: near the size of a processor's cache
GROUP = 32  # of each row and this many columns one bit leaves the device: 128 KB a block
PART = 256  # pictures described at once
BATCH = 64  # pairs compared at once, few enough for a processor's cache

_HIGHEST = jax.lax.Precision.HIGHEST  # on a GPU the default would round factors to 10 bits


def describe(images_NHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of the pictures, float32 (N, D), and of the windows that others are sought in, (2, 4, N, D).

    The first are of the middle, MARGIN pixels from every edge. The second are of the four windows of that size in the
    corners, as they are and mirrored: of a copy shifted by up to MAX_SHIFT pixels, one of them lies within a pixel, in
    both directions, of what the middle shows. Lengths are 1. Brightness and contrast do not change them. They belong to
    this data set: another has another discriminant.
    """
    sample_5NK = [_in_parts(_thumbnails, x[:: max(1, len(x) // SAMPLE)]) for x in (images_NHW, images_NHW[:, :, ::-1])]
    mean_K, basis_KD = _discriminant(np.concatenate(sample_5NK, 1))
    described = [
        _in_parts(lambda part: _descriptors(part, mean_K, basis_KD), x) for x in (images_NHW, images_NHW[:, :, ::-1])
    ]
    return described[0][0], np.stack([windows[1:] for windows in described])


def _in_parts(step: Callable[[np.ndarray], jax.Array], images_NHW: np.ndarray) -> np.ndarray:
    """What the step makes of all pictures, (5, N, ...), PART at a time; filled up, so that every part has one shape."""
    parts = [images_NHW[start : start + PART] for start in range(0, len(images_NHW), PART)]
    made = [np.asarray(step(np.pad(part, ((0, PART - len(part)), (0, 0), (0, 0)))))[:, : len(part)] for part in parts]
    return np.concatenate(made, 1)


def _discriminant(thumbnails_5NK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean thumbnail (K,) and the directions (K, D): the eigenvectors of scatter between against within pictures.

    Of pictures in both orientations, so that the score of (a, mirrored b) is that of (mirrored a, b).
    """
    middle, *corners = thumbnails_5NK.astype(np.float64)
    mean_K = middle.mean(0) * (len(middle) / (len(middle) + 2 * MEAN_SHRINKAGE))
    between = (middle - mean_K).T @ (middle - mean_K) / len(middle)
    within = np.sum([(corner - middle).T @ (corner - middle) for corner in corners], 0) / (4 * len(middle))
    within += (1e-3 * np.trace(within) / len(within) + 1e-9) * np.eye(len(within))
    spread, vectors = scipy.linalg.eigh(between, within)
    spread, vectors = spread[::-1][:DESCRIPTOR], vectors[:, ::-1][:, :DESCRIPTOR]
    # Halfway between the weights that `within` gives (power 0) and an equal spread of all directions (power 1/2): there
    # fewest pairs of different faces are candidates.
    scale = np.maximum(spread, 1e-3 * spread[0] + 1e-9) ** -0.25
    return mean_K.astype(np.float32), (vectors * scale).astype(np.float32)


@jax.jit
def _thumbnails(images_NHW: jax.Array) -> jax.Array:
    """Cells of the middle and of the four corners, (5, N, K), each of mean 0 and length 1."""
    n, h, w = images_NHW.shape
    down, across = _cells(h), _cells(w)
    rows, columns = len(down) // 3, len(across) // 3
    cells = jnp.einsum("ah,nhw,bw->nab", down, images_NHW.astype(jnp.float32), across, precision=_HIGHEST)
    windows = cells.reshape(n, 3, rows, 3, columns).transpose(1, 3, 0, 2, 4).reshape(9, n, rows * columns)
    windows = windows[jnp.array([4, 0, 2, 6, 8])]
    return _unit(windows - windows.mean(2, keepdims=True))


def _cells(size: int) -> np.ndarray:
    """Weights (3 x cells, size) that average pixels into cells of equal width, which may cut pixels.

    Of the windows that begin at 0, MARGIN and 2 MARGIN, one after the other.
    """
    inner = size - 2 * MARGIN
    cells = min(CELLS, inner)
    edges = np.arange(cells + 1) * (inner / cells) + MARGIN * np.arange(3)[:, None]
    upper, lower, pixels = edges[:, 1:, None], edges[:, :-1, None], np.arange(size)
    overlap = np.maximum(np.minimum(upper, pixels + 1) - np.maximum(lower, pixels), 0)
    return (overlap * (cells / inner)).reshape(-1, size).astype(np.float32)


@jax.jit
def _descriptors(images_NHW: jax.Array, mean_K: jax.Array, basis_KD: jax.Array) -> jax.Array:
    """Of the middle and of the four corners, (5, N, D)."""
    return _unit(jnp.matmul(_thumbnails(images_NHW) - mean_K, basis_KD, precision=_HIGHEST))


def _unit(x: jax.Array) -> jax.Array:
    """Divided by the length over the last axis; nothing where that is as good as nothing."""
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
    return jnp.where(length > 1e-6, x / jnp.maximum(length, 1e-6), 0)


def alike(rows_ND: np.ndarray, columns_ND: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (a, b), a < b, int32 (P,), for which rows_ND[a] and columns_ND[b] have a product of at least `cut`.

    N^2 D operations, in blocks on and above the diagonal; memory for two blocks. The scores stay on the device.
    """
    n = len(rows_ND)
    block = min(BLOCK, max(1, -(-n // GROUP)) * GROUP)
    padding = ((0, -n % block), (0, 0))
    rows, columns = (
        [jnp.asarray(part) for part in np.split(np.pad(x, padding), max(1, -(-n // block)))]
        for x in (rows_ND, columns_ND)
    )
    found = [np.zeros((2, 0), np.int32)]
    # One block ahead: the device computes while the host looks at what the last block gave.
    pending: deque[tuple[int, int, jax.Array]] = deque()
    for r, c in zip(*np.triu_indices(len(rows)), strict=True):
        pending.append((int(r) * block, int(c) * block, _hits(rows[r], columns[c], cut)))
        if len(pending) > 1:
            found.append(_pairs(rows_ND, columns_ND, *pending.popleft(), cut))
    found += [_pairs(rows_ND, columns_ND, *left, cut) for left in pending]
    a, b = np.concatenate(found, axis=1)
    return a, b


@jax.jit
def _hits(rows_ND: jax.Array, columns_ND: jax.Array, cut: float) -> jax.Array:
    """For each row of a block and each group of columns (every N/GROUP-th), whether a score reaches the cut."""
    scores = jnp.matmul(rows_ND, columns_ND.T, precision=_HIGHEST)
    return scores.reshape(len(rows_ND), GROUP, -1).max(1) >= cut


def _pairs(rows_ND: np.ndarray, columns_ND: np.ndarray, r: int, c: int, hits: jax.Array, cut: float) -> np.ndarray:
    """The pairs of the block that starts at row r and column c, int32 (2, P), from the groups that were hit."""
    row, group = np.nonzero(np.asarray(hits))
    a = np.repeat(row + r, GROUP)
    b = (group[:, None] + c + len(hits) // GROUP * np.arange(GROUP)).ravel()
    above = (a < b) & (b < len(columns_ND))
    a, b = a[above], b[above]
    # In parts: where everything is alike, the descriptors of all pairs of a block would take 1.6 GB.
    parts = [slice(at, at + 2**16) for at in range(0, len(a), 2**16)]
    scores = [np.einsum("nd,nd->n", rows_ND[a[part]], columns_ND[b[part]]) for part in parts]
    kept = np.concatenate([np.zeros(0), *scores]) >= cut
    return np.stack([a[kept], b[kept]]).astype(np.int32)


def best_correlation(
    images_NHW: np.ndarray, a: np.ndarray, b: np.ndarray, mirrored: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well pictures a explain pictures b, b mirrored where said, after the best shift.

    a, b, mirrored: (P,). Returns score float32, -1 to 1, and dx, dy int8, each (P,): what is at (y, x) in the middle of
    a is at (y + dy, x + dx) in b. Compared are the details of the pixels of a at least MAX_SHIFT from its edge. The
    score is their normalised correlation; from ALIGNED on, the multiple correlation with a and its changes under
    small affine maps, so that a crop that is a little larger, turned or off by half a pixel counts as the same. Where
    details deviate by less than MIN_DETAIL_STD the score is 0. Per pair 25 shifts x 44 x 44 pixels = 48,400 products at
    48x48, and eight times as many for blurs.
    """
    score, shift = _batched(_best_shift, images_NHW, a, b, mirrored)
    aligned = np.flatnonzero(score >= ALIGNED)
    (score[aligned],) = _batched(_affine_correlation, images_NHW, *(x[aligned] for x in (a, b, mirrored, shift)))
    dy, dx = np.divmod(shift, 2 * MAX_SHIFT + 1)
    return score, (dx - MAX_SHIFT).astype(np.int8), (dy - MAX_SHIFT).astype(np.int8)


def _batched(
    step: Callable[..., tuple[jax.Array, ...]], images_NHW: np.ndarray, a: np.ndarray, b: np.ndarray, *more: np.ndarray
) -> list[np.ndarray]:
    """What the step gives for each pair; BATCH pairs at a time, filled up so that every batch has one shape."""
    filled = [np.pad(values, (0, -len(a) % BATCH or BATCH * (len(a) == 0))) for values in (a, b, *more)]
    made = []
    for at in range(0, len(filled[0]), BATCH):
        one, other, *rest = (values[at : at + BATCH] for values in filled)
        made.append(step(images_NHW[one], images_NHW[other], *rest))
    return [np.concatenate([np.asarray(part) for part in column])[: len(a)] for column in zip(*made, strict=True)]


@jax.jit
def _best_shift(a_PHW: jax.Array, b_PHW: jax.Array, mirrored: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Score and index of the shift, dy-major, of each pair."""
    one, other = _details(a_PHW, b_PHW, mirrored)
    h, w = one.shape[0] - 2 * MAX_SHIFT, one.shape[1] - 2 * MAX_SHIFT
    one = one[MAX_SHIFT : MAX_SHIFT + h, MAX_SHIFT : MAX_SHIFT + w]
    one = one - one.mean((0, 1))
    shifts = [(dy, dx) for dy in range(2 * MAX_SHIFT + 1) for dx in range(2 * MAX_SHIFT + 1)]
    products = jnp.stack([(one * other[dy : dy + h, dx : dx + w]).sum((0, 1)) for dy, dx in shifts])
    mean, square = (_window_sums(x).reshape(products.shape) / (h * w) for x in (other, other**2))
    own, variance = (one**2).mean((0, 1)), square - mean**2
    seen = (own >= MIN_DETAIL_STD**2) & (variance >= MIN_DETAIL_STD**2)
    scores = jnp.where(seen, products / (h * w) / jnp.sqrt(jnp.maximum(own * variance, 1e-6)), 0)
    return scores.max(0), scores.argmax(0)


@jax.jit
def _affine_correlation(a_PHW: jax.Array, b_PHW: jax.Array, mirrored: jax.Array, shift: jax.Array) -> tuple[jax.Array]:
    """Correlation of b, shifted, with the nearest mixture of a and its derivatives by the six numbers of an affine map:
    the first step of Lucas and Kanade (1981), An iterative image registration technique."""
    one, other = (jnp.moveaxis(x, -1, 0) for x in _details(a_PHW, b_PHW, mirrored))
    _, h, w = one.shape
    h, w = h - 2 * MAX_SHIFT, w - 2 * MAX_SHIFT
    dy, dx = jnp.divmod(shift, 2 * MAX_SHIFT + 1)
    target = jax.vmap(lambda x, y0, x0: jax.lax.dynamic_slice(x, (y0, x0), (h, w)))(other, dy, dx)
    # Central differences; the window's margin of MAX_SHIFT holds the neighbours that they need.
    margin, ends = MAX_SHIFT, (MAX_SHIFT + h, MAX_SHIFT + w)
    middle = one[:, margin : ends[0], margin : ends[1]]
    down = one[:, margin + 1 : ends[0] + 1, margin : ends[1]] - one[:, margin - 1 : ends[0] - 1, margin : ends[1]]
    across = one[:, margin : ends[0], margin + 1 : ends[1] + 1] - one[:, margin : ends[0], margin - 1 : ends[1] - 1]
    y, x = jnp.linspace(-1, 1, h)[:, None], jnp.linspace(-1, 1, w)
    terms = jnp.stack([middle, down, across, y * down, x * down, y * across, x * across], 1).reshape(len(one), 7, h * w)
    terms, target = terms - terms.mean(2, keepdims=True), target.reshape(len(one), h * w)
    target = target - target.mean(1, keepdims=True)
    gram = jnp.einsum("pik,pjk->pij", terms, terms, precision=_HIGHEST)
    with_b = jnp.einsum("pik,pk->pi", terms, target, precision=_HIGHEST)
    ridge = 1e-4 * jnp.trace(gram, axis1=1, axis2=2)[:, None, None] / 7 + 1e-6
    weights = jnp.linalg.solve(gram + ridge * jnp.eye(7), with_b[..., None])[..., 0]
    explained = (weights * with_b).sum(1) / jnp.maximum((target**2).sum(1), 1e-6)
    return (jnp.sqrt(jnp.clip(explained, 0, 1)) * jnp.sign(weights[:, 0]),)


def _details(a_PHW: jax.Array, b_PHW: jax.Array, mirrored: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pictures a and b, the latter mirrored where said, between two blurs, (H, W, P).

    The wide blur holds light and the shape that all faces share, the narrow one leaves out what compression changes.
    Pairs innermost: sums over pixels are then sums of vectors over pairs.
    """
    one, other = (jnp.moveaxis(x.astype(jnp.float32), 0, -1) for x in (a_PHW, b_PHW))
    both = jnp.stack([one, jnp.where(mirrored, other[:, ::-1], other)])
    fine, coarse = (
        jnp.einsum("yh,ehwp,xw->eyxp", _blur(one.shape[0], width), both, _blur(one.shape[1], width), precision=_HIGHEST)
        for width in (FINE, COARSE)
    )
    details = fine - coarse
    return details[0], details[1]


def _blur(size: int, deviation: float) -> np.ndarray:
    """Weights (size, size) of a Gaussian; where it reaches over the edge, the pixels inside count for more."""
    away = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-0.5 * (away / (deviation * size)) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _window_sums(x_HWP: jax.Array) -> jax.Array:
    """Sums over the window of every shift, (dy, dx, P): down first, then across."""
    width = 2 * MAX_SHIFT + 1
    h, w = x_HWP.shape[0] - 2 * MAX_SHIFT, x_HWP.shape[1] - 2 * MAX_SHIFT
    down = jnp.stack([x_HWP[y : y + h].sum(0) for y in range(width)])
    return jnp.stack([down[:, x : x + w].sum(1) for x in range(width)], 1)
