"""The network of a layer list, as a Flax Linen module, and how its parameters start.

Linen and not NNX: `apply` is a pure function of arrays, as one step function under `jit`, `shard_map`, `vmap` needs.

The parameter tree is named by `layers.layer_names`, for example ``params["conv1"]["kernel"]`` and
``batch_stats["batch_norm1"]["mean"]``. Names, shapes and initial values do not depend on the backend.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network.backends import Backend, LayerWithPooling, NhwcBackend
from fer_jax.network.batch_norm import Rows, factor_and_offset
from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Init,
    Layer,
    MaxPool,
    Shape,
    output_shapes,
)

Variables = dict[str, Any]

# The standard deviation of a standard normal truncated at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_CUT_NORMAL_DEVIATION = 0.87962566103423978


def draw(init: Init, key: Array, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
    """Initial values by `init`; see `layers.Init` for the rules. A bias gets the fans of its layer's kernel."""
    if init.kind == "constant":
        return jnp.full(shape, init.scale)
    size = (math.prod(shape),)  # one axis: XLA takes seconds to compile random numbers of four axes on CPU
    if init.kind == "glorot_uniform":
        limit = math.sqrt(6.0 / (fan_in + fan_out))
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

    stage: LayerWithPooling
    backend: Backend

    def weights(self, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
        """The kernel, (..., in, out), and the bias, (out,) or None."""
        layer = self.stage.layer
        assert isinstance(layer, Conv | Dense)
        area = math.prod(shape[:-2])
        fans = area * shape[-2], area * shape[-1]
        kernel = self.param("kernel", lambda key: draw(layer.kernel_init, key, shape, *fans))
        if not layer.bias:
            return kernel, None
        return kernel, self.param("bias", lambda key: draw(layer.bias_init, key, shape[-1:], *fans))


class ConvLayer(_Weighted):
    """Convolution, with the pooling that the backend has joined to it."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        layer = self.stage.layer
        assert isinstance(layer, Conv)
        kernel, bias = self.weights((layer.kernel, layer.kernel, x.shape[self.backend.channel_axis], layer.filters))
        return self.backend.conv(x, kernel, bias, self.stage)


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

    stage: LayerWithPooling
    backend: Backend
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Array, *, train: bool, weight_B: Array | None) -> Array:
        layer = self.stage.layer
        assert isinstance(layer, BatchNorm)
        channels = x.shape[self.backend.channel_axis]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        if not train:
            factor, offset = factor_and_offset(scale, bias, mean.value, var.value, layer.epsilon)
            return self.backend.normalise(x, factor, offset, self.stage)
        rows = Rows(weight_B, mean.value, self.axis_name)
        y, batch_mean, batch_var = self.backend.normalise_batch(x, scale, bias, rows, self.stage)
        if not self.is_initializing():
            old = layer.momentum
            mean.value = old * mean.value + (1 - old) * lax.stop_gradient(batch_mean)
            var.value = old * var.value + (1 - old) * lax.stop_gradient(batch_var)
        return y


class DropoutLayer(nn.Module):
    """Inverted dropout in training."""

    layer: Dropout
    backend: Backend
    axis_name: str | None
    batch_size: int | None

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        if not train or self.layer.rate == 0:
            return x
        mask = self.mask(x)
        return jnp.where(mask, x / (1 - self.layer.rate), jnp.zeros((), x.dtype))

    def mask(self, x: Array) -> Array:
        """Which units are kept. The mask is drawn for the batch on all devices and each takes its rows, so that masks
        are the same on any number of devices.

        The dropout rate is rounded to 1 / 65,536 (an error below 1e-5). Threefry costs about a hundred operations per
        word of 32 bits, more than the rest of a small layer on CPU, so each word serves two units.
        """
        axis = 0 if self.backend.batch_axis == 0 else 1
        batch = x.shape[self.backend.batch_axis]
        features = x.size // batch
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
        return lax.slice_in_dim(kept, 0, features, axis=1 - axis).reshape(x.shape)


class Sequential(nn.Module):
    """The layers one after the other, up to the logits.

    Attributes:
        axis_name: the axis of a `shard_map` over which the batch is spread, if any. Batch norm then takes its
            statistics over all devices, and dropout masks are those of the whole batch.
        batch_size: rows of the whole batch before it was filled up for the devices. The masks depend on it. By default
            the number of rows given.
    """

    layers: tuple[Layer, ...]
    backend: Backend
    axis_name: str | None = None
    batch_size: int | None = None

    @nn.compact
    def __call__(self, images: Array, *, train: bool, weight_B: Array | None = None) -> Array:
        """Logits, (batch, classes). The loss applies a final softmax or sigmoid (see `output_activation`).

        Args:
            images: (batch, height, width, channels) or (batch, height, width), normalised.
            train: batch norm uses the batch's statistics and updates its averages (collection "batch_stats"), and
                dropout drops (random stream "dropout").
            weight_B: 1 for examples, 0 for rows that only fill up the batch, which batch norm ignores.
        """
        backend = self.backend
        x = backend.arrange(images if images.ndim == 4 else images[..., None])
        for stage in backend.stages(hidden_layers(self.layers)):
            layer, name = stage.layer, stage.name
            if isinstance(layer, Conv):
                x = ConvLayer(stage, backend, name=name)(x)
            elif isinstance(layer, Dense):
                x = DenseLayer(stage, backend, name=name)(x)
            elif isinstance(layer, BatchNorm):
                x = BatchNormLayer(stage, backend, self.axis_name, name=name)(x, train=train, weight_B=weight_B)
            elif isinstance(layer, Dropout):
                x = DropoutLayer(layer, backend, self.axis_name, self.batch_size, name=name)(x, train=train)
            elif isinstance(layer, MaxPool):
                x = backend.max_pool(x, layer)
            elif isinstance(layer, Activation):
                x = backend.activate(x, layer.function)
            elif isinstance(layer, Flatten):
                x = backend.flatten(x)
        return backend.to_logits(x)


OutputActivation = Literal["softmax", "sigmoid", "linear"]


def output_activation(layers: tuple[Layer, ...]) -> OutputActivation:
    """The function from logits to the network's output; "linear" if the list ends without softmax or sigmoid."""
    last = layers[-1] if layers else None
    if isinstance(last, Activation):
        if last.function == "softmax":
            return "softmax"
        if last.function == "sigmoid":
            return "sigmoid"
    return "linear"


def hidden_layers(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers up to the logits."""
    return layers if output_activation(layers) == "linear" else layers[:-1]


def build(
    layers: tuple[Layer, ...], *, backend: Backend, axis_name: str | None = None, batch_size: int | None = None
) -> Sequential:
    """The network of a layer list for one backend."""
    return Sequential(layers=tuple(layers), backend=backend, axis_name=axis_name, batch_size=batch_size)


def init_variables(layers: tuple[Layer, ...], input_shape_hwc: Shape, key: Array) -> Variables:
    """Fresh ``{"params": ..., "batch_stats": ...}`` for images of (height, width, channels); the same on every backend.

    Raises:
        layers.LayerError: a layer cannot take its input.
    """
    output_shapes(tuple(layers), input_shape_hwc)
    network = build(layers, backend=NhwcBackend())
    images = jnp.zeros((1, *input_shape_hwc))
    # Under jit the convolutions never run, because only the parameters are asked for.
    variables = jax.jit(lambda key: network.init(key, images, train=False))(key)
    return {"params": variables.get("params", {}), "batch_stats": variables.get("batch_stats", {})}
