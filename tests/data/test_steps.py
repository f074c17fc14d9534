"""Data steps: what they do to rows, origins and names; counts against the documents' arithmetic."""

import numpy as np
import pytest

from fer_jax.data import images
from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.augmentations import RandomCrop
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS, USAGES
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    DropSplit,
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
    Step,
    StepError,
    step_names,
)

OFFICIAL_CLASSES = tuple(sum(counts) for counts in zip(*OFFICIAL_COUNTS.values(), strict=True))
BY_USAGE = SplitByUsage(into={"train": ("Training",), "validation": ("PublicTest",), "test": ("PrivateTest",)})


def _faces(rows: int = 210, size: int = 6, labels=None, usage=None) -> Faces:
    """Noise, so that a row can be told from every other; classes and usages take turns unless given."""
    rng = np.random.default_rng(3)
    return Faces(
        rng.integers(0, 256, (rows, size, size), dtype=np.uint8),
        (np.arange(rows) % 7 if labels is None else labels).astype(np.uint8),
        (np.arange(rows) // 7 % 3 if usage is None else usage).astype(np.uint8),
        np.arange(rows, dtype=np.int32),
    )


def _official() -> Faces:
    """As many rows per usage and class as the official file has, of 2 x 2 pixels."""
    table = [(label, usage, n) for usage, name in enumerate(USAGES) for label, n in enumerate(OFFICIAL_COUNTS[name])]
    labels, usage, counts = (np.array(column) for column in zip(*table, strict=True))
    return _faces(int(counts.sum()), 2, np.repeat(labels, counts), np.repeat(usage, counts))


def _assert_untouched(faces: Faces, part: Faces) -> None:
    """Every row of the part is the row that its origin names."""
    np.testing.assert_array_equal(part.images, faces.images[part.origin])
    np.testing.assert_array_equal(part.labels, faces.labels[part.origin])
    np.testing.assert_array_equal(part.usage, faces.usage[part.origin])


def _halves(*steps: Step) -> tuple[Step, ...]:
    """The steps on `all`, then a cut without randomness."""
    return (*steps, SplitLast(count=10, into="validation", rest="train"))


def test_split_by_usage():
    faces = _faces()
    prepared = apply_steps(faces, [BY_USAGE], seed=0)
    assert list(prepared.splits) == ["train", "validation", "test"]
    for usage, part in enumerate(prepared.splits.values()):
        np.testing.assert_array_equal(part.origin, np.flatnonzero(faces.usage == usage))
        _assert_untouched(faces, part)


def test_split_by_usage_may_overlap_and_drop():
    step = SplitByUsage(into={"train": ("PublicTest", "PrivateTest"), "test": ("PrivateTest",)})
    splits = apply_steps(_faces(), [step], seed=0).splits
    assert {name: len(part) for name, part in splits.items()} == {"train": 140, "test": 70}
    assert set(splits["test"].origin) <= set(splits["train"].origin)
    assert not (splits["train"].usage == 0).any()


def test_shuffle_moves_rows_and_keeps_them():
    faces = _faces()
    splits = apply_steps(faces, _halves(Shuffle()), seed=1).splits
    origins = np.concatenate([splits["train"].origin, splits["validation"].origin])
    assert sorted(origins) == list(range(210))
    assert (origins != np.arange(210)).mean() > 0.9
    for part in splits.values():
        _assert_untouched(faces, part)


def test_shuffle_reaches_every_place():
    """The row that comes first is uniform: 300 seeds over 5 rows, each 60 times; 5 standard deviations are 35."""
    faces, steps = _faces(5), (Shuffle(), SplitLast(count=1, into="test", rest="train"))
    first = [int(apply_steps(faces, steps, seed).splits["train"].origin[0]) for seed in range(300)]
    assert np.abs(np.bincount(first, minlength=5) - 60).max() < 35


def test_random_steps_depend_on_seed_place_and_nothing_behind_them():
    faces = _faces()
    steps = (Shuffle(), SplitFraction(fraction=0.2, into="validation", rest="train"))
    longer = (*steps, RepeatClass(split="train", label="disgust", times=3), Shuffle(split="train"))
    once, again = apply_steps(faces, steps, 5), apply_steps(faces, steps, 5)
    other, more = apply_steps(faces, steps, 6), apply_steps(faces, longer, 5)
    twice = apply_steps(faces, (Shuffle(), *steps), 5)
    validation = once.splits["validation"].origin
    np.testing.assert_array_equal(validation, again.splits["validation"].origin)
    np.testing.assert_array_equal(validation, more.splits["validation"].origin)
    assert (validation != other.splits["validation"].origin).any()
    assert (validation != twice.splits["validation"].origin).any()
    # The permutation itself, so that a new NumPy cannot change published splits unseen.
    order = apply_steps(_faces(8), (Shuffle(), SplitLast(count=1, into="test", rest="train")), 0).splits
    assert [*order["train"].origin.tolist(), *order["test"].origin.tolist()] == [3, 4, 0, 5, 7, 1, 6, 2]


def test_split_fraction_takes_int_of_the_product():
    faces = _faces(208)
    splits = apply_steps(faces, [SplitFraction(fraction=0.3, into="test", rest="train")], 0).splits
    assert (len(splits["test"]), len(splits["train"])) == (62, 146)  # int(62.4)
    assert sorted(np.concatenate([part.origin for part in splits.values()])) == list(range(208))
    assert (np.diff(splits["test"].origin) < 0).any()  # shuffled before the cut
    step = SplitFraction(fraction=0.3, into="test", rest="train", lose_boundary_row=True)
    shorter = apply_steps(faces, [step], 0).splits
    np.testing.assert_array_equal(shorter["test"].origin, splits["test"].origin)
    np.testing.assert_array_equal(shorter["train"].origin, splits["train"].origin[1:])


def test_split_fraction_stratified_on_the_official_counts():
    """basani2017's takeRandom: a[:int(n * 0.2)] and a[int(n * 0.2) + 1:] of each class."""
    assert OFFICIAL_CLASSES == (4953, 547, 5121, 8989, 6077, 4002, 6198)
    faces = _official()
    step = SplitFraction(fraction=0.2, into="test", rest="train", stratified=True, lose_boundary_row=True)
    splits = apply_steps(faces, [step], 0).splits
    # 0.2 x 4,953 = 990.6; 109.4; 1,024.2; 1,797.8; 1,215.4; 800.4; 1,239.6
    assert splits["test"].class_counts() == (990, 109, 1024, 1797, 1215, 800, 1239)
    assert len(splits["test"]) == 7174
    assert splits["train"].class_counts() == (3962, 437, 4096, 7191, 4861, 3201, 4958)
    assert len(splits["train"]) == 35887 - 7174 - 7
    for part in splits.values():
        assert (np.diff(part.labels.astype(int)) >= 0).all()  # classes in label order
        angry = part.origin[part.labels == 0]
        assert (np.diff(angry) < 0).any()  # shuffled within the class
        _assert_untouched(faces, part)


def test_basani_listing_counts():
    """The listing's order: split, add a mirrored and a rotated copy, disgust four times, split again: it leaks."""
    steps = (
        Resize(size=2, rounding="truncate"),
        SplitFraction(fraction=0.2, into="test", rest="train", stratified=True, lose_boundary_row=True),
        AugmentCopies(split="train", transforms=(FlipHorizontal(), Rotate(degrees=10))),
        RepeatClass(split="train", label="disgust", times=4),
        SplitFraction(
            from_split="train", fraction=0.2, into="validation", rest="train", stratified=True, lose_boundary_row=True
        ),
        Shuffle(split="train"),
        Shuffle(split="validation"),
        Normalise(),
    )
    prepared = apply_steps(_official(), steps, 0)
    # train: 3 x 28,706 = 86,118; disgust 3 x 437 = 1,311 -> 5,244: 90,051 rows in all
    assert prepared.log[2] == ("augment_copies1", {"test": 7174, "train": 86118})
    assert prepared.log[3] == ("repeat_class1", {"test": 7174, "train": 90051})
    # a fifth of 11,886; 5,244; 12,288; 21,573; 14,583; 9,603; 14,874
    assert prepared.splits["validation"].class_counts() == (2377, 1048, 2457, 4314, 2916, 1920, 2974)
    assert len(prepared.splits["train"]) == 90051 - 18006 - 7
    leaked = np.isin(prepared.splits["validation"].origin, prepared.splits["train"].origin)
    assert leaked.mean() > 0.9
    assert not np.isin(prepared.splits["test"].origin, prepared.splits["train"].origin).any()


def test_chavan_counts():
    """35,887 - 547 + 9 x 547 = 40,263 rows, the last 1,000 to validation: copies of one face on both sides."""
    faces = _official()
    steps = (
        RepeatClass(label="disgust", times=9),
        Shuffle(),
        SplitLast(count=1000, into="validation", rest="train"),
        Normalise(),
    )
    prepared = apply_steps(faces, steps, 0)
    assert prepared.log == (
        ("repeat_class1", {"all": 40263}),
        ("shuffle1", {"all": 40263}),
        ("split_last1", {"validation": 1000, "train": 39263}),
        ("normalise1", {"validation": 1000, "train": 39263}),
    )
    origins = np.concatenate([part.origin for part in prepared.splits.values()])
    np.testing.assert_array_equal(np.bincount(origins), np.where(faces.labels == 1, 9, 1))
    assert np.isin(prepared.splits["validation"].origin, prepared.splits["train"].origin).any()


def test_split_last_keeps_the_order():
    splits = apply_steps(_faces(), _halves(), 0).splits
    np.testing.assert_array_equal(splits["validation"].origin, np.arange(200, 210))
    np.testing.assert_array_equal(splits["train"].origin, np.arange(200))


@pytest.mark.parametrize("label", ["disgust", 1])
def test_repeat_class(label):
    faces = _faces(21)
    steps = (CopySplit(from_split="all", into="test"), RepeatClass(label=label, times=3))
    train = apply_steps(faces, (*steps, RenameSplit(from_split="all", into="train")), 0).splits["train"]
    others = [row for row in range(21) if row % 7 != 1]
    assert train.origin.tolist() == [*others, 1, 1, 1, 8, 8, 8, 15, 15, 15]
    _assert_untouched(faces, train)


@pytest.mark.parametrize(("rounding", "function"), [("truncate", np.floor), ("round", np.rint)])
def test_resize(rounding, function):
    faces = _faces(size=12)
    prepared = apply_steps(faces, (Shuffle(), BY_USAGE, Resize(size=7, rounding=rounding)), 0)
    assert prepared.image_size == 7
    for part in prepared.splits.values():
        expected = function(images.resize_area(faces.images[part.origin], 7))
        np.testing.assert_array_equal(part.images, expected.astype(np.uint8))
        np.testing.assert_array_equal(part.labels, faces.labels[part.origin])


def test_resize_named_splits():
    faces = _faces()
    steps = [BY_USAGE, *(Resize(size=3, splits=names) for names in (("train",), ("validation", "test")))]
    prepared = apply_steps(faces, steps, 0)
    assert {part.images.shape[1:] for part in prepared.splits.values()} == {(3, 3)}
    with pytest.raises(StepError, match="different sizes in pixels: 'train' 3, 'validation' 6"):
        check_steps(steps[:2], 6)


@pytest.mark.parametrize("order", ["after_each", "at_end"])
def test_augment_copies(order):
    faces = _faces(70)
    transforms = (FlipHorizontal(), Rotate(degrees=10), Rotate(degrees=-30, positions="1/32"))
    steps = _halves(), (AugmentCopies(split="train", transforms=transforms, order=order),)
    splits = apply_steps(faces, [*steps[0], *steps[1]], 0).splits
    train = splits["train"]
    assert len(train) == 4 * 60 and len(splits["validation"]) == 10
    rows = np.arange(60)
    np.testing.assert_array_equal(train.origin, np.repeat(rows, 4) if order == "after_each" else np.tile(rows, 4))
    np.testing.assert_array_equal(train.labels, faces.labels[train.origin])
    expected = [
        faces.images,
        faces.images[:, :, ::-1],
        images.rotate(faces.images, 10),
        images.rotate(faces.images, -30, positions="1/32"),
    ]
    for copy, pixels in enumerate(expected):
        chosen = np.arange(copy, 240, 4) if order == "after_each" else np.arange(60 * copy, 60 * copy + 60)
        np.testing.assert_array_equal(train.images[chosen], pixels[:60])


def test_copy_split_gives_the_training_rows_twice():
    steps = (BY_USAGE, DropSplit(split="test"), CopySplit(from_split="train", into="test"))
    splits = apply_steps(_faces(), steps, 0).splits
    np.testing.assert_array_equal(splits["test"].origin, splits["train"].origin)
    assert len(splits["test"]) == 70 and len(splits["validation"]) == 70


def test_merge_rename_drop():
    steps = (
        BY_USAGE,
        MergeSplits(splits=("test", "train"), into="train"),
        CopySplit(from_split="validation", into="spare"),
        RenameSplit(from_split="validation", into="test"),
        DropSplit(split="spare"),
    )
    faces = _faces()
    splits = apply_steps(faces, steps, 0).splits
    assert set(splits) == {"train", "test"}
    expected = [*np.flatnonzero(faces.usage == 2), *np.flatnonzero(faces.usage == 0)]
    assert splits["train"].origin.tolist() == expected
    np.testing.assert_array_equal(splits["test"].usage, 1)


def test_normalise_and_random_flip_leave_the_rows_alone():
    faces = _faces()
    flips = (RandomFlip(splits=("train",), probability=0.5), RandomFlip(splits=("validation",), probability=0.25))
    prepared = apply_steps(faces, (BY_USAGE, Normalise(subtract=128.0, divide=64.0), *flips), 0)
    assert (prepared.subtract, prepared.divide) == (128.0, 64.0)
    assert prepared.random_flip == {"train": 0.5, "validation": 0.25}
    for part in prepared.splits.values():
        _assert_untouched(faces, part)
    plain = apply_steps(faces, [BY_USAGE], 0)
    assert (plain.subtract, plain.divide, plain.random_flip) == (0.0, 1.0, {})


def test_the_given_faces_are_not_written_to():
    faces = _faces()
    before = faces.images.copy(), faces.labels.copy()
    faces.images.setflags(write=False)
    augment = AugmentCopies(split="train", transforms=(FlipHorizontal(),))
    apply_steps(faces, (Resize(size=3), Shuffle(), BY_USAGE, augment), 0)
    np.testing.assert_array_equal(faces.images, before[0])
    np.testing.assert_array_equal(faces.labels, before[1])


def test_too_few_rows():
    with pytest.raises(StepError, match="cannot cut 300 samples off 'all': it has 210") as caught:
        apply_steps(_faces(), (Shuffle(), SplitLast(count=300, into="test", rest="train")), 0)
    assert caught.value.index == 1
    with pytest.raises(StepError, match="split 'test' is left without samples"):
        apply_steps(_faces(4), [SplitFraction(fraction=0.1, into="test", rest="train")], 0)
    with pytest.raises(StepError, match="split 'validation' is left without samples"):
        apply_steps(_faces(7), [BY_USAGE], 0)


def test_images_must_be_square():
    faces = _faces()
    flat = Faces(faces.images[:, :4], faces.labels, faces.usage, faces.origin)
    with pytest.raises(ValueError, match="square images, not 4 x 6"):
        apply_steps(flat, [BY_USAGE], 0)


def test_check_steps_says_what_apply_steps_does():
    steps = (Resize(size=28), Shuffle(), BY_USAGE, CopySplit(from_split="test", into="spare"), Normalise())
    assert check_steps(steps) == (("train", "validation", "test", "spare"), 28)
    prepared = apply_steps(_faces(size=48), steps, 0)
    assert (tuple(prepared.splits), prepared.image_size) == check_steps(steps)
    assert [name for name, _ in prepared.log] == list(step_names(steps))


def test_a_crop_leaves_the_samples_alone_and_changes_the_size_of_the_input():
    faces = _faces()
    steps = (BY_USAGE, Resize(size=9, method="bicubic", form="pillow"), RandomCrop(size=4))
    prepared = apply_steps(faces, steps, 0)
    assert (prepared.image_size, prepared.pipeline.stored_size) == (4, 9)
    assert {part.images.shape[1:] for part in prepared.splits.values()} == {(9, 9)}
    assert check_steps(steps, 6)[1] == 4


def test_equalise_histogram_of_some_splits():
    faces = _faces()
    faces = faces.changed(images=faces.images // 8 + 50)
    prepared = apply_steps(faces, (BY_USAGE, EqualiseHistogram(splits=("train",))), 0)
    assert prepared.splits["train"].images.max() == 255 and prepared.splits["test"].images.max() < 90
