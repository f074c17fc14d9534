"""The vocabulary of data steps: decoding, names, and the faults that are found without data."""

import msgspec
import numpy as np
import pytest

from fer_jax.data.faces import EMOTIONS, USAGES, Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.layers import ordinal_names
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
    check_steps,
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
WRONG_NAMES_AND_SIZES = {
    "unknown": ((BY_USAGE, Shuffle(split="valid")), 1, "no split 'valid' here; there are: train, validation, test"),
    "consumed": ((LAST, Shuffle()), 1, "no split 'all' here; there are: test, train"),
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
    "flip unknown": ((RandomFlip(splits=("tset",)), LAST), 0, "no split 'tset' here; there are: test, train"),
    "flip twice": ((LAST, RandomFlip(), RandomFlip()), 2, "split 'train' has a `random_flip` already"),
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
