"""How layers are applied on a kind of device. `choose_backend` is the one place that chooses.

A layer (see `model.py`) knows its parameters, in one canonical form: convolution kernels (height, width, in, out),
dense kernels (in, out). A backend knows how to apply layers: the layout of the maps, and the routines. Parameters
move freely between backends, and all backends compute the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network import batch_norm, convolution, pooling, winograd
from fer_jax.network.batch_norm import Rows, along
from fer_jax.network.native import batch_norm as native_batch_norm
from fer_jax.network.native import calls
from fer_jax.network.native import convolution as native_convolution
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Layer,
    MaxPool,
    layer_names,
    pool_stride,
    same_padding,
    window_out,
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class LayerWithPooling:
    """One layer of the list under its name, together with the pooling that a backend applies in the same step."""

    name: str
    layer: Layer
    pool: MaxPool | None = None


class Backend(Protocol):
    """Layouts and routines. Maps have four axes, features two; `batch_axis` and `channel_axis` hold for both."""

    @property
    def name(self) -> str: ...

    @property
    def batch_axis(self) -> int: ...

    @property
    def channel_axis(self) -> int: ...

    @property
    def compiler_options(self) -> dict[str, str]:
        """For the caller's `jax.jit(..., compiler_options=...)`; speed only."""
        ...

    def kernels(self) -> str: ...  # what computes convolutions and batch norm

    def stages(self, layers: tuple[Layer, ...]) -> tuple[LayerWithPooling, ...]:
        """The layers in the order in which they are applied."""
        ...

    def arrange(self, images_BHWC: Array) -> Array:
        """Images in this backend's layout."""
        ...

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerWithPooling) -> Array:
        """The stage's convolution, and its pooling if it has one."""
        ...

    def max_pool(self, x: Array, layer: MaxPool) -> Array: ...

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerWithPooling) -> Array:
        """factor x + offset per channel, and the stage's pooling if it has one; for evaluation, without a gradient."""
        ...

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerWithPooling
    ) -> tuple[Array, Array, Array]:
        """The stage's batch norm in training, and its pooling if it has one; mean and biased variance per channel."""
        ...

    def activate(self, x: Array, function: str) -> Array: ...

    def flatten(self, x: Array) -> Array: ...  # features in the order (height, width, channels)

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array: ...

    def to_logits(self, x: Array) -> Array: ...  # (batch, classes)


def paddings(x: Array, window: int, stride: int, padding: str) -> tuple[Pair, Pair]:
    """Before and after the height and the width, which are axes 1 and 2 in both layouts."""
    if padding == "valid":
        return (0, 0), (0, 0)
    return same_padding(x.shape[1], window, stride), same_padding(x.shape[2], window, stride)


def _max_pool(x: Array, layer: MaxPool) -> Array:
    stride = pool_stride(layer)
    return pooling.max_pool(x, layer.window, stride, paddings(x, layer.window, stride, layer.padding))


def _pooled(x: Array, pool: MaxPool | None, window: int) -> Array:
    """Pooled, unless the map was already pooled with a window larger than 1."""
    return x if pool is None or window == pool.window else _max_pool(x, pool)


def _normalise_batch(
    backend: Backend, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerWithPooling
) -> tuple[Array, Array, Array]:
    assert isinstance(stage.layer, BatchNorm)
    axes = {"channel_axis": backend.channel_axis, "batch_axis": backend.batch_axis}
    return batch_norm.normalise_batch(x, scale, bias, stage.layer.epsilon, rows, **axes)


