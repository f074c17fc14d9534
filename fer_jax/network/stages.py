"""The layers of a list in the order in which a backend applies them, with those that it applies in one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fer_jax.vocabulary.layers import (
    Activation,
    BatchNorm,
    Conv,
    DepthwiseConv,
    Layer,
    MaxPool,
    Residual,
    SeparableConv,
    layer_names,
)

_CONVOLUTIONS = (Conv, DepthwiseConv, SeparableConv)


@dataclass(frozen=True)
class LayerStage:
    """One layer of the list under its name, together with those that a backend applies in the same step.

    norm: a convolution's batch norm in evaluation, which is a factor and an offset per filter. pool: the pooling behind
    that. rectify: whether the step includes the ReLU behind all of them.
    """

    name: str
    layer: Layer
    pool: MaxPool | None = None
    rectify: bool = False
    norm: LayerStage | None = None


def plain_stages(layers: tuple[Layer, ...], prefix: str = "") -> tuple[LayerStage, ...]:
    """The layers in their own order. prefix: of their names, for the list of a residual."""
    return tuple(LayerStage(name, layer) for name, layer in zip(layer_names(layers, prefix), layers, strict=True))


def norms_joined(stages: tuple[LayerStage, ...]) -> tuple[LayerStage, ...]:
    """Join each batch norm to the convolution right before it; for evaluation only."""

    def take(last: LayerStage, stage: LayerStage) -> LayerStage | None:
        takes = isinstance(last.layer, _CONVOLUTIONS) and last.norm is None
        return replace(last, norm=stage) if takes and isinstance(stage.layer, BatchNorm) else None

    return _joined(stages, take)


def pools_first(stages: tuple[LayerStage, ...]) -> tuple[LayerStage, ...]:
    """Move each activation that comes right before a pooling behind that pooling, if it rises monotonically.

    Then the maximum of f(x) is f of the maximum of x. Where f is flat its gradient is zero, so it does not matter which
    of equal values comes first. The activation then runs on a quarter of the values (for 2 x 2 windows).
    """
    ordered = list(stages)
    for place in range(len(ordered) - 1):
        if ordered[place].layer.passes_maximum and isinstance(ordered[place + 1].layer, MaxPool):
            ordered[place], ordered[place + 1] = ordered[place + 1], ordered[place]
    return tuple(ordered)


def pools_joined(stages: tuple[LayerStage, ...]) -> tuple[LayerStage, ...]:
    """Join each pooling to the convolution right before it, or to the batch norm if its windows touch."""

    def take(last: LayerStage, stage: LayerStage) -> LayerStage | None:
        pool = stage.layer
        return replace(last, pool=pool) if isinstance(pool, MaxPool) and _takes_pool(last, pool) else None

    return _joined(stages, take)


def relus_joined(stages: tuple[LayerStage, ...]) -> tuple[LayerStage, ...]:
    """Join each ReLU to the convolution, the batch norm or the residual right before it."""

    def take(last: LayerStage, stage: LayerStage) -> LayerStage | None:
        relu = isinstance(stage.layer, Activation) and stage.layer.function == "relu"
        takes = isinstance(last.layer, (*_CONVOLUTIONS, BatchNorm, Residual)) and not last.rectify
        return replace(last, rectify=True) if relu and takes else None

    return _joined(stages, take)


def _joined(
    stages: tuple[LayerStage, ...], take: Callable[[LayerStage, LayerStage], LayerStage | None]
) -> tuple[LayerStage, ...]:
    """The stages, each one put into the stage right before it if that takes it. take: that stage with this one in it,
    or None."""
    joined: list[LayerStage] = []
    for stage in stages:
        together = take(joined[-1], stage) if joined else None
        if together is None:
            joined.append(stage)
        else:
            joined[-1] = together
    return tuple(joined)


def touches(pool: MaxPool) -> bool:
    """Whether the windows are square, touch, and are padded on no side or by `same`, as the routines expect."""
    return pool.sides == pool.strides and pool.sides[0] == pool.sides[1] and pool.padding in ("same", "valid")


def _takes_pool(stage: LayerStage, pool: MaxPool) -> bool:
    layer = stage.layer
    convolves = isinstance(layer, Conv) and layer.is_plain
    return stage.pool is None and (convolves or (isinstance(layer, BatchNorm) and touches(pool)))
