"""The vocabulary of data steps: decoding, names, and the faults that are found without data."""

import re

import msgspec
import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.augmentations import (
    AverageViews,
    CutMix,
    InputPipeline,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    RandomResizedCrop,
    Standardise,
    TrainOnCrops,
)
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from fer_jax.vocabulary.layers import ordinal_names
from fer_jax.vocabulary.split_plan import check_steps, follow_steps
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    DropSplit,
    FlipHorizontal,
    MergeSplits,
    Normalise,
    RandomFlip,
    RenameSplit,
    RepeatClass,
    Resize,
    Rotate,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
    StepError,
    step_names,
)

BY_USAGE = SplitByUsage(into={"train": ("Training",), "validation": ("PublicTest",), "test": ("PrivateTest",)})
FACES = Faces(
    np.zeros((210, 6, 6), np.uint8),
    (np.arange(210) % 7).astype(np.uint8),
    (np.arange(210) // 7 % 3).astype(np.uint8),
    np.arange(210, dtype=np.int32),
)
LAST = SplitLast(count=10, into="test", rest="train")

# name: (steps, index of the step at fault, part of the message)
TRAIN_CROPS = TrainOnCrops(views="ten_crops", size=4)
WRONG_NAMES_AND_SIZES = {
    "unknown": ((BY_USAGE, Shuffle(split="valid")), 1, "no split 'valid' here; accepted: train, validation, test"),
    "consumed": ((LAST, Shuffle()), 1, "no split 'all' here; accepted: test, train"),
    "exists": ((BY_USAGE, CopySplit(from_split="train", into="test")), 1, "there is a split 'test' already"),
    "rename": ((BY_USAGE, RenameSplit(from_split="train", into="test")), 1, "there is a split 'test' already"),
    "same name": ((SplitLast(count=1, into="train", rest="train"),), 0, "there is a split 'train' already"),
    "fraction": ((SplitFraction(fraction=1.0, into="test", rest="train"),), 0, "between 0 and 1, not be 1.0"),
    "dropped": ((BY_USAGE, DropSplit(split="spare")), 1, "no split 'spare'"),
    "merge": ((BY_USAGE, MergeSplits(splits=("test", "test"), into="both")), 1, "names a split twice"),
    "resize": ((LAST, Resize(size=7)), 1, "only shrinks; 'test' has 6 pixels, not 7"),
    "augment": ((LAST, AugmentCopies(split="all", transforms=(FlipHorizontal(),))), 1, "no split 'all'"),
    "normalise twice": ((LAST, Normalise(), Normalise()), 2, "only once"),
    "pixels after normalise": ((LAST, Normalise(), Resize(size=3)), 2, "before `normalise`"),
    "flip unknown": ((RandomFlip(splits=("tset",)), LAST), 0, "no split 'tset' here; accepted: test, train"),
    "flip twice": ((LAST, RandomFlip(), RandomFlip()), 2, "split 'train' has a `random_flip` already"),
    "crop": ((LAST, RandomCrop(size=7)), 1, "a crop of 7 pixels is larger than the images, which have 6: lower `size`"),
    "padded crop": ((LAST, RandomCrop(size=7, padding=2)), 1, "(`padding` is for the named splits; the others need"),
    "crop of a crop": (
        (LAST, RandomCrop(size=4), RandomResizedCrop(size=5)),
        2,
        "larger than the images, which have 4",
    ),
    "crop of a split that is not there": ((LAST, RandomCrop(size=4, splits=("all",))), 1, "no split 'all' here"),
    "resize after a crop": ((LAST, RandomCrop(size=4), Resize(size=3)), 2, "must come before `random_crop`"),
    "jitter after normalise": ((LAST, Normalise(), RandomJitter()), 2, "must come before `normalise`"),
    "two standards": ((LAST, Normalise(), Standardise()), 2, "`normalise` or `standardise` may be used only once"),
    "standard of nothing": ((LAST, Standardise(from_split="all")), 1, "no split 'all' here"),
    "images after pixels": (
        (LAST, Standardise(of="pixels"), Standardise(of="image")),
        2,
        "may be used only once; only",
    ),
    "pixels twice": ((LAST, Standardise(of="image"), *2 * (Standardise(of="pixels"),)), 3, "may be used only once"),
    "pixels of a larger image": (
        (LAST, RandomCrop(size=4), Standardise(of="pixels")),
        2,
        "the statistics of each pixel are of images of 6 pixels, and the network gets 4",
    ),
    "two mixings": ((LAST, Mixup(), CutMix()), 2, "`mixup` or `cutmix` may be used only once"),
    "crops of nothing": ((LAST, AverageViews(views="ten_crops")), 1, "add `random_crop` with a size below 6"),
    "crops of training samples twice": ((LAST, TRAIN_CROPS, TRAIN_CROPS), 2, "may be used only once"),
    "jitter of crops": ((LAST, TRAIN_CROPS, RandomJitter()), 2, "must come before `train_on_crops`"),
    "crops behind normalise": ((LAST, Normalise(), TRAIN_CROPS), 2, "must come before `normalise`"),
    "resize behind crops": ((LAST, TRAIN_CROPS, Resize(size=3)), 2, "must come before `train_on_crops`"),
    "crops larger than the images": (
        (LAST, RandomCrop(size=3), TRAIN_CROPS),
        2,
        "a crop of 4 pixels is larger than the images, which have 3",
    ),
    "views of train": ((LAST, AverageViews(views="flips", splits=("train",))), 1, "training samples have no views"),
    "no train": ((RenameSplit(from_split="all", into="test"),), 0, "they end with: test"),
    "no evaluation": ((Shuffle(), RenameSplit(from_split="all", into="train")), 1, "they end with: train"),
}


@pytest.mark.parametrize("case", WRONG_NAMES_AND_SIZES)
def test_wrong_names_and_sizes_are_found_without_data_and_with(case):
    steps, index, message = WRONG_NAMES_AND_SIZES[case]
    for attempt in (lambda: check_steps(steps, 6), lambda: apply_steps(FACES, steps, 0)):
        with pytest.raises(StepError) as caught:
            attempt()
        assert caught.value.index == index
        assert message in str(caught.value)


def test_names():
    assert ordinal_names(["resize", "shuffle", "resize"]) == ("resize1", "shuffle1", "resize2")
    assert step_names((Shuffle(), BY_USAGE, Shuffle(split="train"))) == ("shuffle1", "split_by_usage1", "shuffle2")


def test_literals_are_the_ones_of_the_data_set():
    for usage in USAGES:
        assert msgspec.convert({"step": "split_by_usage", "into": {"train": [usage]}}, Step)
    for label, emotion in enumerate(EMOTIONS):
        for value in (label, emotion):
            assert msgspec.convert({"step": "repeat_class", "label": value, "times": 2}, Step)


def test_decoding():
    rows = [
        {"step": "split_by_usage", "into": {"train": ["Training"], "test": ["PublicTest", "PrivateTest"]}},
        {"step": "repeat_class", "split": "train", "label": 1, "times": 9},
        {"step": "augment_copies", "split": "train", "transforms": [{"kind": "rotate", "degrees": 10}]},
        {"step": "resize", "size": 28, "rounding": "truncate"},
        {"step": "random_flip", "splits": ["train", "test"]},
    ]
    steps = msgspec.convert(rows, tuple[Step, ...])
    assert steps[2] == AugmentCopies(split="train", transforms=(Rotate(degrees=10.0),))
    assert check_steps(steps) == (("train", "test"), 28)
    assert msgspec.convert({"step": "repeat_class", "label": EMOTIONS[1], "times": 9}, Step) == RepeatClass(
        label="disgust", times=9
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"step": "shufle"}, "Invalid value 'shufle'"),
        ({"step": "shuffle", "seed": 1}, "unknown field `seed`"),
        ({"step": "split_fraction", "fraction": 1.0, "into": "a", "rest": "b"}, "< 1.0"),
        ({"step": "split_by_usage", "into": {"train": ["training"]}}, "Invalid enum value 'training'"),
        ({"step": "split_by_usage", "into": {"Train": ["Training"]}}, "matching regex"),
        ({"step": "repeat_class", "label": "disgusted", "times": 9}, "Invalid enum value 'disgusted'"),
        ({"step": "repeat_class", "label": 7, "times": 9}, "<= 6"),
        ({"step": "resize", "size": 28, "method": "cubic"}, "Invalid enum value 'cubic'"),
        ({"step": "augment_copies", "split": "train", "transforms": []}, "length >= 1"),
        ({"step": "normalise", "divide": 0.0}, "> 0.0"),
    ],
)
def test_decoding_refuses(row, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(row, Step)


def test_what_the_device_does_follows_from_the_steps():
    affine, erase, views = RandomAffine(rotation=5.0), RandomErasing(), AverageViews(views="ten_crops")
    steps = (
        LAST,
        Resize(size=8, method="bilinear"),
        RandomCrop(size=5),
        affine,
        erase,
        Normalise(),
        erase,
        views,
        Mixup(),
    )
    plan, size = follow_steps(steps, 6)
    assert size == 5 and plan.sizes == {"test": 8, "train": 8}
    assert plan.pipeline() == InputPipeline(
        stored_size=8, before=(RandomCrop(size=5), affine, erase), after=(erase,), mixing=Mixup(), views=views
    )
    twice = follow_steps((LAST, RandomResizedCrop(size=6), RandomCrop(size=4)), 6)
    assert (twice[1], twice[0].pipeline().stored_size) == (4, 6), "as in khaireddin2021"
    assert follow_steps((LAST, Standardise(of="image", form="tensorflow")), 6)[0].pipeline() == InputPipeline(
        standardise="tensorflow"
    )
    assert follow_steps((LAST, Normalise(), RandomFlip()), 6)[0].pipeline() == InputPipeline()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": "random_affine", "zoom": [1.1, 0.9]}, "`zoom` must rise, not fall from 1.1 to 0.9"),
        ({"step": "random_resized_crop", "size": 4, "scale": [0.0, 1.0]}, "> 0"),
        ({"step": "random_erasing", "probability": 1.5}, "<= 1"),
        ({"step": "mixup", "alpha": 0.0}, "> 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(msgspec.ValidationError, match=re.escape(message)):
        msgspec.convert(settings, Step)
