"""How layers are applied on a kind of device. `choose_backend` is the one place that chooses.

A layer (see `modules.py`) knows its parameters, in one canonical form: convolution kernels (height, width, in, out),
dense kernels (in, out). A backend knows how to apply layers: the layout of the maps, and the routines. Parameters
move freely between backends, and all backends compute the same function.
"""

from __future__ import annotations

from typing import Protocol

from jax import Array

from fer_jax.network.batch_norm import Rows
from fer_jax.network.chwn import ChwnBackend
from fer_jax.network.nhwc import NhwcBackend
from fer_jax.network.stages import LayerStage
from fer_jax.vocabulary.custom_layer import own_modules
from fer_jax.vocabulary.layers import Layer, MaxPool


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

    def stages(self, layers: tuple[Layer, ...], prefix: str = "", *, train: bool) -> tuple[LayerStage, ...]:
        """The layers of one list in the order in which they are applied, in training or in evaluation. prefix: of their
        names."""
        ...

    def arrange(self, images_BHWC: Array) -> Array:
        """Images in this backend's layout."""
        ...

    def conv(
        self, x: Array, kernel_HWIO: Array, bias: Array | None, stage: LayerStage, added: Array | None = None
    ) -> Array:
        """The stage's convolution, and its pooling and ReLU if it has them. added: a map, before the ReLU."""
        ...

    def depthwise(self, x: Array, kernel_HWCM: Array, bias: Array | None, stage: LayerStage) -> Array:
        """Each channel by itself with its kernels, and the stage's ReLU if it has one."""
        ...

    def max_pool(self, x: Array, layer: MaxPool) -> Array: ...

    def normalise(self, x: Array, factor: Array, offset: Array, stage: LayerStage) -> Array:
        """factor x + offset per channel, and the stage's pooling if it has one; for evaluation, without a gradient."""
        ...

    def normalise_batch(
        self, x: Array, scale: Array, bias: Array, rows: Rows, stage: LayerStage
    ) -> tuple[Array, Array, Array]:
        """The stage's batch norm in training, and its pooling if it has one; mean and biased variance per channel."""
        ...

    def activate(self, x: Array, function: str) -> Array: ...

    def flatten(self, x: Array) -> Array: ...  # features in the order (height, width, channels)

    def dense(self, x: Array, kernel_IO: Array, bias: Array | None) -> Array: ...

    def to_logits(self, x: Array) -> Array: ...  # (batch, classes)


def choose_backend(device_kind: str, compute_dtype: str = "float32", layers: tuple[Layer, ...] = ()) -> Backend:
    """The backend for a kind of device ('cpu', 'gpu', 'tpu'): `jax.Device.platform`.

    compute_dtype: 'float32' or 'bfloat16', the operand type of convolutions and dense layers. layers: of the network.
    On a CPU the batch is innermost, which is faster for the layers without routines in C++ too: before there were any
    for strides and depthwise convolutions, one update of mini_XCEPTION (batch 32) took 0.41 s of a core against 1.0 s
    with the channels innermost (0.11 s with them), one of a ResNet-18 of a quarter of the width (batch 64, 40 pixels)
    0.61 s against 0.94 s (0.23 s with them). Only a module of the user's own needs the channels innermost everywhere.

    Raises:
        ValueError: another kind, or bfloat16 on a CPU.
    """
    accelerator = NhwcBackend(compute_dtype=compute_dtype)
    backends: dict[str, Backend] = {"cpu": ChwnBackend(), "gpu": accelerator, "tpu": accelerator}
    if device_kind not in backends:
        raise ValueError(f"no backend for devices of kind {device_kind!r}; known: {', '.join(backends)}")
    if device_kind == "cpu" and compute_dtype != "float32":
        raise ValueError(f"the backend for CPUs computes in float32 alone, not in {compute_dtype}")
    return accelerator if own_modules(layers) else backends[device_kind]
