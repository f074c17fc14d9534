"""From stored samples to the network's input, on the device: mirroring, random steps, normalisation, views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fer_jax.train.augment import draw_count, middle, transformed
from fer_jax.train.batches import NO_ROW
from fer_jax.train.mixing import draw_mixture, mixed, views_of
from fer_jax.train.states import AUGMENT_STREAM, FLIP_STREAM, MIXING_STREAM, DeviceRows
from fer_jax.vocabulary.augmentations import AverageViews, DrawnStep, EachImage, TrainOnCrops
from fer_jax.vocabulary.network import Network


class Draws(NamedTuple):
    """What is drawn for each of some samples: whether it is mirrored, bool (N,), and the uniform numbers of each random
    step, (N, n). None for what a split does not have."""

    flips: Array | None
    steps: tuple[Array | None, ...]

    def of(self, places: Array) -> Draws:
        """The draws of the samples at these places."""
        return jax.tree.map(lambda values: values[places], self)


class Inputs:
    """What the device does with the samples of a network's splits. axis: of the mesh over which a batch is spread, if
    it is; devices: along that axis."""

    def __init__(self, network: Network, axis: str | None = None, devices: int = 1) -> None:
        self.axis, self.devices = axis, devices
        self.network, self.pipeline = network, network.pipeline
        self.steps: tuple[DrawnStep, ...] = (*self.pipeline.before, *self.pipeline.after)

    def is_drawn(self, split: str) -> bool:
        """Whether a split looks different at every use."""
        return bool(self._flip_chance(split)) or any(split in step.splits for step in self.steps)

    def _flip_chance(self, split: str) -> float:
        return (self.network.random_flip or {}).get(split, 0.0)

    @property
    def crops(self) -> int:
        """Crops that a training sample becomes, each of which is one of the loss."""
        return self.pipeline.train_crops.count if self.pipeline.train_crops else 1

    def draw(self, split: str, flip_key: Array, key: Array, count: int, crops: int = 1) -> Draws:
        """For `count` samples of a split. The draws of the first ones do not depend on how many there are. crops: of
        each sample, for which the steps behind the normalisation are drawn one by one."""
        chance = self._flip_chance(split)
        flips = jax.random.bernoulli(flip_key, chance, (count,)) if chance else None
        early = len(self.pipeline.before)
        steps = tuple(
            jax.random.uniform(
                jax.random.fold_in(key, index), (count if index < early else count * crops, draw_count(step))
            )
            if split in step.splits
            else None
            for index, step in enumerate(self.steps)
        )
        return Draws(flips, steps)

    def own_part(self, tree_G: Any) -> Any:
        """This device's share of values drawn for the whole batch, so that the number of devices does not matter."""
        axis = self.axis
        if axis is None:
            return tree_G

        def own(values_G: Array) -> Array:
            size = values_G.shape[0] // self.devices
            return jax.lax.dynamic_slice_in_dim(values_G, jax.lax.axis_index(axis) * size, size)

        return jax.tree.map(own, tree_G)

    def for_training(
        self, data: DeviceRows, rows_B: Array, stream: Callable[[int], Array]
    ) -> tuple[Array, Array | None, Array]:
        """The network's input for this device's rows of a batch, each as often as it has crops; if samples are mixed
        also the rows of the others, and the share of the samples themselves. stream: the key of a purpose."""
        count = rows_B.shape[0] * self.devices
        draws_G = self.draw("train", stream(FLIP_STREAM), stream(AUGMENT_STREAM), count, self.crops)
        images = self.prepare(data.images[jnp.maximum(rows_B, 0)], self.own_part(draws_G), self.pipeline.train_crops)
        if self.pipeline.mixing is None:
            return images, None, jnp.ones(())
        rows_B = self.repeated(rows_B)
        rows_G = rows_B if self.axis is None else jax.lax.all_gather(rows_B, self.axis, tiled=True)
        key, size = stream(MIXING_STREAM), self.network.image_size
        mixture = draw_mixture(self.pipeline.mixing, key, rows_G != NO_ROW, size)
        order_B = self.own_part(mixture.order)
        other_rows = jnp.maximum(rows_G[order_B], 0)
        # Another device may have prepared the other sample. The same draws give the same image. Crops are exchanged.
        if self.axis is None:
            others = images[order_B]
        elif self.crops > 1:
            others = jax.lax.all_gather(images, self.axis, tiled=True)[order_B]
        else:
            others = self.prepare(data.images[other_rows], draws_G.of(order_B))
        return mixed(mixture, images, others), other_rows, mixture.share

    def repeated(self, values_B: Array) -> Array:
        """Values of training samples for each of their crops, (B * crops,)."""
        return values_B if self.crops == 1 else jnp.repeat(values_B, self.crops)

    def prepare(self, images_BHW: Array, draws: Draws, crops: TrainOnCrops | None = None) -> Array:
        """Stored images, uint8 (B, H, W), as the network gets them: float32 (B, image_size, image_size). With `crops`
        those of a sample one after the other, (B * crops, ...)."""
        images, late = self._early(images_BHW, draws)
        size = self.network.image_size
        if crops is not None:
            return self._late(jnp.swapaxes(views_of(crops, images, size), 0, 1).reshape(-1, size, size), late)
        return self._late(middle(images, size) if images.shape[1] > size else images, late)

    def prepare_views(self, images_BHW: Array, draws: Draws, views: AverageViews) -> Array:
        """The same for each view, (V, B, image_size, image_size)."""
        images, late = self._early(images_BHW, draws)
        found = views_of(views, images, self.network.image_size)
        return jnp.stack([self._late(view, late) for view in found])

    def _early(self, images_BHW: Array, draws: Draws) -> tuple[Array, tuple[Array | None, ...]]:
        """Up to the normalisation; and the draws for what follows it."""
        if draws.flips is not None:
            images_BHW = jnp.where(draws.flips[:, None, None], images_BHW[:, :, ::-1], images_BHW)
        images = images_BHW.astype(jnp.float32)
        early = len(self.pipeline.before)
        for step, u_Bn in zip(self.pipeline.before, draws.steps[:early], strict=True):
            images = images if u_Bn is None else transformed(step, images, u_Bn)
        return images, draws.steps[early:]

    def _late(self, images_BHW: Array, draws: tuple[Array | None, ...]) -> Array:
        images = self._normalised(images_BHW)
        for step, u_Bn in zip(self.pipeline.after, draws, strict=True):
            images = images if u_Bn is None else transformed(step, images, u_Bn)
        return images

    def _normalised(self, images_BHW: Array) -> Array:
        offset, factor = self.network.scaling
        if self.pipeline.standardise:
            images_BHW = _each_standardised(images_BHW, self.pipeline.standardise)
            if offset.ndim == 0:  # only statistics of each pixel may follow
                return images_BHW
        return (images_BHW - offset) * factor


def _each_standardised(images_BHW: Array, form: EachImage) -> Array:
    mean = images_BHW.mean(axis=(1, 2), keepdims=True)
    deviation = jnp.sqrt(jnp.square(images_BHW - mean).mean(axis=(1, 2), keepdims=True))
    if form == "keras":
        return (images_BHW - mean) / (deviation + 1e-6)
    pixels = images_BHW.shape[1] * images_BHW.shape[2]
    return (images_BHW - mean) / jnp.maximum(deviation, pixels**-0.5)


def views_at(network: Network, split: str) -> AverageViews | None:
    """The views that a split is evaluated with. `split` is empty for faces that belong to none."""
    views = network.pipeline.views
    if views is None or split == "train" or (views.splits and split and split not in views.splits):
        return None
    return views
