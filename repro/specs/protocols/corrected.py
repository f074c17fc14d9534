"""The protocols without accidental train/test overlap, defined once for all papers, and their control.

official: the dataset's own splits. Training trains, PublicTest selects (the epoch and the learning rate, if the paper
    selects anything), PrivateTest gives the accuracy. Of the paper's steps, those that change images and those that
    copy training samples stay. What is drawn at random stays in training only; views are averaged over in every
    evaluated split; statistics for a standardisation are of the training samples.
clean: `official` with duplicates removed. Training samples that show the same image as an evaluated sample are left
    out, and so are PublicTest samples that show an image of PrivateTest. Of repeats within an evaluated split the first
    is kept. All PrivateTest samples are also predicted, as split `test_all`, so that the protocols can be compared
    sample by sample.
placebo: official without as many training samples of each class as clean leaves out, drawn from those without a copy in
    an evaluated split. It separates the cost of fewer samples from the benefit of copies.
"""

from __future__ import annotations

import msgspec

from fer_jax.vocabulary.augmentations import (
    AverageViews,
    CutMix,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    RandomResizedCrop,
    Standardise,
    TrainOnCrops,
)
from fer_jax.vocabulary.settings import ReduceOnPlateau
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    DropRepeats,
    DropSamePictures,
    DropUnrelated,
    EqualiseHistogram,
    Normalise,
    RandomFlip,
    RepeatClass,
    Resize,
    Shuffle,
    SplitByUsage,
    Step,
    VoteTargets,
    splits_before,
)
from repro.specs.spec import Data, Spec

OFFICIAL, CLEAN = CORRECTED = ("official", "clean")
PLACEBO = "placebo"
REPORTED_SPLIT = "test"  # PrivateTest
COMPLETE_SPLIT = "test_all"  # PrivateTest under clean, repeats included

_USAGES: dict[str, tuple[str, ...]] = {
    "train": ("Training",),
    "validation": ("PublicTest",),
    REPORTED_SPLIT: ("PrivateTest",),
}
OFFICIAL_SPLITS = SplitByUsage(into=_USAGES)  # pyright: ignore[reportArgumentType]
CLEAN_SPLITS = SplitByUsage(into={**_USAGES, COMPLETE_SPLIT: ("PrivateTest",)})  # pyright: ignore[reportArgumentType]
CLEANING: tuple[Step, ...] = (
    DropSamePictures(split="train", of=("validation", "test")),
    DropSamePictures(split="validation", of=("test",)),
    DropRepeats(split="validation"),
    DropRepeats(split="test"),
)


_FIRST_STEPS: dict[str, tuple[Step, ...]] = {
    OFFICIAL: (OFFICIAL_SPLITS,),
    CLEAN: (CLEAN_SPLITS, *CLEANING),
    PLACEBO: (OFFICIAL_SPLITS, DropUnrelated(split="train", of=("validation", REPORTED_SPLIT))),
}


def first_steps(protocol: str) -> tuple[Step, ...]:
    """The steps that make `train`, `validation` and `test` of the dataset, before those of a paper.

    Raises ValueError for a protocol other than `official`, `clean` and `placebo`.
    """
    if protocol not in _FIRST_STEPS:
        raise ValueError(f"no splits for protocol {protocol!r}; accepted: {', '.join(_FIRST_STEPS)}")
    return _FIRST_STEPS[protocol]


def corrected_spec(spec: Spec, protocol: str) -> Spec:
    """The spec under `official`, `clean` or `placebo`."""
    return with_steps(spec, (*first_steps(protocol), *training_steps(spec.data.steps)))


def with_steps(spec: Spec, steps: tuple[Step, ...]) -> Spec:
    """The spec with other data steps, which leave `train`, `validation` and `test`. Selection uses validation alone, if
    the paper selects at all."""
    schedule = spec.training.schedule
    if isinstance(schedule, ReduceOnPlateau):
        schedule = msgspec.structs.replace(schedule, split="validation")
    stopping = spec.training.early_stopping
    if stopping is not None:
        stopping = msgspec.structs.replace(stopping, split="validation")
    training = msgspec.structs.replace(
        spec.training,
        evaluate=("validation",),
        report_split="validation",
        schedule=schedule,
        early_stopping=stopping,
    )
    return msgspec.structs.replace(spec, data=Data(steps=steps), training=training)


def training_steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a paper that decide which images it trains on and how they look, in their order.

    `train` replaces the split that held the training samples at that point. Steps that only cut or join are left out.
    A step that treats several splits alike before they are joined is done once.
    """
    trained = {"train"}  # the splits whose samples end in `train`, followed from the last step to the first
    kept: list[Step] = []
    done_to: dict[tuple[Step, frozenset[str]], str] = {}  # a step, and the splits that existed -> the split it changed
    for step in reversed(steps):
        match step:
            case Resize(splits=splits) | EqualiseHistogram(splits=splits):
                if not splits or trained & set(splits):
                    kept.append(msgspec.structs.replace(step, splits=()))
            case (
                RandomFlip(splits=splits)
                | RandomCrop(splits=splits)
                | RandomResizedCrop(splits=splits)
                | RandomAffine(splits=splits)
                | RandomJitter(splits=splits)
                | RandomErasing(splits=splits)
            ):
                # A crop that leaves the training samples alone still decides the size of the network's input.
                if "train" in splits or isinstance(step, RandomCrop | RandomResizedCrop):
                    kept.append(msgspec.structs.replace(step, splits=("train",)))
            case Normalise() | Mixup() | CutMix() | TrainOnCrops() | VoteTargets():
                kept.append(step)
            case Standardise():
                kept.append(msgspec.structs.replace(step, from_split="train"))
            case AverageViews():
                kept.append(msgspec.structs.replace(step, splits=()))
            case (
                RepeatClass(split=split) | AugmentCopies(split=split) | Shuffle(split=split) | DropRepeats(split=split)
            ):
                of_all = msgspec.structs.replace(step, split="train")
                if split in trained and done_to.setdefault((of_all, frozenset(trained)), split) == split:
                    kept.append(of_all)
            case _:
                trained = splits_before(trained, step)
    return tuple(reversed(kept))
