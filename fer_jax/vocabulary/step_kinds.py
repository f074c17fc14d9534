"""The vocabulary of data preparation: one frozen struct per step, and the arithmetic of split names and image sizes.

No JAX and no NumPy here. ``steps.py`` applies the steps to the samples.

Samples are in named splits. At first there is one, ``all``. At the end there must be ``train`` and at least one of
``validation`` and ``test``. A step that cuts a split consumes it; its parts may reuse the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import ordinal_names

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
SplitName = Annotated[str, msgspec.Meta(pattern=r"^(?![a-z0-9_]*[^a-z0-9_])[a-z][a-z0-9_]{0,99}$")]
Usages = Annotated[tuple[Literal["Training", "PublicTest", "PrivateTest"], ...], msgspec.Meta(min_length=1)]
Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
FIRST_SPLIT = "all"


class StepStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="step"):
    """What all steps share."""


class SplitByUsage(StepStruct, frozen=True, kw_only=True, tag="split_by_usage"):
    """Parts by the official Usage column. Samples of a usage that no part names are dropped. A usage in two parts puts
    its samples into both."""

    into: Annotated[dict[SplitName, Usages], msgspec.Meta(min_length=1)]
    from_split: SplitName = FIRST_SPLIT


class Shuffle(StepStruct, frozen=True, kw_only=True, tag="shuffle"):
    """Shuffle the samples of a split."""

    split: SplitName = FIRST_SPLIT


class SplitFraction(StepStruct, frozen=True, kw_only=True, tag="split_fraction"):
    """Shuffle, then cut: the first int(rows * fraction) samples go to `into`, the others to `rest`.

    stratified: each class is shuffled and cut separately; both parts then hold their classes in label order.
    lose_boundary_row: the slices are [:length] and [length + 1:], so that the sample between them (one per class, if
        stratified) is in neither.
    """

    from_split: SplitName = FIRST_SPLIT
    fraction: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    into: SplitName
    rest: SplitName
    stratified: bool = False
    lose_boundary_row: bool = False


class SplitLast(StepStruct, frozen=True, kw_only=True, tag="split_last"):
    """The last `count` samples, in their order, go to `into`, those before them to `rest`."""

    from_split: SplitName = FIRST_SPLIT
    count: PositiveInt
    into: SplitName
    rest: SplitName


class RepeatClass(StepStruct, frozen=True, kw_only=True, tag="repeat_class"):
    """Oversampling: the samples of one class are removed and appended at the end, each `times` times in a row."""

    split: SplitName = FIRST_SPLIT
    label: Emotion | Annotated[int, msgspec.Meta(ge=0, le=6)]
    times: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Resize(StepStruct, frozen=True, kw_only=True, tag="resize"):
    """Shrink the images of the named splits (all splits if none is named) to size x size pixels by area interpolation.

    rounding: how the means become integers: `truncate` as int() does, or `round` to the nearest.
    """

    size: PositiveInt
    method: Literal["area"] = "area"
    splits: tuple[SplitName, ...] = ()
    rounding: Literal["truncate", "round"] = "round"


class TransformStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What all transforms of an image share."""


class FlipHorizontal(TransformStruct, frozen=True, kw_only=True, tag="flip_horizontal"):
    """Mirror left and right."""


class Rotate(TransformStruct, frozen=True, kw_only=True, tag="rotate"):
    """Rotate counter-clockwise about (W / 2, H / 2), bilinear, black outside; `positions`: see images.rotate."""

    degrees: float
    positions: Literal["exact", "1/32"] = "exact"


class AugmentCopies(StepStruct, frozen=True, kw_only=True, tag="augment_copies"):
    """Add one transformed copy of every sample of a split per transform. The copies come right after their sample
    (`after_each`) or, transform by transform, after all samples (`at_end`)."""

    split: SplitName
    transforms: Annotated[tuple[FlipHorizontal | Rotate, ...], msgspec.Meta(min_length=1, max_length=200)]
    order: Literal["after_each", "at_end"] = "after_each"


class CopySplit(StepStruct, frozen=True, kw_only=True, tag="copy_split"):
    """The same samples under a second name."""

    from_split: SplitName
    into: SplitName


