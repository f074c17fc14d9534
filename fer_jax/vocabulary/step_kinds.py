"""The vocabulary of data preparation: one frozen struct per step. What is drawn again for every epoch is in
``augmentations.py``.

No JAX and no NumPy here. ``split_plan.py`` has the arithmetic of split names and image sizes, and ``steps.py`` applies
the steps to the samples.

Samples are in named splits. At first there is one, ``all``. At the end there must be ``train`` and at least one of
``validation`` and ``test``. A step that cuts a split consumes it; its parts may reuse the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

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
from fer_jax.vocabulary.errors import UserError
from fer_jax.vocabulary.layers import ordinal_names
from fer_jax.vocabulary.step_struct import PositiveInt, SplitName, StepStruct

Usages = Annotated[tuple[Literal["Training", "PublicTest", "PrivateTest"], ...], msgspec.Meta(min_length=1)]
Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
FIRST_SPLIT = "all"


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
    """Resize the images of the named splits (all splits if none is named) to size x size pixels.

    method: `area` only shrinks, `bilinear` and `bicubic` enlarge too. form: whose: that of `opencv` (cv2.resize; a
        smaller image is read at single places), of `pillow` (Image.resize; a smaller image is a weighted mean of all
        pixels) or of `tensorflow` (tf.image.resize). They differ most for bicubic. `area` is OpenCV's.
    rounding: how the values become integers: `truncate` as int() does, or `round` to the nearest.
    """

    size: PositiveInt
    method: Literal["area", "bilinear", "bicubic"] = "area"
    splits: tuple[SplitName, ...] = ()
    rounding: Literal["truncate", "round"] = "round"
    form: Literal["opencv", "pillow", "tensorflow"] = "opencv"
    later_fields: ClassVar[tuple[str, ...]] = ("form",)


class EqualiseHistogram(StepStruct, frozen=True, kw_only=True, tag="equalise_histogram"):
    """Spread the gray levels of each image of the named splits (all splits if none is named) so that they are equally
    frequent: cv2.equalizeHist."""

    splits: tuple[SplitName, ...] = ()


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


class VoteTargets(StepStruct, frozen=True, kw_only=True, tag="vote_targets"):
    """Train on the shares of the votes that FER+ has for each sample, in place of its label: the cross-entropy is that
    of all seven emotions (Barsoum et al. 2016, which trains on eight). A sample without a vote for any of them keeps
    its label. Evaluation is by the labels.

    file: fer2013new.csv, in the working directory or beside the spec. sha256: of this file, so that other votes are
    another run.
    """

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


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
    | EqualiseHistogram
    | Standardise
    | RandomCrop
    | RandomResizedCrop
    | RandomAffine
    | RandomJitter
    | RandomErasing
    | Mixup
    | CutMix
    | AverageViews
    | TrainOnCrops
    | VoteTargets
)


# Steps that change what samples look like, but neither which there are nor where.
PIXEL_STEPS = (
    Resize,
    EqualiseHistogram,
    Normalise,
    RandomFlip,
    Standardise,
    RandomCrop,
    RandomResizedCrop,
    RandomAffine,
    RandomJitter,
    RandomErasing,
    Mixup,
    CutMix,
    AverageViews,
    TrainOnCrops,
    VoteTargets,
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
