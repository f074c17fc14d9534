"""The vocabulary of training: loss, optimizer, schedule, batches. Frozen structs, no JAX here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from fer_jax.vocabulary.optimizers import (
    Adagrad,
    Adam,
    AdamW,
    Fraction,
    Lion,
    Nadam,
    NonNegative,
    OptimizerStruct,
    RmsProp,
    Sgd,
)
from fer_jax.vocabulary.schedules import (
    Constant,
    Cosine,
    DecayPerUpdate,
    Exponential,
    LongSchedule,
    OneCycle,
    Piecewise,
    Polynomial,
    PositiveInt,
    ReduceOnPlateau,
    ScheduleStruct,
    StepDecay,
)

__all__ = [
    "PRECISIONS",
    "Adagrad",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "DecayPerUpdate",
    "EarlyStopping",
    "Exponential",
    "Lion",
    "LongSchedule",
    "Loss",
    "Nadam",
    "OneCycle",
    "Optimizer",
    "OptimizerStruct",
    "Piecewise",
    "Polynomial",
    "Precision",
    "ReduceOnPlateau",
    "RmsProp",
    "Schedule",
    "ScheduleStruct",
    "Sgd",
    "StepDecay",
    "Training",
    "inner_tables",
]

Precision = Literal["float32", "tensorfloat32", "bfloat16"]  # of products: see `precision.py`
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Optimizer = Sgd | Adam | AdamW | Nadam | RmsProp | Adagrad | Lion
Schedule = (
    Constant | ReduceOnPlateau | DecayPerUpdate | StepDecay | Piecewise | Exponential | Cosine | Polynomial | OneCycle
)


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is minimised, as a mean over the batch.

    cross_entropy: of the labels under softmax(logits). If the network ends in a sigmoid, its outputs are first divided
        by their sum and clipped to [1e-7, 1 - 1e-7], as Keras' categorical_crossentropy does.
    mean_squared_error: between the network's outputs (after softmax or sigmoid) and the one-hot label, averaged over
        the classes.
    focal: -(1 - p)^gamma * log p of the label's probability p (Lin et al. 2017, equation 4). Their alpha is
        `class_weights`; Keras' CategoricalFocalCrossentropy has 0.25 for every class.
    squared_hinge: max(0, 1 - t_k * y_k)^2 of the scores y_k of a network that ends without softmax, t_k = 1 for the
        label's class and -1 for the others: a support vector machine per class against the rest (Tang 2013, equation
        5). Averaged over the classes as Keras' squared_hinge, or with over_classes = "sum" added up as in that paper.
    l2: adds l2 * sum of squares of all kernels, and of biases (batch norm's scale and offset too) if `l2_biases`. That
        is Keras' regularizers.l2; of TensorFlow's tf.nn.l2_loss take half. For PyTorch's `weight_decay` see
        `OptimizerStruct.weight_decay`. l2_layers: the layers that have it, by name (conv1), a residual with all of
        its layers; all if none is named.
    label_smoothing: the target is (1 - a) * one-hot + a / classes (Szegedy et al. 2016), for cross_entropy and focal.
    class_weights: one factor per class, in the order of the labels, for the losses of its samples; "balanced" takes
        samples / (classes * samples of the class), counted in `train`, as scikit-learn does. They act in training
        alone. class_weights_mean: the batch's sum is divided by the number of its `samples`, as Keras does, or by the
        sum of their `weights`, as PyTorch does.
    """

    kind: Literal["cross_entropy", "mean_squared_error", "focal", "squared_hinge"]
    l2: NonNegative = 0.0
    l2_biases: bool = False
    l2_layers: tuple[str, ...] = ()
    label_smoothing: Fraction = 0.0
    gamma: NonNegative = 2.0
    over_classes: Literal["mean", "sum"] = "mean"
    class_weights: (
        Literal["balanced"] | Annotated[tuple[NonNegative, ...], msgspec.Meta(min_length=1, max_length=1000)] | None
    ) = None
    class_weights_mean: Literal["samples", "weights"] = "samples"
    later_fields: ClassVar[tuple[str, ...]] = (
        *("l2_layers", "label_smoothing", "gamma", "over_classes", "class_weights", "class_weights_mean"),
    )

    def __post_init__(self) -> None:
        if self.l2_layers and not self.l2:
            raise ValueError("`l2_layers` needs `l2`")
        if self.label_smoothing and self.kind not in ("cross_entropy", "focal"):
            raise ValueError(f"`label_smoothing` is for kind 'cross_entropy' and 'focal', not '{self.kind}'")
        if self.gamma != 2.0 and self.kind != "focal":
            raise ValueError(f"`gamma` is for kind 'focal', not '{self.kind}'")
        if self.over_classes != "mean" and self.kind != "squared_hinge":
            raise ValueError(f"`over_classes` is for kind 'squared_hinge', not '{self.kind}'")
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            raise ValueError("`class_weights` are all 0")


