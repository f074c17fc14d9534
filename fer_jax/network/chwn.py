"""The backend for CPUs: the batch innermost, and routines in C++ where there are any for a layer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import Array

from fer_jax.network import batch_norm, convolution, depthwise, pooling, winograd
from fer_jax.network.activations import ACTIVATIONS
from fer_jax.network.batch_norm import Rows
from fer_jax.network.convolution import Last
from fer_jax.network.native import batch_norm as native_batch_norm
from fer_jax.network.native import calls, overlapping, strided
from fer_jax.network.native import convolution as native_convolution
from fer_jax.network.native import pooling as native_pooling
from fer_jax.network.stages import (
    LayerStage,
    norms_joined,
    plain_stages,
    pools_first,
    pools_joined,
    relus_joined,
    touches,
)
from fer_jax.vocabulary.layers import BatchNorm, Conv, DepthwiseConv, Layer, MaxPool

# Up to this many channels a k x k patch is written out; with more, gathering along the width alone is faster.
_FEW_CHANNELS = 1
# From this many channels on, both in and out, Winograd's 3 x 3 convolution wins back what its transforms cost.
_MANY_CHANNELS = 64
# `convolve_and_pool` multiplies by zeros, ((k + s - 1) / k)^2 times as much as needed for windows of s.
_JOINED_WINDOW = 3


def _is_pooled(pool: MaxPool | None, window: int) -> bool:
    """Whether a map that was pooled with this window, 1 for not at all, needs no further pooling."""
    return pool is None or window == pool.sides[0]


@dataclass(frozen=True)
class ChwnBackend:
    """The batch innermost, with the routines of `convolution.py`. Fast on CPU."""

    name: str = "chwn"
    batch_axis: int = -1
    channel_axis: int = 0

    @property
    def compiler_options(self) -> dict[str, str]:
        return convolution.supported_compiler_options()

    def kernels(self) -> str:
        return "C++" if calls.available() else "JAX"

    def stages(self, layers: tuple[Layer, ...], prefix: str = "", *, train: bool) -> tuple[LayerStage, ...]:
        stages = plain_stages(layers, prefix)
        return relus_joined(pools_joined(pools_first(stages if train else norms_joined(stages))))

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC.transpose(3, 1, 2, 0)

    def conv(
        self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerStage, added: Array | None = None
    ) -> Array:
        assert added is None or stage.pool is None
        last = Last(bias, added, stage.rectify)
        y, pooled, finished = _convolve(x, kernel_HWIO, stage, last)
        if stage.pool is not None and not pooled:
            y = self.max_pool(y, stage.pool)
        # Bias and ReLU keep the order of values, so they may come after pooling, where they cost less.
        return y if finished else last.of(y)

    def depthwise(self, x: Array, kernel_HWCM: Array, bias: Array | None, stage: LayerStage) -> Array:
        layer = stage.layer
        assert isinstance(layer, DepthwiseConv)
        pads, last = layer.pads(x.shape[1:3]), Last(bias, rectify=stage.rectify)
        return depthwise.convolve(x, kernel_HWCM, layer.strides, layer.dilations, pads, last)

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        pads = layer.pads(x.shape[1:3])
        # Of windows that touch, JAX's routine spreads the gradient in one comparison.
        if layer.sides != layer.strides and native_pooling.suits(x, layer.sides, layer.strides, pads):
            return native_pooling.max_pool(x, layer.sides, layer.strides, pads)
        return pooling.max_pool_layer(x, layer)

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerStage) -> Array:
        window = _window_inside(x.shape[1:3], stage.pool)
        if native_batch_norm.suits(x, window):
            rectify = stage.rectify and _is_pooled(stage.pool, window)
            y = native_batch_norm.normalise(x, factor, offset, window, rectify)
        else:
            y, window, rectify = batch_norm.normalise(x, factor, offset, self.channel_axis), 1, False
        return self._finished(y, stage, window, rectify)

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerStage
    ) -> tuple[Array, Array, Array]:
        window = _window_inside(x.shape[1:3], stage.pool)
        assert isinstance(stage.layer, BatchNorm)
        if native_batch_norm.suits(x, window):
            rectify = stage.rectify and _is_pooled(stage.pool, window)
            y, mean, var = native_batch_norm.normalise_batch(x, scale, bias, stage.layer.epsilon, rows, window, rectify)
        else:
            axes = {"channel_axis": self.channel_axis, "batch_axis": self.batch_axis}
            y, mean, var = batch_norm.normalise_batch(x, scale, bias, stage.layer.epsilon, rows, **axes)
            window, rectify = 1, False
        return self._finished(y, stage, window, rectify), mean, var

    def _finished(self, y: Array, stage: LayerStage, window: int, rectified: bool) -> Array:
        """The rest of a batch norm's step: its pooling, unless it was pooled with a window above 1, and its ReLU."""
        if not _is_pooled(stage.pool, window):
            assert stage.pool is not None
            y = pooling.max_pool_layer(y, stage.pool)
        return self.activate(y, "relu") if stage.rectify and not rectified else y

    def activate(self, x: Array, function: str) -> Array:
        return convolution.elu(x) if function == "elu" else ACTIVATIONS[function](x)

    def flatten(self, x: Array) -> Array:
        # Batch vectors move as a whole here, so that the dense kernel can keep its (height, width, channels) order.
        return x.transpose(1, 2, 0, 3).reshape(-1, x.shape[-1])

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array:
        y = convolution.dense(x, kernel_IO)
        return y if bias is None else y + bias[:, None]

    def to_logits(self, x: Array) -> Array:
        return x.T


