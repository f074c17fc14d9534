"""Modules that PyTorch does not have, or that differ from this suite's in PyTorch."""

from __future__ import annotations

from typing import Any

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary.layers import BatchNorm, RepeatChannels
from repro.bench.contenders.stages import NamedLayer


class MeanOfPixels(nn.Module):
    """Means over windows that are padded unevenly; `factor` leaves the padding out of each."""

    factor: Tensor

    def __init__(self, stage: NamedLayer, pads: tuple[int, int, int, int]) -> None:
        super().__init__()
        layer: Any = stage.layer
        self.pads, self.window, self.stride = pads, layer.sides, layer.strides
        inside = F.pad(torch.ones(1, 1, *stage.before[:2]), self.pads)
        self.register_buffer("factor", 1 / F.avg_pool2d(inside, self.window, self.stride))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, self.pads), self.window, self.stride) * self.factor


class GlobalMean(nn.Module):
    """(B, C, H, W) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class BiasedBatchNorm(nn.Module):
    """Batch norm whose running variance follows the biased variance of the batch, as in Keras and Flax.

    PyTorch follows the unbiased variance, larger by n / (n - 1). If the start value is scaled by this factor too, so is
    every later value. So the factor is applied at the start and removed on use, and a step needs no extra work.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: BatchNorm, channels: int, values: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if layer.scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if layer.center else None
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


class PerPlaceNorm(nn.Module):
    """Layer norm over the channels of each place of a map, or over features."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.epsilon)
        return y.permute(0, 3, 1, 2)


class TorchStochasticDepth(nn.Module):
    """In training all values of an image are dropped together."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class TorchSqueezeExcite(nn.Module):
    """Each channel times a weight from the means of all channels."""

    def __init__(self, reduce: nn.Module, expand: nn.Module) -> None:
        super().__init__()
        self.reduce, self.expand = reduce, expand

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class TorchRepeatChannels(nn.Module):
    """The gray channel several times, each with its own factor and offset if there are any."""

    factor: Tensor
    offset: Tensor

    def __init__(self, layer: RepeatChannels) -> None:
        super().__init__()
        self.count, self.shifts = layer.count, layer.shifts
        for name, values in zip(("factor", "offset"), layer.factor_and_offset, strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.repeat(1, self.count, 1, 1)
        return x * self.factor + self.offset if self.shifts else x


class TorchPadChannels(nn.Module):
    """Channels of zeros in front of the map's and behind them."""

    def __init__(self, pads: tuple[int, int]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, *self.pads))


class FlattenChannelsInnermost(nn.Module):
    """(B, C, H, W) to (B, H * W * C): free if the memory is already in that order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class TorchResidual(nn.Module):
    """Two paths from one input, joined."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, merge: str) -> None:
        super().__init__()
        self.body, self.shortcut, self.merge = body, shortcut, merge

    def forward(self, x: Tensor) -> Tensor:
        body, shortcut = self.body(x), self.shortcut(x)
        return body + shortcut if self.merge == "sum" else torch.cat([shortcut, body], 1)
