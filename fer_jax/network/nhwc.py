"""The backend for GPUs and TPUs: channels innermost, and XLA's own routines."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array, lax

from fer_jax.network import batch_norm, pooling
from fer_jax.network.activations import ACTIVATIONS
from fer_jax.network.batch_norm import Rows
from fer_jax.network.stages import LayerStage, plain_stages
from fer_jax.vocabulary.layers import BatchNorm, Conv, DepthwiseConv, Layer, MaxPool


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

    def stages(self, layers: tuple[Layer, ...], prefix: str = "", *, train: bool) -> tuple[LayerStage, ...]:
        return plain_stages(layers, prefix)

    def arrange(self, images_BHWC: Array) -> Array:
        return images_BHWC

    def conv(
        self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerStage, added: Array | None = None
    ) -> Array:
        layer = stage.layer
        assert isinstance(layer, Conv)
        y = _plus_bias(self._convolve(x, kernel_HWIO, layer, layer.groups), bias)
        return y if added is None else y + added.astype(y.dtype)

    def _convolve(self, x: Array, kernel_HWIO: Array, layer: Conv | DepthwiseConv, groups: int) -> Array:
        return lax.conv_general_dilated(
            self._to_multiply(x),
            self._to_multiply(kernel_HWIO),
            layer.strides,
            layer.pads(x.shape[1:3]),
            rhs_dilation=layer.dilations,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    def depthwise(self, x: Array, kernel_HWCM: Array, bias: Array | None, stage: LayerStage) -> Array:
        layer = stage.layer
        assert isinstance(layer, DepthwiseConv)
        height, width, channels, multiplier = kernel_HWCM.shape
        kernel = kernel_HWCM.reshape(height, width, 1, channels * multiplier)
        return _plus_bias(self._convolve(x, kernel, layer, channels), bias)

    def _to_multiply(self, x: Array) -> Array:
        return x.astype(jnp.bfloat16) if self.compute_dtype == "bfloat16" else x

    def max_pool(self, x: Array, layer: MaxPool) -> Array:
        return pooling.max_pool_layer(x, layer)

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerStage) -> Array:
        return batch_norm.normalise(x, factor, offset, self.channel_axis)

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerStage
    ) -> tuple[Array, Array, Array]:
        assert isinstance(stage.layer, BatchNorm)
        axes = {"channel_axis": self.channel_axis, "batch_axis": self.batch_axis}
        return batch_norm.normalise_batch(x, scale, bias, stage.layer.epsilon, rows, **axes)

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


def _plus_bias(y: Array, bias: Array | None) -> Array:
    """A map, (batch, height, width, filters), with a bias per filter.

    It is added in float32 also to a bfloat16 map, so that its gradient, a sum over all places, is float32 too.
    """
    if bias is None:
        return y
    return (y.astype(jnp.promote_types(y.dtype, jnp.float32)) + bias).astype(y.dtype)