@dataclass(frozen=True)
class NhwcBackend:
    """Channels innermost and XLA's own convolutions, the layout that suits cuDNN.

    compute_dtype: the operand type of convolutions and dense layers. With "bfloat16" maps keep that type from the first
    convolution to the first dense layer. The sums of that layer, and all that follows, are float32 again.
    """

    compute_dtype: str = "float32"
    name: str = "nhwc"
    batch_axis: int = 0
    channel_axis: int = -1

    @property
    def compiler_options(self) -> dict[str, str]:
        return {}

    def kernels(self) -> str:
        return "XLA"

    def stages(self, layers: tuple[Layer, ...]) -> tuple[LayerWithPooling, ...]:
        return tuple(LayerWithPooling(name, layer) for name, layer in zip(layer_names(layers), layers, strict=True))

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerWithPooling) -> Array:
        layer = stage.layer
        assert isinstance(layer, Conv)
        pads = paddings(x, layer.kernel, layer.stride, layer.padding)
        x, kernel_HWIO = self._to_multiply(x), self._to_multiply(kernel_HWIO)
        y = lax.conv_general_dilated(
            x, kernel_HWIO, (layer.stride, layer.stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        if bias is None:
            return y
        # Added in float32 also to a bfloat16 map, so that the bias' gradient, a sum over all places, is float32 too.
        return (y.astype(jnp.promote_types(y.dtype, jnp.float32)) + bias).astype(y.dtype)

    def _to_multiply(self, x: Array) -> Array:
        return x.astype(jnp.bfloat16) if self.compute_dtype == "bfloat16" else x

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        return _max_pool(x, layer)

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerWithPooling) -> Array:
        return batch_norm.normalise(x, factor, offset, self.channel_axis)

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerWithPooling
    ) -> tuple[Array, Array, Array]:
        return _normalise_batch(self, x, scale, bias, rows, stage)

    def activate(self, x: Array, function: str) -> Array:
        return ACTIVATIONS[function](x)

    def flatten(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1)

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array:
        if self.compute_dtype == "bfloat16":
            y = jnp.matmul(self._to_multiply(x), self._to_multiply(kernel_IO), preferred_element_type=jnp.float32)
        else:
            y = x @ kernel_IO
        return y if bias is None else y + bias

    def to_logits(self, x: Array) -> Array:
        return x.astype(jnp.float32) if self.compute_dtype == "bfloat16" else x


# Up to this many channels a k x k patch is written out; with more, gathering along the width alone is faster.
_FEW_CHANNELS = 1
# From this many channels on, both in and out, Winograd's 3 x 3 convolution wins back what its transforms cost.
_MANY_CHANNELS = 64
# `convolve_and_pool` multiplies by zeros, ((k + s - 1) / k)^2 times as much as needed for windows of s.
_JOINED_WINDOW = 3


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

    def stages(self, layers: tuple[Layer, ...]) -> tuple[LayerWithPooling, ...]:
        return _pools_joined(_pools_first(NhwcBackend().stages(layers)))

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC.transpose(3, 1, 2, 0)

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerWithPooling) -> Array:
        layer, pool = stage.layer, stage.pool
        assert isinstance(layer, Conv)
        y, pooled = _convolve(x, kernel_HWIO, layer, pool)
        if pool is not None and not pooled:
            y = _max_pool(y, pool)
        # The maximum of values plus a bias is their maximum plus the bias, so adding it after pooling costs less.
        return y if bias is None else y + along(y, bias, 0)

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        return _max_pool(x, layer)

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerWithPooling) -> Array:
        window = _window_inside(x.shape[1:3], stage.pool)
        if native_batch_norm.suits(x, window):
            y = native_batch_norm.normalise(x, factor, offset, window)
        else:
            y, window = batch_norm.normalise(x, factor, offset, self.channel_axis), 1
        return _pooled(y, stage.pool, window)

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerWithPooling
    ) -> tuple[Array, Array, Array]:
        window = _window_inside(x.shape[1:3], stage.pool)
        if native_batch_norm.suits(x, window):
            assert isinstance(stage.layer, BatchNorm)
            y, mean, var = native_batch_norm.normalise_batch(x, scale, bias, stage.layer.epsilon, rows, window)
        else:
            (y, mean, var), window = _normalise_batch(self, x, scale, bias, rows, stage), 1
        return _pooled(y, stage.pool, window), mean, var

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


