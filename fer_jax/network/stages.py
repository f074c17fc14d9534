"""The layers of a list in the order in which a backend applies them, with the poolings that it applies in one step."""

from __future__ import annotations

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
    joined: list[LayerStage] = []
    for stage in stages:
        last = joined[-1] if joined else None
        if isinstance(stage.layer, BatchNorm) and last and isinstance(last.layer, _CONVOLUTIONS) and last.norm is None:
            joined[-1] = replace(last, norm=stage)
        else:
            joined.append(stage)
    return tuple(joined)


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
    joined: list[LayerStage] = []
    for stage in stages:
        pool = stage.layer
        if isinstance(pool, MaxPool) and joined and _takes_pool(joined[-1], pool):
            joined[-1] = replace(joined[-1], pool=pool)
        else:
            joined.append(stage)
    return tuple(joined)


def relus_joined(stages: tuple[LayerStage, ...]) -> tuple[LayerStage, ...]:
    """Join each ReLU to the convolution, the batch norm or the residual right before it."""
    joined: list[LayerStage] = []
    takes_relu = (*_CONVOLUTIONS, BatchNorm, Residual)
    for stage in stages:
        relu = isinstance(stage.layer, Activation) and stage.layer.function == "relu"
        if relu and joined and isinstance(joined[-1].layer, takes_relu) and not joined[-1].rectify:
            joined[-1] = replace(joined[-1], rectify=True)
        else:
            joined.append(stage)
    return tuple(joined)


def touches(pool: MaxPool) -> bool:
    """Whether the windows are square, touch, and are padded on no side or by `same`, as the routines expect."""
    return pool.sides == pool.strides and pool.sides[0] == pool.sides[1] and pool.padding in ("same", "valid")


def _takes_pool(stage: LayerStage, pool: MaxPool) -> bool:
    layer = stage.layer
    convolves = isinstance(layer, Conv) and layer.is_plain
    return stage.pool is None and (convolves or (isinstance(layer, BatchNorm) and touches(pool)))
