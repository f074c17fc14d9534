"""The corrected protocols: which steps of a paper they keep, and that no sample is in two splits."""

import msgspec
import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.augmentations import AverageViews, Mixup, RandomAffine, RandomCrop, RandomErasing, Standardise
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.settings import EarlyStopping, ReduceOnPlateau
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    DropRepeats,
    DropUnrelated,
    EqualiseHistogram,
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
    StepError,
)
from repro.specs.catalog import all_papers, find_paper
from repro.specs.protocols import (
    AS_PUBLISHED,
    CLEAN,
    COMPLETE_SPLIT,
    CORRECTED,
    OFFICIAL,
    PLACEBO,
    RUNNABLE,
    training_steps,
    under_protocol,
)

PAPERS = [paper.id for paper in all_papers()]


def faces(rows: int = 1274) -> Faces:
    """Noise of 48 pixels, 7 rows of each usage in turn. The last 300 rows show pictures of rows of another usage."""
    images = np.random.default_rng(5).integers(0, 256, (rows, 48, 48), dtype=np.uint8)
    images[974:] = images[337:637]
    labels = np.arange(rows) % len(EMOTIONS)
    usage = np.arange(rows) // 7 % 3
    return Faces(images, labels.astype(np.uint8), usage.astype(np.uint8), np.arange(rows, dtype=np.int32))


def pictures() -> np.ndarray:
    rows = np.arange(1274)
    return np.where(rows < 974, rows, rows - 637)


def origins(protocol, paper, seed=0):
    spec = under_protocol(find_paper(paper).resolve("default"), protocol)
    return spec, apply_steps(faces(), spec.data.steps, seed, pictures).splits


def test_as_published_is_the_paper():
    for paper in all_papers():
        assert under_protocol(paper.resolve("default"), AS_PUBLISHED) is paper.spec


@pytest.mark.parametrize("protocol", CORRECTED)
@pytest.mark.parametrize("paper", PAPERS)
def test_no_row_of_one_part_is_trained_or_evaluated_in_another(paper, protocol):
    spec, splits = origins(protocol, paper)
    assert set(splits) - {COMPLETE_SPLIT} == {"train", "validation", "test"}
    for name, usage in (("train", 0), ("validation", 1), ("test", 2)):
        assert (splits[name].usage == usage).all()
        assert name == "train" or (splits[name].copied_by == -1).all()
    assert spec.training.evaluate == ("validation",)
    assert spec.model == find_paper(paper).spec.model


@pytest.mark.parametrize("paper", PAPERS)
def test_clean_leaves_no_picture_on_two_sides_nor_twice_in_an_evaluated_part(paper):
    _, official = origins(OFFICIAL, paper)
    _, clean = origins(CLEAN, paper)
    shown = {name: pictures()[rows.origin] for name, rows in clean.items()}
    assert not set(shown["train"]) & (set(shown["validation"]) | set(shown["test"]))
    assert not set(shown["validation"]) & set(shown["test"])
    for name in ("validation", "test"):
        assert len(set(shown[name])) == len(shown[name])
    assert set(shown["test"]) == set(pictures()[official["test"].origin]), "one of each picture stays"
    assert (clean[COMPLETE_SPLIT].origin == official["test"].origin).all(), "every test sample is predicted"
    assert len(clean["train"]) < len(official["train"]), "the planted pictures were there to be found"


@pytest.mark.parametrize("paper", PAPERS)
def test_placebo_trains_on_as_few_samples_of_each_class_as_clean_and_keeps_every_copy(paper):
    _, official = origins(OFFICIAL, paper)
    _, clean = origins(CLEAN, paper)
    spec, placebo = origins(PLACEBO, paper)
    assert set(placebo) == {"train", "validation", "test"}
    for name in ("validation", "test"):
        assert (placebo[name].origin == official[name].origin).all()
    assert placebo["train"].class_counts() == clean["train"].class_counts() != official["train"].class_counts()
    evaluated = pictures()[np.concatenate([official[name].origin for name in ("validation", "test")])]
    copies = {
        name: np.isin(pictures()[rows["train"].origin], evaluated)
        for name, rows in (("official", official), ("clean", clean), ("placebo", placebo))
    }
    assert copies["placebo"].sum() == copies["official"].sum() > copies["clean"].sum() == 0
    other = origins(PLACEBO, paper, seed=1)[1]["train"]
    assert set(other.origin) != set(placebo["train"].origin), "which samples go is redrawn for every seed"
    assert spec.training.evaluate == ("validation",)


def test_placebo_says_so_where_too_few_samples_have_no_copy():
    all_copies = faces().changed(labels=np.zeros(1274, np.uint8))
    steps = (
        SplitByUsage(into={"train": ("Training",), "test": ("PublicTest", "PrivateTest")}),
        DropUnrelated(of=("test",)),
    )
    with pytest.raises(StepError, match=r"cannot leave out .* of class 0: there are 0"):
        apply_steps(all_copies, steps, 0, lambda: np.zeros(1274, int))


