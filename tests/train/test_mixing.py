"""Mixed samples and views."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from conftest import QUICK

from fer_jax.train.mixing import draw_mixture, mean_logits, mixed, views_of
from fer_jax.vocabulary.augmentations import AverageViews, CutMix, Mixup

IS_ROW = jnp.asarray([True] * 20 + [False] * 4)


MIXUP, CUTMIX = Mixup(alpha=0.4, probability=0.7), CutMix()


@functools.cache  # beta numbers take seconds to compile
def mixtures(mixing):
    """2,000 mixtures of a batch of 20 images of 16 x 16."""
    keys = jax.random.split(jax.random.key(3), 2000)
    draw = jax.vmap(lambda key: draw_mixture(mixing, key, IS_ROW, 16))
    return jax.jit(draw, compiler_options=QUICK)(keys)


@pytest.mark.parametrize("mixing", [MIXUP, CUTMIX])
def test_the_order_is_random_and_leaves_empty_places_alone(mixing):
    orders = np.asarray(mixtures(mixing).order)
    assert (np.sort(orders[:, :20]) == np.arange(20)).all() and (orders[:, 20:] == np.arange(20, 24)).all()
    counts = np.bincount(orders[:, 0], minlength=20)[:20]
    assert np.abs(counts - 100).max() < 50  # 5 standard deviations


def test_shares_of_mixup_are_beta():
    shares = np.asarray(mixtures(MIXUP).share)
    assert abs((shares == 1).mean() - 0.3) < 0.05, "batches that are not mixed"
    assert scipy.stats.kstest(shares[shares < 1], scipy.stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_the_box_of_cutmix_and_its_share():
    """Its sides are sqrt(1 - k) of the image, cut at the borders; the share is what is left."""
    found = mixtures(CUTMIX)
    boxes, shares = np.asarray(found.box), np.asarray(found.share)
    np.testing.assert_allclose(shares, 1 - boxes.mean((1, 2)), atol=1e-6)
    for box in boxes[:100]:
        rows, columns = box.any(1), box.any(0)
        np.testing.assert_array_equal(box, rows[:, None] & columns[None, :])
        assert (np.abs(np.diff(rows.astype(int))).sum() <= 2) and (np.abs(np.diff(columns.astype(int))).sum() <= 2)
    # (1 - k) is uniform. Of a square of side s, (1 - s / 4)^2 lies inside in the mean: E[s^2 (1 - s / 4)^2] = 0.32.
    assert abs(1 - shares.mean() - 0.32) < 0.05 and shares.max() == 1.0


def test_mixed_images():
    images, others = jnp.zeros((20, 16, 16)), jnp.ones((20, 16, 16))
    one = jax.tree.map(lambda leaf: leaf[0], mixtures(MIXUP))
    np.testing.assert_allclose(mixed(one, images, others), 1 - one.share)
    box = jax.tree.map(lambda leaf: leaf[0], mixtures(CUTMIX))
    np.testing.assert_array_equal(mixed(box, images, others)[3], box.box)


def test_views():
    images = np.arange(2 * 36, dtype=np.float32).reshape(2, 6, 6)
    found = np.asarray(views_of(AverageViews(views="ten_crops"), jnp.asarray(images), 3))
    corners = [(0, 0), (0, 3), (3, 0), (3, 3), (2, 2)]  # the middle begins at round(1.5) = 2, as in torchvision
    expected = [images[:, y : y + 3, x : x + 3] for y, x in corners]
    np.testing.assert_array_equal(found[:5], expected)
    np.testing.assert_array_equal(found[5:], found[:5][..., ::-1])
    five = views_of(AverageViews(views="five_crops"), jnp.asarray(images), 3)
    np.testing.assert_array_equal(five, found[:5])
    flips = np.asarray(views_of(AverageViews(views="flips"), jnp.asarray(images), 6))
    np.testing.assert_array_equal(flips, [images, images[..., ::-1]])


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_means_over_views(output):
    logits = np.random.default_rng(0).normal(size=(4, 5, 7)) * 2
    p = 1 / (1 + np.exp(-logits)) if output == "sigmoid" else np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = np.asarray(mean_logits(jnp.asarray(logits, jnp.float32), output, "probabilities"), np.float64)
    own = 1 / (1 + np.exp(-found)) if output == "sigmoid" else np.exp(found) / np.exp(found).sum(-1, keepdims=True)
    np.testing.assert_allclose(own, p.mean(0), rtol=1e-5)
    as_logits = mean_logits(jnp.asarray(logits, jnp.float32), output, "logits")
    np.testing.assert_allclose(as_logits, logits.mean(0), rtol=1e-5, atol=1e-6)