def _convolve(x: Array, kernel: Array, layer: Conv, pool: MaxPool | None) -> tuple[Array, bool]:
    """Convolve a CHWN map by the routine that suits it. Also returns whether the pooling is already done."""
    rows, columns = paddings(x, layer.kernel, layer.stride, layer.padding)
    window = _window_inside([window_out(size, layer.kernel, 1, layer.padding) for size in x.shape[1:3]], pool)
    few_channels = x.shape[0] <= _FEW_CHANNELS
    if layer.stride > 1:
        return convolution.convolve_patches(x, kernel, layer.stride, (rows, columns)), False
    if native_convolution.suits(x, kernel, rows, window):
        return native_convolution.convolve(x, kernel, rows, window), window > 1
    if layer.kernel == 3 and min(x.shape[0], layer.filters) >= _MANY_CHANNELS:
        return winograd.convolve_winograd(x, kernel, rows), False
    if few_channels and 1 < window <= _JOINED_WINDOW:
        return convolution.convolve_and_pool(x, kernel, rows, window), True
    if few_channels:
        return convolution.convolve_patches(x, kernel, 1, (rows, columns)), False
    return convolution.convolve_separable(x, kernel, rows), False


def _window_inside(sizes: Sequence[int], pool: MaxPool | None) -> int:
    """The pooling window if all windows lie within a map of this height and width, so that no padding takes part.
    Otherwise 1."""
    if pool is None:
        return 1
    inside = pool.padding == "valid" or all(size % pool.window == 0 for size in sizes)
    return pool.window if inside else 1


ACTIVATIONS = {"relu": jax.nn.relu, "elu": jax.nn.elu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


def _pools_first(stages: tuple[LayerWithPooling, ...]) -> tuple[LayerWithPooling, ...]:
    """Move each activation that comes right before a pooling behind that pooling.

    All our activations rise monotonically, so the maximum of f(x) is f of the maximum of x. Where f is flat its
    gradient is zero, so it does not matter which of equal values comes first. The activation then runs on a quarter of
    the values (for 2 x 2 windows).
    """
    ordered = list(stages)
    for place in range(len(ordered) - 1):
        if isinstance(ordered[place].layer, Activation) and isinstance(ordered[place + 1].layer, MaxPool):
            ordered[place], ordered[place + 1] = ordered[place + 1], ordered[place]
    return tuple(ordered)


def _pools_joined(stages: tuple[LayerWithPooling, ...]) -> tuple[LayerWithPooling, ...]:
    """Join each pooling to the convolution or batch norm right before it, if its windows touch but do not overlap."""
    joined: list[LayerWithPooling] = []
    for stage in stages:
        pool = stage.layer
        if isinstance(pool, MaxPool) and pool_stride(pool) == pool.window and joined and _takes_pool(joined[-1]):
            joined[-1] = replace(joined[-1], pool=pool)
        else:
            joined.append(stage)
    return tuple(joined)


def _takes_pool(stage: LayerWithPooling) -> bool:
    layer = stage.layer
    if stage.pool is not None:
        return False
    return isinstance(layer, BatchNorm) or (isinstance(layer, Conv) and layer.stride == 1)


def choose_backend(device_kind: str, compute_dtype: str = "float32") -> Backend:
    """The backend for a kind of device ('cpu', 'gpu', 'tpu'): `jax.Device.platform`.

    compute_dtype: 'float32' or 'bfloat16', the operand type of convolutions and dense layers.

    Raises:
        ValueError: another kind, or bfloat16 on a CPU.
    """
    accelerator = NhwcBackend(compute_dtype=compute_dtype)
    backends: dict[str, Backend] = {"cpu": ChwnBackend(), "gpu": accelerator, "tpu": accelerator}
    if device_kind not in backends:
        raise ValueError(f"no backend for devices of kind {device_kind!r}; known: {', '.join(backends)}")
    if device_kind == "cpu" and compute_dtype != "float32":
        raise ValueError(f"the backend for CPUs computes in float32 alone, not in {compute_dtype}")
    return backends[device_kind]
