"""repro.explain.lineage: which splits share samples, by the data steps alone."""

from __future__ import annotations

from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    DropRepeats,
    DropSamePictures,
    DropSplit,
    FlipHorizontal,
    MergeSplits,
    RenameSplit,
    RepeatClass,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
)
from repro.explain.lineage import CHANGED, CLEANED, REPEATED, follow_lineage

OFFICIAL = SplitByUsage(into={"train": ("Training",), "validation": ("PublicTest",), "test": ("PrivateTest",)})
COPIES = AugmentCopies(split="train", transforms=(FlipHorizontal(),))


def test_official_parts_share_nothing():
    found = follow_lineage([OFFICIAL])
    assert found.splits["test"].cells == {("PrivateTest",)}
    assert not found.shared("test", "train") and not found.straddles("test", "train")
    assert found.deciding_steps("test", "train") == (0,)


def test_a_copied_split_is_the_same_samples():
    found = follow_lineage([SplitByUsage(into={"train": ("Training",)}), CopySplit(from_split="train", into="test")])
    assert found.splits["test"].cells == found.splits["train"].cells == {("Training",)}
    assert found.deciding_steps("test") == (0, 1)


def test_a_usage_in_two_parts_is_shared():
    found = follow_lineage([SplitByUsage(into={"train": ("Training", "PrivateTest"), "test": ("PrivateTest",)})])
    assert found.shared("test", "train") == {("PrivateTest",)} < found.splits["train"].cells


def test_a_division_keeps_two_sides_apart():
    cut = SplitFraction(from_split="all", fraction=0.2, into="test", rest="train")
    found = follow_lineage([Shuffle(), cut])
    assert not found.shared("test", "train") and found.straddles("test", "train") == frozenset()
    assert len(found.splits["test"].cells) == 3, "of every official split a portion"


def test_copies_made_before_a_division_are_on_both_sides():
    cut = SplitLast(from_split="all", count=10, into="validation", rest="train")
    assert follow_lineage([RepeatClass(label="disgust", times=9), cut]).straddles("validation", "train") == {REPEATED}
    found = follow_lineage([OFFICIAL, COPIES, SplitFraction(from_split="train", fraction=0.2, into="v", rest="train")])
    assert found.straddles("v", "train") == {CHANGED} and not found.straddles("test", "train")


def test_copies_made_after_a_division_are_not():
    cut = SplitFraction(from_split="all", fraction=0.2, into="test", rest="train")
    again = SplitFraction(from_split="train", fraction=0.2, into="validation", rest="train")
    found = follow_lineage([cut, COPIES, RepeatClass(split="train", label=1, times=4), again])
    assert not found.straddles("test", "train")
    assert found.straddles("validation", "train") == {CHANGED, REPEATED}
    assert found.deciding_steps("test") == (0,)


def test_copies_of_a_sample_keep_its_official_part():
    assert not follow_lineage([RepeatClass(label=1, times=9), OFFICIAL]).straddles("test", "train")


def test_removed_duplicates_are_remembered():
    assert follow_lineage([DropRepeats(split="all"), OFFICIAL]).straddles("test", "train") == {CLEANED}
    cleaned = follow_lineage([OFFICIAL, DropSamePictures(split="train", of=("test",))]).cleaned
    assert cleaned == {frozenset({"train", "test"})}


def test_a_copy_is_divided_with_its_original():
    steps = [
        CopySplit(from_split="all", into="kept"),
        SplitFraction(from_split="all", fraction=0.5, into="a", rest="b"),
        MergeSplits(splits=("a", "kept"), into="train"),
        RenameSplit(from_split="b", into="test"),
    ]
    found = follow_lineage(steps)
    assert found.shared("test", "train") == found.splits["test"].cells
    gone = follow_lineage([*steps[:2], DropSplit(split="a")])
    assert set(gone.splits) == {"kept", "b"}