class EarlyStopping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Training ends after `patience` evaluations in a row in which `metric` on `split` was not better than the best one
    by more than `min_delta`: Keras' EarlyStopping. Its restore_best_weights is `report = "best"` of the training, with
    the same split and metric."""

    split: str
    metric: Literal["loss", "accuracy"]
    patience: PositiveInt
    min_delta: NonNegative = 0.0


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the network is trained and evaluated.

    Either `epochs` passes over the training samples, or `steps` batches with an evaluation after the first and then
    after every `evaluate_every_steps` (the history then has one entry per evaluation, and 'epoch' below means that
    stretch).

    order: `reshuffle` draws a new order for every epoch; `fixed` keeps the order of the samples; `offset_modulo` takes
        the batch of step s from row (s * batch_size) mod (rows - batch_size), as the Udacity course's notebooks do.
    last_batch: `keep` trains on the incomplete last batch of an epoch, `drop` leaves it out. `offset_modulo` has no
        incomplete batch.
    evaluate: splits that are evaluated after every epoch. All splits are evaluated at the end in any case.
    report: the epoch whose parameters give the reported accuracy: the last, or the one with the best `report_metric`
        (the highest accuracy, or the least loss) on `report_split`; of equals the first.
    early_stopping: when training ends before its last epoch.
    accumulate: the optimizer makes one update for so many batches, with the mean of their gradients. Batches that are
        left at the end of an epoch count for the next one. Batch norm takes its statistics from each batch.
    average_weights: above 0, the network is evaluated and kept with a running mean of its parameters: after every
        update mean = average_weights * mean + (1 - average_weights) * parameters, from the initial parameters on
        (Polyak & Juditsky 1992; Keras' use_ema with ema_momentum 0.99). The running statistics of batch norm are those
        of training.
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
    report_metric: Literal["accuracy", "loss"] = "accuracy"
    accumulate: PositiveInt = 1
    average_weights: Fraction = 0.0
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule = Constant()
    early_stopping: EarlyStopping | None = None
    later_fields: ClassVar[tuple[str, ...]] = ("report_metric", "accumulate", "average_weights", "early_stopping")

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either `epochs` or `steps`")
        if (self.steps is None) != (self.evaluate_every_steps is None):
            raise ValueError("`steps` and `evaluate_every_steps` go together")
        if self.order == "offset_modulo" and self.steps is None:
            raise ValueError("order = 'offset_modulo' needs `steps`")


INNER_TABLES = ("loss", "optimizer", "schedule", "early_stopping")  # of [training], with separate settings


def inner_tables(training: Training) -> dict[str, msgspec.Struct]:
    """The tables inside [training] that are there, by key."""
    return {name: table for name in INNER_TABLES if (table := getattr(training, name)) is not None}


def shortened(training: Training, evaluations: int) -> Training:
    """The same training, ended after this number of evaluations. Rates fall as in the whole."""
    schedule, steps = training.schedule, training.steps
    if isinstance(schedule, LongSchedule) and not schedule.length:
        whole, unit = (training.epochs, "epochs") if steps is None else (steps // training.accumulate, "updates")
        schedule = msgspec.structs.replace(schedule, length=whole, length_in=unit)
    if steps is None:
        return msgspec.structs.replace(training, epochs=evaluations, schedule=schedule)
    assert training.evaluate_every_steps is not None
    steps = 1 + (evaluations - 1) * training.evaluate_every_steps
    return msgspec.structs.replace(training, steps=steps, schedule=schedule)