class RenameSplit(StepStruct, frozen=True, kw_only=True, tag="rename_split"):
    """The same samples under another name."""

    from_split: SplitName
    into: SplitName


class MergeSplits(StepStruct, frozen=True, kw_only=True, tag="merge_splits"):
    """Join the samples of several splits, one split after the other."""

    splits: Annotated[tuple[SplitName, ...], msgspec.Meta(min_length=2)]
    into: SplitName


class DropSplit(StepStruct, frozen=True, kw_only=True, tag="drop_split"):
    """Leave a split out."""

    split: SplitName


class DropSamePictures(StepStruct, frozen=True, kw_only=True, tag="drop_same_pictures"):
    """Leave out samples that show the same image as a sample of the splits `of`: the same imported row, equal pixels,
    or a near duplicate that `fer_jax.duplicates.search` finds among the imported images."""

    split: SplitName = "train"
    of: Annotated[tuple[SplitName, ...], msgspec.Meta(min_length=1)]


class DropUnrelated(StepStruct, frozen=True, kw_only=True, tag="drop_unrelated"):
    """The control of `drop_same_pictures`: leave out as many samples of each class as that step would, drawn at random
    from the samples without a copy in the splits `of`. The result has the same size and class counts as after that
    step, but keeps every copy."""

    split: SplitName = "train"
    of: Annotated[tuple[SplitName, ...], msgspec.Meta(min_length=1)]


class DropRepeats(StepStruct, frozen=True, kw_only=True, tag="drop_repeats"):
    """Of the samples of a split that show the same image (as for `drop_same_pictures`) keep the first."""

    split: SplitName


class Normalise(StepStruct, frozen=True, kw_only=True, tag="normalise"):
    """(pixel - subtract) / divide, for all splits, at most once. Samples stay uint8, because the device computes it."""

    subtract: float = 0.0
    divide: Annotated[float, msgspec.Meta(gt=0.0)] = 255.0


class RandomFlip(StepStruct, frozen=True, kw_only=True, tag="random_flip"):
    """Mirror each image left and right with this probability, drawn again at every use: in training, and in evaluation
    for the other named splits. Samples stay unchanged, because the device mirrors them batch by batch."""

    splits: Annotated[tuple[SplitName, ...], msgspec.Meta(min_length=1)] = ("train",)
    probability: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.5


Step = (
    SplitByUsage
    | Shuffle
    | SplitFraction
    | SplitLast
    | RepeatClass
    | Resize
    | AugmentCopies
    | CopySplit
    | RenameSplit
    | MergeSplits
    | DropSplit
    | DropSamePictures
    | DropUnrelated
    | DropRepeats
    | Normalise
    | RandomFlip
)


def moved_rows(step: Step) -> tuple[set[str], set[str]]:
    """(splits that the step makes, splits that their samples came from); empty sets if no sample changes its split."""
    match step:
        case SplitByUsage(into=into):
            return set(into), {step.from_split}
        case SplitFraction() | SplitLast():
            return {step.into, step.rest}, {step.from_split}
        case CopySplit() | RenameSplit():
            return {step.into}, {step.from_split}
        case MergeSplits():
            return {step.into}, set(step.splits)
        case _:
            return set(), set()


def splits_before(splits: set[str], step: Step) -> set[str]:
    """The splits that the samples of some splits were in before the step."""
    made, sources = moved_rows(step)
    return (splits - made) | sources if splits & made else splits