def test_steps_that_make_the_training_pictures_stay_and_those_that_divide_go():
    assert training_steps(find_paper("basani2017").resolve("default").data.steps) == (
        Resize(size=28, rounding="truncate"),
        AugmentCopies(split="train", transforms=(FlipHorizontal(), Rotate(degrees=10.0, positions="1/32"))),
        RepeatClass(split="train", label="disgust", times=4),
        Shuffle(split="train"),
        Normalise(),
    )
    assert training_steps(find_paper("chavan2020").resolve("default").data.steps) == (
        RepeatClass(split="train", label="disgust", times=9),
        Shuffle(split="train"),
        Normalise(),
    )
    assert training_steps(find_paper("onghena").resolve("default").data.steps) == (
        RandomFlip(splits=("train",)),
        Normalise(),
    )
    assert training_steps(find_paper("teta2022").resolve("default").data.steps) == (Normalise(divide=1.0),)


def test_the_training_rows_are_followed_through_every_step_that_moves_them():
    steps = (
        SplitByUsage(into={"one": ("Training",), "two": ("PublicTest",), "three": ("PrivateTest",)}),
        RepeatClass(split="two", label="fear", times=2),
        RepeatClass(split="three", label="sad", times=2),
        MergeSplits(splits=("one", "two"), into="both"),
        SplitFraction(from_split="both", fraction=0.9, into="most", rest="few"),
        AugmentCopies(split="few", transforms=(FlipHorizontal(),)),
        DropRepeats(split="most"),
        CopySplit(from_split="most", into="copy"),
        Resize(size=24, splits=("most", "copy")),
        RenameSplit(from_split="copy", into="train"),
        SplitLast(from_split="three", count=3, into="validation", rest="test"),
        Shuffle(split="most"),
        RandomFlip(splits=("validation",)),
    )
    kept = training_steps(steps)
    assert kept == (RepeatClass(split="train", label="fear", times=2), DropRepeats(split="train"), Resize(size=24))


def test_what_is_done_to_two_parts_alike_before_they_are_joined_is_done_once():
    flip = (FlipHorizontal(),)
    steps = (
        SplitByUsage(into={"one": ("Training",), "two": ("PublicTest",), "test": ("PrivateTest",)}),
        *(AugmentCopies(split=name, transforms=flip) for name in ("one", "two")),
        Shuffle(split="one"),
        Shuffle(split="one"),
        MergeSplits(splits=("one", "two"), into="train"),
        AugmentCopies(split="train", transforms=flip),
    )
    again, shuffled = AugmentCopies(split="train", transforms=flip), Shuffle(split="train")
    assert training_steps(steps) == (again, shuffled, shuffled, again)


@pytest.mark.parametrize("paper", PAPERS)
def test_who_evaluates_the_training_rows_evaluates_them_all(paper):
    """A document's step counts are of the whole part: 898 steps of 32 are 28,709 rows, and not those without copies."""
    _, splits = origins("suspect-evaluated-on-training-rows", paper)
    whole = np.flatnonzero(faces().usage == 0)
    for name in ("validation", "test"):
        assert sorted(splits[name].origin) == whole.tolist(), "each row once, however often it is trained on"
    assert set(splits["train"].origin) == set(whole)


def test_selection_moves_to_public_test():
    training = under_protocol(find_paper("onghena").resolve("upstream"), OFFICIAL).training
    assert isinstance(training.schedule, ReduceOnPlateau) and training.schedule.split == "validation"
    best = under_protocol(find_paper("basani2017").resolve("best_validation"), CLEAN).training
    assert (best.report, best.report_split) == ("best", "validation")


@pytest.mark.parametrize("protocol", RUNNABLE)
def test_every_variant_of_every_paper_can_be_prepared_under_every_protocol(protocol):
    for paper in all_papers():
        for variant in paper.variant_names():
            check_steps(under_protocol(paper.resolve(variant), protocol).data.steps)


def test_what_is_drawn_every_epoch_stays_in_training_alone():
    """Views and statistics are moved to the splits of the protocol; a crop that only evaluates still sets the size."""
    steps = (
        EqualiseHistogram(splits=("all",)),
        SplitFraction(fraction=0.9, into="train", rest="test"),
        Resize(size=60, method="bicubic"),
        RandomCrop(size=40, splits=("train", "test")),
        RandomAffine(rotation=10.0, splits=("test",)),
        RandomErasing(splits=("train", "test")),
        Standardise(from_split="test"),
        Mixup(alpha=0.2),
        AverageViews(views="ten_crops", splits=("test",)),
    )
    assert training_steps(steps) == (
        EqualiseHistogram(),
        Resize(size=60, method="bicubic"),
        RandomCrop(size=40),
        RandomErasing(),
        Standardise(),
        Mixup(alpha=0.2),
        AverageViews(views="ten_crops"),
    )


def test_early_stopping_looks_at_the_validation_samples_alone():
    spec = find_paper("chavan2020").resolve("default")
    stopping = EarlyStopping(split="test", metric="loss", patience=3)
    training = msgspec.structs.replace(spec.training, early_stopping=stopping, evaluate=("test",))
    corrected = under_protocol(msgspec.structs.replace(spec, training=training), "clean")
    assert corrected.training.early_stopping == msgspec.structs.replace(stopping, split="validation")
    assert corrected.training.evaluate == ("validation",)
