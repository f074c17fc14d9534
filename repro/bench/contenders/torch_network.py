"""A layer list as a PyTorch module that takes this suite's weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    pool_stride,
    same_padding,
)
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss
from repro.bench.contenders.stages import PROBABILITY_CLIP, NamedLayer, hidden_stages


class BiasedBatchNorm(nn.Module):
    """Batch norm whose running variance follows the biased variance of the batch, as in Keras and Flax.

    PyTorch follows the unbiased variance, larger by n / (n - 1). If the start value is scaled by this factor too, so is
    every later value. So the factor is applied at the start and removed on use, and a step needs no extra work.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: BatchNorm, channels: int, values: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.epsilon = layer.epsilon
        self.share_of_batch = 1 - layer.momentum  # what PyTorch calls momentum
        self.unbiased = values / (values - 1)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if not self.training:
            var = var / self.unbiased
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.share_of_batch, self.epsilon)


class FlattenChannelsInnermost(nn.Module):
    """(B, C, H, W) to (B, H * W * C): free if the memory is already in that order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _padding(layer: Conv | MaxPool, stage: NamedLayer, stride: int, window: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    if layer.padding == "valid":
        return 0, 0, 0, 0
    height, width, _ = stage.before
    return *same_padding(width, window, stride), *same_padding(height, window, stride)


def _conv(stage: NamedLayer, layer: Conv) -> nn.Module:
    left, right, top, bottom = _padding(layer, stage, layer.stride, layer.kernel)
    even = left == right and top == bottom
    conv = nn.Conv2d(
        stage.before[-1],
        layer.filters,
        layer.kernel,
        layer.stride,
        padding=(top, left) if even else 0,
        bias=layer.bias,
    )
    return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)


def _max_pool(stage: NamedLayer, layer: MaxPool) -> nn.Module:
    stride = pool_stride(layer)
    pads = _padding(layer, stage, stride, layer.window)
    pool = nn.MaxPool2d(layer.window, stride)
    return nn.Sequential(nn.ConstantPad2d(pads, -math.inf), pool) if any(pads) else pool


# In place if the backward pass needs only the result.
_ACTIVATIONS = {
    "relu": lambda: nn.ReLU(inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def _module(stage: NamedLayer, batch_size: int, channels_last: bool) -> nn.Module:
    layer = stage.layer
    if isinstance(layer, Conv):
        return _conv(stage, layer)
    if isinstance(layer, MaxPool):
        return _max_pool(stage, layer)
    if isinstance(layer, Dense):
        return nn.Linear(stage.before[0], layer.units, bias=layer.bias)
    if isinstance(layer, BatchNorm):
        return BiasedBatchNorm(layer, stage.before[-1], batch_size * math.prod(stage.before[:-1]))
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, Flatten):
        return FlattenChannelsInnermost() if channels_last else nn.Flatten()
    assert isinstance(layer, Activation)
    return _ACTIVATIONS[layer.function]()


class TorchNetwork(nn.Module):
    """Logits (B, classes) of images (B, 1, H, W).

    channels_last: maps lie in memory as (B, H, W, C). Maps are flattened in memory order. If that is (C, H, W), the
        weights of the next layer are permuted once on loading, instead of the map in every step.
    """

    def __init__(self, network: Network, *, channels_last: bool) -> None:
        super().__init__()
        self.stages = hidden_stages(network)
        self.channels_last = channels_last
        size = network.training.batch_size
        self.layers = nn.ModuleDict({stage.name: _module(stage, size, channels_last) for stage in self.stages})
        if channels_last:
            self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        for module in self.layers.values():
            x = module(x)
        return x

    def places(self) -> list[tuple[Tensor, tuple[str, str, str], TensorLayout]]:
        """Every tensor, the place of its values in the variables, and the mapping between their axes."""
        found = []
        order: np.ndarray | None = None  # of features: maps each place in (C, H, W) order to its place in (H, W, C)
        for stage in self.stages:
            layer, module = stage.layer, self.layers[stage.name]
            if isinstance(layer, Flatten) and not self.channels_last:
                order = np.arange(stage.after[0]).reshape(stage.before).transpose(2, 0, 1).reshape(-1)
            elif isinstance(layer, Conv):
                conv = next(m for m in module.modules() if isinstance(m, nn.Conv2d))
                found.append((conv.weight, ("params", stage.name, "kernel"), TensorLayout(axes=(3, 2, 0, 1))))
                if conv.bias is not None:
                    found.append((conv.bias, ("params", stage.name, "bias"), TensorLayout()))
            elif isinstance(module, nn.Linear):
                found.append((module.weight, ("params", stage.name, "kernel"), TensorLayout(axes=(1, 0), order=order)))
                if module.bias is not None:
                    found.append((module.bias, ("params", stage.name, "bias"), TensorLayout()))
                order = None
            elif isinstance(module, BiasedBatchNorm):
                place = TensorLayout(order=order)
                larger = TensorLayout(order=order, factor=module.unbiased)
                found.append((module.weight, ("params", stage.name, "scale"), place))
                found.append((module.bias, ("params", stage.name, "bias"), place))
                found.append((module.running_mean, ("batch_stats", stage.name, "mean"), place))
                found.append((module.running_var, ("batch_stats", stage.name, "var"), larger))
        return found

    @torch.no_grad()
    def load(self, variables: dict[str, Any]) -> None:
        """Copy the values of `Workload.variables` into the existing tensors, so that compiled code stays valid."""
        for tensor, (kind, name, part), place in self.places():
            tensor.copy_(torch.from_numpy(place.to_torch(np.asarray(variables[kind][name][part], np.float32))))

    def variables(self) -> dict[str, Any]:
        """The current values, in the form of `Workload.variables`."""
        tree: dict[str, Any] = {"params": {}, "batch_stats": {}}
        for tensor, (kind, name, part), place in self.places():
            tree[kind].setdefault(name, {})[part] = place.from_torch(tensor.detach().cpu().numpy())
        return tree


class TensorLayout:
    """How an array of this suite becomes a tensor: axes permuted, then its last axis reordered, then multiplied."""

    def __init__(
        self, axes: tuple[int, ...] | None = None, order: np.ndarray | None = None, factor: float = 1.0
    ) -> None:
        self.axes, self.order, self.factor = axes, order, factor

    def to_torch(self, values: np.ndarray) -> np.ndarray:
        if self.axes is not None:
            values = values.transpose(self.axes)
        if self.order is not None:
            values = values[..., self.order]
        return np.array(values * np.float32(self.factor), order="C")

    def from_torch(self, values: np.ndarray) -> np.ndarray:
        values = values / np.float32(self.factor)
        if self.order is not None:
            values = values[..., np.argsort(self.order)]
        return values if self.axes is None else values.transpose(np.argsort(self.axes))


def probabilities(logits_BK: Tensor, output: str) -> Tensor:
    """Class weights that sum to one."""
    if output == "sigmoid":
        p = torch.sigmoid(logits_BK)
        return p / p.sum(-1, keepdim=True)
    return torch.softmax(logits_BK, -1)


def mean_loss(loss: Loss, logits_BK: Tensor, labels_B: Tensor, output: str) -> Tensor:
    """The loss of a batch without L2, which the optimizer adds. See `settings.Loss` for the formulas."""
    if loss.kind == "mean_squared_error":
        outputs = torch.sigmoid(logits_BK) if output == "sigmoid" else torch.softmax(logits_BK, -1)
        return F.mse_loss(outputs, F.one_hot(labels_B, logits_BK.shape[-1]).to(outputs.dtype))
    if output == "sigmoid":
        p = probabilities(logits_BK, output).clamp(PROBABILITY_CLIP, 1 - PROBABILITY_CLIP)
        return F.nll_loss(p.log(), labels_B)
    return F.cross_entropy(logits_BK, labels_B)
