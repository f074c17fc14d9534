"""The parameters of each layer as a Flax Linen module, and how they start. A backend applies them.

Linen and not NNX: `apply` is a pure function of arrays, as one step function under `jit`, `shard_map`, `vmap` needs.
"""

from __future__ import annotations

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network.backends import Backend, LayerStage
from fer_jax.network.batch_norm import Rows, along, factor_and_offset
from fer_jax.vocabulary.layers import (
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    GroupNorm,
    Init,
    LayerNorm,
    PRelu,
    SpatialDropout,
    StochasticDepth,
)

# The standard deviation of a standard normal truncated at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_CUT_NORMAL_DEVIATION = 0.87962566103423978


def draw(init: Init, key: Array, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
    """Initial values by `init`; see `layers.Init` for the rules. A bias gets the fans of its layer's kernel."""
    if init.kind == "constant":
        return jnp.full(shape, init.scale)
    size = (math.prod(shape),)  # one axis: XLA takes seconds to compile random numbers of four axes on CPU
    if init.kind in ("glorot_uniform", "fan_in_uniform"):
        glorot = init.kind == "glorot_uniform"
        limit = math.sqrt(6.0 / (fan_in + fan_out)) if glorot else init.scale / math.sqrt(fan_in)
        values = jax.random.uniform(key, size, minval=-limit, maxval=limit)
    elif init.kind == "he_normal":
        # As in Keras, the normal is widened so that the deviation after truncation is the rule's.
        deviation = math.sqrt(2.0 / fan_in) / _CUT_NORMAL_DEVIATION
        values = deviation * jax.random.truncated_normal(key, -2.0, 2.0, size)
    elif init.kind == "truncated_normal":
        values = init.scale * jax.random.truncated_normal(key, -2.0, 2.0, size)
    else:
        deviations = {
            "normal": init.scale,
            "fan_in_normal": init.scale / math.sqrt(fan_in),
            "pooled_fan_normal": init.scale / math.sqrt(fan_in + fan_out / init.pool_area),
        }
        values = deviations[init.kind] * jax.random.normal(key, size)
    return values.reshape(shape)


class _Weighted(nn.Module):
    """A layer with a kernel and perhaps a bias."""

    stage: LayerStage
    backend: Backend

    def weights(self, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
        """The kernel, (..., in, out), and the bias, one per output, or None."""
        layer = self.stage.layer
        assert isinstance(layer, Conv | DepthwiseConv | Dense)
        area = math.prod(shape[:-2])
        fans = area * shape[-2], area * shape[-1]
        kernel = self.param("kernel", lambda key: draw(layer.kernel_init, key, shape, *fans))
        if not layer.bias:
            return kernel, None
        outputs = shape[-1] * shape[-2] if isinstance(layer, DepthwiseConv) else shape[-1]
        return kernel, self.param("bias", lambda key: draw(layer.bias_init, key, (outputs,), *fans))


class ConvLayer(_Weighted):
    """Convolution, with what the backend has joined to it.

    norm: factor and offset, (filters,), of a batch norm that is joined. added: a map that is added to the outcome.
    """

    @nn.compact
    def __call__(self, x: Array, norm: tuple[Array, Array] | None = None, added: Array | None = None) -> Array:
        layer = self.stage.layer
        assert isinstance(layer, Conv)
        kernel, bias = self.weights(layer.kernel_shape(x.shape[self.backend.channel_axis]))
        return self.backend.conv(x, *_normalised(kernel, bias, norm, kernel.shape[3:]), self.stage, added)


class DepthwiseConvLayer(_Weighted):
    """Convolution of each channel by itself, with what the backend has joined to it; norm as in `ConvLayer`."""

    @nn.compact
    def __call__(self, x: Array, norm: tuple[Array, Array] | None = None) -> Array:
        layer = self.stage.layer
        assert isinstance(layer, DepthwiseConv)
        kernel, bias = self.weights(layer.kernel_shape(x.shape[self.backend.channel_axis]))
        return self.backend.depthwise(x, *_normalised(kernel, bias, norm, kernel.shape[2:]), self.stage)


def _normalised(
    kernel: Array, bias: Array | None, norm: tuple[Array, Array] | None, outputs: tuple[int, ...]
) -> tuple[Array, Array | None]:
    """Kernel and bias of a convolution and its batch norm, factor (K x + bias) + offset. outputs: the last axes of the
    kernel, of which each element has its own factor."""
    if norm is None:
        return kernel, bias
    factor, offset = norm
    return kernel * factor.reshape(outputs), offset if bias is None else bias * factor + offset


class DenseLayer(_Weighted):
    """Fully connected layer."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        layer = self.stage.layer
        assert isinstance(layer, Dense)
        kernel, bias = self.weights((x.shape[self.backend.channel_axis], layer.units))
        return self.backend.dense(x, kernel, bias)


class BatchNormLayer(nn.Module):
    """Normalisation per channel of a map or per feature, over the whole batch on all devices. Includes the pooling that
    the backend has joined to it."""

    stage: LayerStage
    backend: Backend
    axis_name: str | None

    @nn.compact
    def _values(self, channels: int) -> tuple[Array, Array, nn.Variable, nn.Variable]:
        """Scale, bias, and the running mean and variance, each (channels,)."""
        layer = self.stage.layer
        assert isinstance(layer, BatchNorm)
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        scale = self.param("scale", ones, (channels,)) if layer.scale else jnp.ones(channels)
        bias = self.param("bias", zeros, (channels,)) if layer.center else jnp.zeros(channels)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        return scale, bias, mean, var

    def factor_and_offset(self, channels: int) -> tuple[Array, Array]:
        """What evaluation multiplies each channel by, and adds to it; (channels,) each."""
        assert isinstance(self.stage.layer, BatchNorm)
        scale, bias, mean, var = self._values(channels)
        return factor_and_offset(scale, bias, mean.value, var.value, self.stage.layer.epsilon)

    def __call__(self, x: Array, *, train: bool, weight_B: Array | None) -> Array:
        layer, channels = self.stage.layer, x.shape[self.backend.channel_axis]
        assert isinstance(layer, BatchNorm)
        if not train:
            return self.backend.normalise(x, *self.factor_and_offset(channels), self.stage)
        scale, bias, mean, var = self._values(channels)
        rows = Rows(weight_B, mean.value, self.axis_name)
        y, batch_mean, batch_var = self.backend.normalise_batch(x, scale, bias, rows, self.stage)
        if not self.is_initializing():
            old = layer.momentum
            mean.value = old * mean.value + (1 - old) * lax.stop_gradient(batch_mean)
            var.value = old * var.value + (1 - old) * lax.stop_gradient(batch_var)
        return y


class PerImageNorm(nn.Module):
    """Normalisation of each image by itself, with a factor and an offset per channel; the same in training."""

    layer: LayerNorm | GroupNorm
    backend: Backend

    @nn.compact
    def __call__(self, x: Array) -> Array:
        axis = self.backend.channel_axis % x.ndim
        channels = x.shape[axis]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if isinstance(self.layer, GroupNorm):
            groups = self.layer.groups
            wide = wide.reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
            batch = self.backend.batch_axis % wide.ndim
            over = [i for i in range(wide.ndim) if i not in (batch, axis)]
        else:
            over = [axis]
        centred = wide - wide.mean(over, keepdims=True)
        normal = centred * lax.rsqrt(jnp.square(centred).mean(over, keepdims=True) + self.layer.epsilon)
        return (normal.reshape(x.shape) * along(x, scale, axis) + along(x, bias, axis)).astype(x.dtype)


class PReluLayer(nn.Module):
    """x above zero, a trained slope per channel times x below."""

    layer: PRelu
    backend: Backend

    @nn.compact
    def __call__(self, x: Array) -> Array:
        axis = self.backend.channel_axis
        slope = self.param("slope", nn.initializers.constant(self.layer.start), (x.shape[axis],))
        return jnp.where(x > 0, x, (along(x, slope, axis) * x).astype(x.dtype))


class DropoutLayer(nn.Module):
    """Inverted dropout in training: of single values, of the channels of a map, or of all that belongs to an image."""

    layer: Dropout | SpatialDropout | StochasticDepth
    backend: Backend
    axis_name: str | None
    batch_size: int | None
    each: Literal["value", "channel", "image"] = "value"

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        if not train or self.layer.rate == 0:
            return x
        mask = self.mask(x)
        return jnp.where(mask, x / (1 - self.layer.rate), jnp.zeros((), x.dtype))

    def mask(self, x: Array) -> Array:
        """Which units are kept, in a shape that broadcasts to `x`. The mask is drawn for the batch on all devices and
        each takes its rows, so that masks are the same on any number of devices.

        The dropout rate is rounded to 1 / 65,536 (an error below 1e-5). Threefry costs about a hundred operations per
        word of 32 bits, more than the rest of a small layer on CPU, so each word serves two units.
        """
        axis = 0 if self.backend.batch_axis == 0 else 1
        batch = x.shape[self.backend.batch_axis]
        units = x.shape
        if self.each != "value":
            axes = {self.backend.batch_axis % x.ndim}
            axes |= {self.backend.channel_axis % x.ndim} if self.each == "channel" else set()
            units = tuple(size if i in axes else 1 for i, size in enumerate(x.shape))
        features = math.prod(units) // batch
        shape = [-(-features // 2)] * 2
        shape[axis] = self.batch_size or (batch if self.axis_name is None else batch * lax.axis_size(self.axis_name))
        # Always two axes: XLA takes seconds to compile random bits of four axes on CPU.
        words = jax.random.bits(self.make_rng("dropout"), tuple(shape), jnp.uint32)
        if self.axis_name is not None:
            # Rows that only fill the batch up to a multiple of the devices come last, and have no mask.
            missing = batch * lax.axis_size(self.axis_name) - shape[axis]
            words = jnp.pad(words, [(0, missing if i == axis else 0) for i in range(2)])
            words = lax.dynamic_slice_in_dim(words, lax.axis_index(self.axis_name) * batch, batch, axis)
        halves = jnp.concatenate([words & 0xFFFF, words >> 16], 1 - axis)
        kept = halves >= round(self.layer.rate * 65536)
        return lax.slice_in_dim(kept, 0, features, axis=1 - axis).reshape(units)
