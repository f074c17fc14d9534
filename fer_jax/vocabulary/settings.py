"""The vocabulary of training: loss, optimizer, schedule, batches. Frozen structs, no JAX here."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]

Precision = Literal["float32", "tensorfloat32", "bfloat16"]  # of products: see `precision.py`
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is minimised, as a mean over the batch.

    cross_entropy: of the labels under softmax(logits). If the network ends in a sigmoid, its outputs are first divided
        by their sum and clipped to [1e-7, 1 - 1e-7], as Keras' categorical_crossentropy does.
    mean_squared_error: between the network's outputs (after softmax or sigmoid) and the one-hot label, averaged over
        the classes.
    l2: adds l2 * sum of squares of all kernels, and of biases (batch norm's scale and offset too) if `l2_biases`.
    """

    kind: Literal["cross_entropy", "mean_squared_error"]
    l2: NonNegative = 0.0
    l2_biases: bool = False


class OptimizerStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="optimizer"):
    """What all optimizers share."""

    learning_rate: PositiveFloat


class Sgd(OptimizerStruct, frozen=True, kw_only=True, tag="sgd"):
    """Gradient descent: v = momentum * v - rate * g, p = p + v."""

    momentum: Fraction = 0.0
    nesterov: bool = False


class Adam(OptimizerStruct, frozen=True, kw_only=True, tag="adam"):
    """Kingma & Ba 2015. `epsilon_hat` is Keras' and TensorFlow's form (end of section 2 of that paper): epsilon is
    added to the root of the uncorrected second moment,
    p -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)."""

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7
    epsilon_hat: bool = True


class RmsProp(OptimizerStruct, frozen=True, kw_only=True, tag="rmsprop"):
    """Tieleman & Hinton 2012 with momentum: c = decay * c + (1 - decay) * g^2, v = momentum * v - rate * g /
    sqrt(c + epsilon), p = p + v. c starts at `initial_accumulator`."""

    decay: Fraction = 0.9
    momentum: Fraction = 0.0
    epsilon: PositiveFloat = 1e-7
    initial_accumulator: NonNegative = 0.0


Optimizer = Sgd | Adam | RmsProp


class ScheduleStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="schedule"):
    """What all schedules share."""


class Constant(ScheduleStruct, frozen=True, kw_only=True, tag="constant"):
    """The optimizer's rate, unchanged."""


class ReduceOnPlateau(ScheduleStruct, frozen=True, kw_only=True, tag="reduce_on_plateau"):
    """Keras' callback: after `patience` evaluations in which `metric` on `split` has not improved by more than
    `min_delta`, the rate is multiplied by `factor`, never below `min_learning_rate`."""

    split: str
    metric: Literal["loss", "accuracy"]
    factor: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    patience: PositiveInt
    min_learning_rate: NonNegative = 0.0
    min_delta: NonNegative = 1e-4


Schedule = Constant | ReduceOnPlateau


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the network is trained and evaluated.

    Either `epochs` passes over the training samples, or `steps` updates with an evaluation after the first and then
    after every `evaluate_every_steps` (the history then has one entry per evaluation, and 'epoch' below means that
    stretch).

    order: `reshuffle` draws a new order for every epoch; `fixed` keeps the order of the samples; `offset_modulo` takes
        the batch of step s from row (s * batch_size) mod (rows - batch_size), as the Udacity course's notebooks do.
    last_batch: `keep` trains on the incomplete last batch of an epoch, `drop` leaves it out. `offset_modulo` has no
        incomplete batch.
    evaluate: splits that are evaluated after every epoch. All splits are evaluated at the end in any case.
    report: the epoch whose parameters give the reported accuracy: the last, or the one with the best accuracy on
        `report_split`.
    """

    batch_size: PositiveInt
    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    evaluate_every_steps: PositiveInt | None = None
    order: Literal["reshuffle", "fixed", "offset_modulo"] = "reshuffle"
    last_batch: Literal["keep", "drop"] = "keep"
    evaluate: tuple[str, ...] = ("validation",)
    report: Literal["last", "best"] = "last"
    report_split: str = "validation"
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule = Constant()

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either `epochs` or `steps`")
        if (self.steps is None) != (self.evaluate_every_steps is None):
            raise ValueError("`steps` and `evaluate_every_steps` go together")
        if self.order == "offset_modulo" and self.steps is None:
            raise ValueError("order = 'offset_modulo' needs `steps`")
