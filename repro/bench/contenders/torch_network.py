"""A layer list as a PyTorch module that takes this suite's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary.layers import GroupNorm, Residual, every_layer, shapes_by_name
from fer_jax.vocabulary.network import Network
from fer_jax.vocabulary.settings import Loss
from repro.bench.contenders.stages import PROBABILITY_CLIP, hidden_stages, input_shape
from repro.bench.contenders.tensor_layout import TensorLayout
from repro.bench.contenders.torch_layers import Place, TorchBuilder


class TorchNetwork(nn.Module):
    """Logits (B, classes) of images (B, 1, H, W).

    channels_last: maps lie in memory as (B, H, W, C). Maps are flattened in memory order. If that is (C, H, W), the
        weights of the next layer are permuted once on loading, instead of the map in every step.
    """

    def __init__(self, network: Network, *, channels_last: bool) -> None:
        super().__init__()
        self.stages = hidden_stages(network)
        builder = TorchBuilder(network.training.batch_size, channels_last or _order_matters(network))
        self.layers = nn.Sequential(*[builder.make(stage) for stage in self.stages])
        self.noted = builder.noted
        if channels_last:
            self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def places(self) -> list[tuple[Tensor, Place, TensorLayout]]:
        """Every tensor, the place of its values in the variables, and the mapping between their axes."""
        return [(getattr(module, tensor), place, layout) for module, tensor, place, layout in self.noted]

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


def _order_matters(network: Network) -> bool:
    """Whether a layer mixes features by their order without weights for each."""
    shapes = shapes_by_name(network.layers, input_shape(network))
    mixing = (name for _, name, layer, _ in every_layer(network.layers) if isinstance(layer, GroupNorm | Residual))
    return any(len(shapes[name][0]) == 1 for name in mixing)


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
