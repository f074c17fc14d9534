"""Checks of the training settings of a spec against its data steps and its network. No JAX here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.layers import Activation, Layer, every_layer
from fer_jax.vocabulary.settings import LongSchedule, Loss, ReduceOnPlateau, Training
from fer_jax.vocabulary.step_kinds import VoteTargets
from repro.specs.mistakes import Mistake
from repro.specs.spec import PaperSpec


def training_mistakes(spec: PaperSpec, splits: Sequence[str] | None) -> Iterator[Mistake]:
    """What cannot be in [training]. splits: those that the data steps leave; None if there are no steps."""
    assert spec.training is not None
    if splits is not None:
        yield from _evaluated(spec.training, splits)
    yield from _lengths(spec.training)
    weights = spec.training.loss.class_weights
    if isinstance(weights, tuple) and len(weights) != len(EMOTIONS):
        yield Mistake(
            "training.loss.class_weights",
            f"{len(weights)} weights, but there are {len(EMOTIONS)} emotions: give one for each, in the order "
            f"{', '.join(EMOTIONS)}",
        )
    if spec.data is not None and any(isinstance(step, VoteTargets) for step in spec.data.steps):
        yield from _fits_votes(spec.training.loss)
    if spec.model is not None:
        yield from _fits_layers(spec.training.loss, spec.model.layers)


def _fits_votes(loss: Loss) -> Iterator[Mistake]:
    if loss.kind not in ("cross_entropy", "focal"):
        yield Mistake(
            "training.loss.kind",
            f"'{loss.kind}' has no form for votes: take 'cross_entropy', or leave `vote_targets` out",
        )
    if loss.class_weights is not None:
        yield Mistake("training.loss.class_weights", "samples with votes have no single class to be weighted by")


def _fits_layers(loss: Loss, layers: tuple[Layer, ...]) -> Iterator[Mistake]:
    names = [placed.name for placed in every_layer(layers)]
    for name in loss.l2_layers:
        if name not in names:
            yield Mistake("training.loss.l2_layers", f"no layer {name!r}; the network has: {', '.join(names)}")
    if loss.kind == "squared_hinge":
        last = layers[-1] if layers else None
        if isinstance(last, Activation) and last.function in ("softmax", "sigmoid"):
            yield Mistake(
                "training.loss.kind",
                f"'squared_hinge' takes the scores of a linear layer, but the network ends in {last.function}: leave "
                f"that layer out, or take kind 'cross_entropy'",
            )


def _evaluated(training: Training, splits: Sequence[str]) -> Iterator[Mistake]:
    named = {"training.evaluate": training.evaluate}
    if training.report == "best":
        named["training.report_split"] = (training.report_split,)
    if isinstance(training.schedule, ReduceOnPlateau):
        named["training.schedule.split"] = (training.schedule.split,)
    if training.early_stopping is not None:
        named["training.early_stopping.split"] = (training.early_stopping.split,)
    for key, names in named.items():
        for name in names:
            if name not in splits or name == "train":
                known = ", ".join(s for s in splits if s != "train")
                yield Mistake(key, f"no evaluated split {name!r}; the data steps leave: {known}")
            elif key != "training.evaluate" and name not in training.evaluate:
                yield Mistake(key, f"{name!r} is not in training.evaluate, so it has no value for each epoch")


def _lengths(training: Training) -> Iterator[Mistake]:
    """A warm-up that does not end."""
    schedule = training.schedule
    updates = None if training.steps is None else training.steps // training.accumulate
    ends = {"epochs": training.epochs, "updates": updates}
    for unit, length in (("epochs", schedule.warmup_epochs), ("updates", schedule.warmup_updates)):
        whole = ends[unit]
        if whole is not None and length >= whole:
            yield Mistake(
                f"training.schedule.warmup_{unit}",
                f"a warm-up of {length:g} {unit} does not end before training, which has {whole:,}: make it shorter",
            )
    if isinstance(schedule, LongSchedule) and schedule.length:
        warmup = schedule.warmup_epochs if schedule.length_in == "epochs" else schedule.warmup_updates
        if warmup >= schedule.length:
            yield Mistake(
                "training.schedule.length",
                f"{schedule.length} {schedule.length_in} with the warm-up, which alone has {warmup:g}: make it longer",
            )
