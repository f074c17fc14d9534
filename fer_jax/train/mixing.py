"""Mixed training samples, and the mean over several views of a sample at test time."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.train.augment import middle
from fer_jax.vocabulary.augmentations import AverageViews, CutMix, Mixing, TrainOnCrops


class Mixture(NamedTuple):
    """How a batch is mixed with a random order of itself. share: of the sample itself, (). order: places in the whole
    batch, (G,). box: cutmix: which pixels are of the other sample, bool (H, W); else None."""

    share: Array
    order: Array
    box: Array | None


def draw_mixture(mixing: Mixing, key: Array, is_row_G: Array, size: int) -> Mixture:
    """is_row_G: which places of the whole batch hold a sample; the others, at its end, keep their place. size: of the
    images in pixels."""
    of_share, of_order, of_use, of_box = jax.random.split(key, 4)
    drawn = jnp.where(is_row_G, jax.random.uniform(of_order, is_row_G.shape), 2.0)
    share = jax.random.beta(of_share, mixing.alpha, mixing.alpha)
    share = jnp.where(jax.random.uniform(of_use) < mixing.probability, share, 1.0)
    if not isinstance(mixing, CutMix):
        return Mixture(share, jnp.argsort(drawn), None)
    side = jnp.floor(size * jnp.sqrt(1 - share)).astype(jnp.int32)
    centre = jnp.floor(jax.random.uniform(of_box, (2,)) * size).astype(jnp.int32)
    first, last = (jnp.clip(centre + half, 0, size) for half in (-(side // 2), side // 2))
    pixel = jnp.arange(size)
    rows, columns = ((pixel >= first[axis]) & (pixel < last[axis]) for axis in (0, 1))
    box = rows[:, None] & columns[None, :]
    return Mixture(1 - box.mean(), jnp.argsort(drawn), box)


def mixed(mixture: Mixture, images_BHW: Array, others_BHW: Array) -> Array:
    if mixture.box is not None:
        return jnp.where(mixture.box, others_BHW, images_BHW)
    return mixture.share * images_BHW + (1 - mixture.share) * others_BHW


# --- test time ------------------------------------------------------------------------------------------------------


def views_of(views: AverageViews | TrainOnCrops, images_BHW: Array, size: int) -> Array:
    """(V, B, size, size): upper left, upper right, lower left, lower right, middle; then their mirror images."""
    if views.views == "flips":
        found = [middle(images_BHW, size)]
    else:
        far_y, far_x = (length - size for length in images_BHW.shape[1:])
        corners = [(0, 0), (0, far_x), (far_y, 0), (far_y, far_x)]
        found = [images_BHW[:, top : top + size, left : left + size] for top, left in corners]
        found.append(middle(images_BHW, size))
    if views.views != "five_crops":
        found += [view[:, :, ::-1] for view in found]
    return jnp.stack(found)


def mean_logits(logits_VBK: Array, output: str, average: str) -> Array:
    """Logits (B, K) of the mean over the views: of the logits themselves, or of the probabilities. With sigmoids the
    mean is of each class's own probability."""
    if average == "logits":
        return logits_VBK.mean(0)
    if output == "sigmoid":
        log_p, log_rest = (jax.nn.logsumexp(jax.nn.log_sigmoid(sign * logits_VBK), axis=0) for sign in (1.0, -1.0))
        return log_p - log_rest
    return jax.nn.logsumexp(jax.nn.log_softmax(logits_VBK), axis=0) - jnp.log(len(logits_VBK))
