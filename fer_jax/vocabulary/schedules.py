"""The vocabulary of learning rates over a run. Frozen structs, no JAX here; `fer_jax.train.schedules` and
`fer_jax.train.plateau` have the arithmetic.

An epoch is a pass over the training samples, also if training is counted in steps. An update is a step of the
optimizer: with `accumulate` = k there is one for every k batches. Both are counted from 0, so that the first epoch is
epoch 0 and a change at epoch 20 comes after 20 epochs.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.optimizers import Fraction, NonNegative, PositiveFloat

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Unit = Literal["epochs", "updates"]
_WARMUP = ("warmup_epochs", "warmup_updates", "warmup_from")


class ScheduleStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="schedule"):
    """What all schedules share: a warm-up in front.

    warmup_epochs, or warmup_updates: the rate rises by equal amounts, update by update, from warmup_from * rate at the
    first update to the rate at the first update behind the warm-up (Goyal et al. 2017; optax.linear_schedule). 0: none.
    `step` and `piecewise` count from the start of training, warm-up included, as in that paper. The other schedules
    begin when the warm-up has ended (optax.join_schedules).
    """

    warmup_epochs: NonNegative = 0.0
    warmup_updates: Count = 0
    warmup_from: Fraction = 0.0
    later_fields: ClassVar[tuple[str, ...]] = _WARMUP

    def __post_init__(self) -> None:
        if self.warmup_epochs and self.warmup_updates:
            raise ValueError("give either `warmup_epochs` or `warmup_updates`")
        if self.warmup_from and not (self.warmup_epochs or self.warmup_updates):
            raise ValueError("`warmup_from` needs `warmup_epochs` or `warmup_updates`")


class Constant(ScheduleStruct, frozen=True, kw_only=True, tag="constant"):
    """The optimizer's rate, unchanged."""


class ReduceOnPlateau(ScheduleStruct, frozen=True, kw_only=True, tag="reduce_on_plateau"):
    """Keras' callback: after `patience` evaluations in which `metric` on `split` has not improved by more than
    `min_delta`, the rate is multiplied by `factor`, never below `min_learning_rate`.

    form: `pytorch` differs in two ways (ReduceLROnPlateau): one evaluation more is waited for, and `min_delta` is a
    share of the best value (threshold_mode "rel", whose default is also 1e-4).
    """

    split: str
    metric: Literal["loss", "accuracy"]
    factor: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    patience: PositiveInt
    min_learning_rate: NonNegative = 0.0
    min_delta: NonNegative = 1e-4
    form: Literal["keras", "pytorch"] = "keras"
    later_fields: ClassVar[tuple[str, ...]] = (*_WARMUP, "form")


class DecayPerUpdate(ScheduleStruct, frozen=True, kw_only=True, tag="decay_per_update"):
    """rate / (1 + decay * t) at update t: the argument `decay` of the optimizers of Keras up to 2.10."""

    decay: PositiveFloat


class StepDecay(ScheduleStruct, frozen=True, kw_only=True, tag="step"):
    """The rate is multiplied by `factor` after every `every` epochs (or updates) behind `start`:
    rate * factor^floor((t - start) / every) for t >= start. PyTorch's StepLR has start 0."""

    every: PositiveInt
    factor: PositiveFloat
    start: Count = 0
    unit: Unit = "epochs"


class Piecewise(ScheduleStruct, frozen=True, kw_only=True, tag="piecewise"):
    """From epoch (or update) at[i] on the rate is factors[i] times the optimizer's. PyTorch's MultiStepLR has the
    powers of one factor; the values of Keras' PiecewiseConstantDecay are rates, and each begins one update later."""

    at: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(min_length=1, max_length=1000)]
    factors: Annotated[tuple[PositiveFloat, ...], msgspec.Meta(min_length=1, max_length=1000)]
    unit: Unit = "epochs"

    def __post_init__(self) -> None:
        if len(self.at) != len(self.factors):
            raise ValueError(
                f"`at` has {counted(len(self.at), 'entry')} and `factors` {len(self.factors)}; give one for each"
            )
        if list(self.at) != sorted(set(self.at)):
            raise ValueError("`at` must rise")
        super().__post_init__()


class Exponential(ScheduleStruct, frozen=True, kw_only=True, tag="exponential"):
    """rate * factor^(t / every), with the whole part of t / every if `staircase`: PyTorch's ExponentialLR (unit
    "epochs", every 1), Keras' ExponentialDecay (unit "updates")."""

    factor: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    every: PositiveInt = 1
    unit: Unit = "epochs"
    staircase: bool = False


class LongSchedule(ScheduleStruct, frozen=True, kw_only=True):
    """A schedule of a fixed length.

    length: with the warm-up, in epochs or updates (length_in); 0 for all of training. Behind it the rate stays where it
        is. unit: the rate changes from update to update, or only from epoch to epoch.
    """

    length: Count = 0
    length_in: Unit = "epochs"
    unit: Unit = "updates"


class Cosine(LongSchedule, frozen=True, kw_only=True, tag="cosine"):
    """min + (rate - min) / 2 * (1 + cos(pi t / length)) (Loshchilov & Hutter 2017, without restarts): Keras'
    CosineDecay and optax.cosine_decay_schedule; with unit "epochs" PyTorch's CosineAnnealingLR."""

    min_learning_rate: NonNegative = 0.0


class Polynomial(LongSchedule, frozen=True, kw_only=True, tag="polynomial"):
    """min + (rate - min) * (1 - t / length)^power: Keras' PolynomialDecay, optax.polynomial_schedule. With power 1 the
    rate falls by equal amounts."""

    power: PositiveFloat = 1.0
    min_learning_rate: NonNegative = 0.0


class OneCycle(LongSchedule, frozen=True, kw_only=True, tag="one_cycle"):
    """Smith & Topin 2018 as PyTorch's OneCycleLR with its defaults: from rate / initial_divisor up to the rate within
    rising_share of the length, then down to rate / initial_divisor / final_divisor, both along half a cosine. Momentum
    stays as it is (`cycle_momentum=False`)."""

    rising_share: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.3
    initial_divisor: Annotated[float, msgspec.Meta(ge=1.0)] = 25.0
    final_divisor: Annotated[float, msgspec.Meta(ge=1.0)] = 1e4