class StepError(UserError, ValueError):
    """A step cannot be applied. `index` is its place in the list, counted from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def step_names(steps: Iterable[Step]) -> tuple[str, ...]:
    """Names by kind and ordinal: shuffle1, split_fraction1, split_fraction2, ..."""
    return ordinal_names(str(step.__struct_config__.tag) for step in steps)


class SplitPlan:
    """What is known of the splits without their samples: names, and image sizes in pixels."""

    def __init__(self, image_size: int) -> None:
        self.index = 0
        self.sizes = {FIRST_SPLIT: image_size}
        self.normalise: Normalise | None = None
        self.flips: dict[str, tuple[int, float]] = {}  # split -> (index of the step, probability)

    def error(self, message: str) -> StepError:
        return StepError(self.index, message)

    def need(self, *names: str) -> None:
        for name in names:
            if name not in self.sizes:
                raise self.error(f"there is no split '{name}' here; there are: {', '.join(self.sizes)}")

    def add(self, size: int, *names: str) -> None:
        for name in names:
            if name in self.sizes:
                raise self.error(f"there is a split '{name}' already; there are: {', '.join(self.sizes)}")
            self.sizes[name] = size

    def change_pixels(self, *names: str) -> None:
        self.need(*names)
        if self.normalise:
            raise self.error("it reads pixel values and must come before `normalise`")

    def follow(self, step: Step) -> None:
        """Apply the step to the names and sizes."""
        match step:
            case Shuffle(split=split) | RepeatClass(split=split) | DropRepeats(split=split):
                self.need(split)
            case DropSamePictures(split=split, of=of) | DropUnrelated(split=split, of=of):
                self.need(split, *of)
                if split in of:
                    raise self.error(f"`of` names '{split}' itself; `drop_repeats` compares a split with itself")
            case DropSplit(split=split):
                self.need(split)
                del self.sizes[split]
            case SplitByUsage(from_split=source, into=into):
                self.need(source)
                self.add(self.sizes.pop(source), *into)
            case SplitFraction(from_split=source, into=into, rest=rest):
                self.need(source)
                if not 0 < step.fraction < 1:
                    raise self.error(f"`fraction` must lie between 0 and 1, not be {step.fraction}")
                self.add(self.sizes.pop(source), into, rest)
            case SplitLast(from_split=source, into=into, rest=rest):
                self.need(source)
                self.add(self.sizes.pop(source), into, rest)
            case CopySplit(from_split=source, into=into):
                self.need(source)
                self.add(self.sizes[source], into)
            case RenameSplit(from_split=source, into=into):
                self.need(source)
                self.add(self.sizes.pop(source), into)
            case MergeSplits(splits=splits, into=into):
                self.need(*splits)
                if len(set(splits)) < len(splits):
                    raise self.error("`splits` names a split twice")
                self.add(self._one_size([self.sizes.pop(name) for name in splits], splits), into)
            case Resize(size=size):
                names = step.splits or tuple(self.sizes)
                self.change_pixels(*names)
                for name in names:
                    if size > self.sizes[name]:
                        raise self.error(
                            f"area interpolation only shrinks; '{name}' has {self.sizes[name]} pixels, not {size}"
                        )
                    self.sizes[name] = size
            case AugmentCopies(split=split):
                self.change_pixels(split)
            case Normalise():
                if self.normalise:
                    raise self.error("`normalise` may be used only once")
                self.normalise = step
            case RandomFlip(splits=splits, probability=probability):
                for name in splits:
                    if name in self.flips:
                        raise self.error(f"split '{name}' has a `random_flip` already")
                    self.flips[name] = (self.index, probability)

    def _one_size(self, sizes: list[int], names: Iterable[str]) -> int:
        if len(set(sizes)) > 1:
            found = ", ".join(f"'{name}' {size}" for name, size in zip(names, sizes, strict=True))
            raise self.error(f"the splits have images of different sizes in pixels: {found}")
        return sizes[0]

    def finish(self) -> int:
        """The size of all images, once the steps have ended as they must."""
        if "train" not in self.sizes or not {"validation", "test"} & set(self.sizes):
            raise self.error(
                "the steps must end with a split 'train' and with 'validation' or 'test'; "
                f"they end with: {', '.join(self.sizes) or 'none'}"
            )
        size = self._one_size(list(self.sizes.values()), self.sizes)
        for name, (index, _) in self.flips.items():
            self.index = index
            self.need(name)
        return size


def follow_steps(steps: Iterable[Step], image_size: int) -> tuple[SplitPlan, int]:
    plan = SplitPlan(image_size)
    for plan.index, step in enumerate(steps):
        plan.follow(step)
    return plan, plan.finish()


def check_steps(steps: Iterable[Step], image_size: int = 48) -> tuple[tuple[str, ...], int]:
    """(names of the final splits, size of their images in pixels), found without data.

    Raises StepError if a step names a missing split, makes an existing one, or asks for an impossible size, and if the
    steps do not end with the splits that training needs.
    """
    plan, size = follow_steps(steps, image_size)
    return tuple(plan.sizes), size