class _Convolved(NamedTuple):
    """A map, and whether its pooling, and what comes last, are already done."""

    map: Array
    pooled: bool = False
    finished: bool = False


def _convolve(x: Array, kernel: Array, stage: LayerStage, last: Last) -> _Convolved:
    """Convolve a CHWN map by the routine that suits it."""
    layer, pool = stage.layer, stage.pool
    assert isinstance(layer, Conv)
    pads = rows, columns = layer.pads(x.shape[1:3])
    if layer.groups > 1:
        return _Convolved(_in_groups(x, kernel, layer))
    if layer.sides == (1, 1) and pads == ((0, 0), (0, 0)):  # what the strides skip is not needed
        down, across = layer.strides
        x = x[:, ::down, ::across]
        # With one product per pixel, padding all of the map beforehand would take longer than the products.
        if (pool is None or not touches(pool)) and strided.suits(x, kernel, (1, 1), pads):
            return _Convolved(strided.convolve(x, kernel, (1, 1), pads, last), finished=True)
    elif not layer.is_plain or rows != columns:
        if layer.dilations == (1, 1) and strided.suits(x, kernel, layer.strides, pads):
            return _Convolved(strided.convolve(x, kernel, layer.strides, pads, last), finished=True)
        return _Convolved(convolution.convolve_patches(x, kernel, layer.strides, pads, layer.dilations))
    if pool is not None and not touches(pool) and overlapping.suits(x, kernel, rows, pool):
        return _Convolved(overlapping.convolve(x, kernel, rows, pool, last), True, True)
    size = layer.sides[0]
    window = _window_inside([side + sum(rows) - size + 1 for side in x.shape[1:3]], pool)
    few_channels = x.shape[0] <= _FEW_CHANNELS
    if native_convolution.suits(x, kernel, rows, window):
        y = native_convolution.convolve(x, kernel, rows, window, last)
        return _Convolved(y, window > 1, True)
    if size == 3 and min(x.shape[0], layer.filters) >= _MANY_CHANNELS:
        return _Convolved(winograd.convolve_winograd(x, kernel, rows))
    if few_channels and 1 < window <= _JOINED_WINDOW:
        return _Convolved(convolution.convolve_and_pool(x, kernel, rows, window), pooled=True)
    if few_channels:
        return _Convolved(convolution.convolve_patches(x, kernel, (1, 1), pads))
    return _Convolved(convolution.convolve_separable(x, kernel, rows))


def _in_groups(x: Array, kernel: Array, layer: Conv) -> Array:
    """Each part of the filters from its part of the channels."""
    parts = x.reshape(layer.groups, -1, *x.shape[1:])
    kernels = kernel.reshape(*kernel.shape[:3], layer.groups, -1)
    pads = layer.pads(x.shape[1:3])
    one = functools.partial(
        convolution.convolve_patches, strides=layer.strides, padding=pads, dilations=layer.dilations
    )
    y = jax.vmap(one, in_axes=(0, 3))(parts, kernels)
    return y.reshape(-1, *y.shape[2:])


def _window_inside(sizes: Sequence[int], pool: MaxPool | None) -> int:
    """The pooling window if windows touch and all lie within a map of this height and width, so that no padding takes
    part. Otherwise 1."""
    if pool is None or not touches(pool):
        return 1
    window = pool.sides[0]
    inside = pool.padding == "valid" or all(size % window == 0 for size in sizes)
    return window if inside else 1
