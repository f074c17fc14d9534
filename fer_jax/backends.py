"""How layers are applied on a kind of device. `choose_backend` is the one place that chooses.

A layer (see `model.py`) knows its parameters, in one canonical form: convolution kernels (height, width, in, out),
dense kernels (in, out). A backend knows how to apply them: the layout of the maps, and by which routines. Parameters
move freely between backends, and both compute the same function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax import convolution, pooling, winograd
from fer_jax.layers import Activation, Conv, Layer, MaxPool, layer_names, pool_stride, same_padding

Pair = tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """One layer of the list under its name, together with the pooling that a backend applies in the same go."""

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

    def stages(self, layers: tuple[Layer, ...]) -> tuple[Stage, ...]:
        """The layers in the order in which they are applied."""
        ...

    def arrange(self, images_BHWC: Array) -> Array:
        """Images in this backend's layout."""
        ...

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: Stage) -> Array:
        """The stage's convolution, and its pooling if it has one."""
        ...

    def max_pool(self, x: Array, layer: MaxPool) -> Array: ...

    def activate(self, x: Array, function: str) -> Array: ...

    def flatten(self, x: Array) -> Array:
        """Features in the order (height, width, channels)."""
        ...

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array: ...

    def to_logits(self, x: Array) -> Array:
        """(batch, classes)."""
        ...


def along(x: Array, vector: Array, axis: int) -> Array:
    """`vector` shaped so that it broadcasts along one axis of `x`."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return vector.reshape(shape)


def paddings(x: Array, window: int, stride: int, padding: str) -> tuple[Pair, Pair]:
    """Before and after the height and the width, which are axes 1 and 2 in both layouts."""
    if padding == "valid":
        return (0, 0), (0, 0)
    return same_padding(x.shape[1], window, stride), same_padding(x.shape[2], window, stride)


def _max_pool(x: Array, layer: MaxPool) -> Array:
    stride = pool_stride(layer)
    return pooling.max_pool(x, layer.window, stride, paddings(x, layer.window, stride, layer.padding))


@dataclass(frozen=True)
class NhwcBackend:
    """Channels innermost and XLA's own convolutions, as cuDNN likes it."""

    name: str = "nhwc"
    batch_axis: int = 0
    channel_axis: int = -1

    @property
    def compiler_options(self) -> dict[str, str]:
        return {}

    def stages(self, layers: tuple[Layer, ...]) -> tuple[Stage, ...]:
        return tuple(Stage(name, layer) for name, layer in zip(layer_names(layers), layers, strict=True))

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: Stage) -> Array:
        layer = stage.layer
        assert isinstance(layer, Conv)
        pads = paddings(x, layer.kernel, layer.stride, layer.padding)
        y = lax.conv_general_dilated(
            x, kernel_HWIO, (layer.stride, layer.stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y if bias is None else y + bias

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        return _max_pool(x, layer)

    def activate(self, x: Array, function: str) -> Array:
        return ACTIVATIONS[function](x)

    def flatten(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1)

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array:
        y = x @ kernel_IO
        return y if bias is None else y + bias

    def to_logits(self, x: Array) -> Array:
        return x


# Up to this many channels a k x k patch is written out; above, gathering along the width alone is faster.
_FEW_CHANNELS = 1
# From this many channels on, both in and out, Winograd's 3 x 3 convolution wins back what its transforms cost.
_MANY_CHANNELS = 64
# `convolve_and_pool` multiplies by zeros, ((k + s - 1) / k)^2 times as much as needed for windows of s.
_JOINED_WINDOW = 3


@dataclass(frozen=True)
class ChwnBackend:
    """The batch innermost, with the routines of `convolution.py`: fast on CPU."""

    name: str = "chwn"
    batch_axis: int = -1
    channel_axis: int = 0

    @property
    def compiler_options(self) -> dict[str, str]:
        return convolution.supported_compiler_options()

    def stages(self, layers: tuple[Layer, ...]) -> tuple[Stage, ...]:
        return _pools_joined(_pools_first(NhwcBackend().stages(layers)))

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC.transpose(3, 1, 2, 0)

    def conv(self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: Stage) -> Array:
        layer, pool = stage.layer, stage.pool
        assert isinstance(layer, Conv)
        rows, columns = paddings(x, layer.kernel, layer.stride, layer.padding)
        few_channels = x.shape[0] <= _FEW_CHANNELS
        if pool is not None and few_channels and pool.window <= _JOINED_WINDOW:
            y = convolution.convolve_and_pool(x, kernel_HWIO, rows, pool.window)
            pool = None
        elif few_channels or layer.stride > 1:
            y = convolution.convolve_patches(x, kernel_HWIO, layer.stride, (rows, columns))
        elif layer.kernel == 3 and min(x.shape[0], layer.filters) >= _MANY_CHANNELS:
            y = winograd.convolve_winograd(x, kernel_HWIO, rows)
        else:
            y = convolution.convolve_separable(x, kernel_HWIO, rows)
        if pool is not None:
            y = _max_pool(y, pool)
        # The maximum of values plus a bias is their maximum plus the bias: fewer sums behind the pooling.
        return y if bias is None else y + along(y, bias, 0)

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        return _max_pool(x, layer)

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


ACTIVATIONS = {"relu": jax.nn.relu, "elu": jax.nn.elu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


def _pools_first(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Each activation that stands right before a pooling moved behind it.

    All our activations rise monotonically, so the maximum of f(x) is f of the maximum of x, and where f is flat its
    gradient is zero, so that nothing depends on which of equals is the first. The activation runs on a quarter of the
    values then (for 2 x 2 windows).
    """
    ordered = list(stages)
    for place in range(len(ordered) - 1):
        if isinstance(ordered[place].layer, Activation) and isinstance(ordered[place + 1].layer, MaxPool):
            ordered[place], ordered[place + 1] = ordered[place + 1], ordered[place]
    return tuple(ordered)


def _pools_joined(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Each pooling that directly follows a convolution applied in the same stage, where the windows tile the map."""
    joined: list[Stage] = []
    for stage in stages:
        before = joined[-1] if joined else None
        pool = stage.layer
        if (
            isinstance(pool, MaxPool)
            and pool.padding == "valid"
            and pool_stride(pool) == pool.window
            and before is not None
            and isinstance(before.layer, Conv)
            and before.layer.stride == 1
            and before.pool is None
        ):
            joined[-1] = replace(before, pool=pool)
        else:
            joined.append(stage)
    return tuple(joined)


def choose_backend(device_kind: str) -> Backend:
    """The backend for a kind of device ('cpu', 'gpu', 'tpu'): `jax.Device.platform`.

    Raises:
        ValueError: another kind.
    """
    backends: dict[str, Backend] = {"cpu": ChwnBackend(), "gpu": NhwcBackend(), "tpu": NhwcBackend()}
    if device_kind not in backends:
        raise ValueError(f"no backend for devices of kind {device_kind!r}; known: {', '.join(backends)}")
    return backends[device_kind]
