"""The vocabulary of what is drawn again for every epoch, on the device: crops, affine maps, jitter, erasing, mixing,
and the views of a sample at test time. Frozen structs, no JAX here; `fer_jax.train.augment` has the arithmetic.

Each is a data step. The steps act in their order on gray levels from 0 to 255 that are not rounded in between;
`random_erasing` may follow `normalise`, and then acts on the network's input. Every draw depends on the run's seed, the
number of the batch and the sample's place in it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from fer_jax.vocabulary.step_struct import PositiveInt, SplitName, StepStruct

Splits = Annotated[tuple[SplitName, ...], msgspec.Meta(min_length=1)]
Probability = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
Range = tuple[NonNegative, NonNegative]
PositiveRange = tuple[Positive, Positive]


def _check_rising(**ranges: tuple[float, float]) -> None:
    for name, (low, high) in ranges.items():
        if low > high:
            raise ValueError(f"`{name}` must rise, not fall from {low:g} to {high:g}")


class RandomStep(StepStruct, frozen=True, kw_only=True):
    """What all random steps share. splits: those that are changed, drawn again at every use: `train` in training, other
    splits when they are evaluated. probability: of a sample to be changed at all."""

    splits: Splits = ("train",)
    probability: Probability = 1.0


class RandomCrop(StepStruct, frozen=True, kw_only=True, tag="random_crop"):
    """A square of size x size pixels, at a random place of the image with `padding` pixels of gray level `fill` around
    it, in the named splits: torchvision's RandomCrop. All other splits get the middle of the image (torchvision's
    CenterCrop), unless `average_views` names them."""

    size: PositiveInt
    padding: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    fill: float = 0.0
    splits: Splits = ("train",)


class RandomResizedCrop(StepStruct, frozen=True, kw_only=True, tag="random_resized_crop"):
    """A rectangle of a random share of the area (`scale`) and a random ratio of width to height (its logarithm is
    uniform), resized to size x size as Pillow's bilinear filter does, in the named splits: torchvision's
    RandomResizedCrop and its defaults. Of ten draws the first that fits into the image is taken; if none does, the
    whole image. All other splits get the middle of the image."""

    size: PositiveInt
    scale: PositiveRange = (0.08, 1.0)
    ratio: PositiveRange = (3 / 4, 4 / 3)
    splits: Splits = ("train",)

    def __post_init__(self) -> None:
        _check_rising(scale=self.scale, ratio=self.ratio)


class RandomAffine(RandomStep, frozen=True, kw_only=True, tag="random_affine"):
    """Rotation, shift, zoom and shear in one interpolation about the middle of the image.

    rotation, shear: degrees, uniform in +- the value. shift_x, shift_y: shares of the width and of the height, uniform
    in +- the value. zoom: uniform in this range.
    form: `keras` is the ImageDataGenerator: one zoom for each axis, of the places that are read, so that a value above
        1 shows the image smaller; shifts of parts of a pixel. `torchvision` is RandomAffine: one zoom for both axes, a
        value above 1 shows the image larger; shifts of whole pixels. The order of the maps differs too.
    fill: outside the image: the `nearest` pixel (default of Keras), `constant` gray of `fill_value` (torchvision), or
        the image mirrored (`reflect`). interpolation: `bilinear` (Keras), or the `nearest` pixel (default of
        torchvision).
    """

    rotation: NonNegative = 0.0
    shift_x: NonNegative = 0.0
    shift_y: NonNegative = 0.0
    zoom: PositiveRange = (1.0, 1.0)
    shear: Annotated[float, msgspec.Meta(ge=0.0, lt=90.0)] = 0.0
    form: Literal["keras", "torchvision"] = "keras"
    fill: Literal["nearest", "constant", "reflect"] = "nearest"
    fill_value: float = 0.0
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        _check_rising(zoom=self.zoom)


class RandomJitter(RandomStep, frozen=True, kw_only=True, tag="random_jitter"):
    """Brightness and contrast, each by a factor that is uniform in its range, in a random order: torchvision's
    ColorJitter, whose `brightness=0.5` is the range [0.5, 1.5]. Brightness multiplies the gray levels, as the
    brightness_range of Keras' ImageDataGenerator does; contrast their distance from the mean of the image. Both end in
    the range from 0 to 255."""

    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)

    def __post_init__(self) -> None:
        _check_rising(brightness=self.brightness, contrast=self.contrast)


class RandomErasing(RandomStep, frozen=True, kw_only=True, tag="random_erasing"):
    """A rectangle of a random share of the area and a random ratio of height to width (its logarithm is uniform) is set
    to `value`, at its place in the steps: a gray level, or behind `normalise` an input of the network. Zhong et al.
    2020; torchvision's RandomErasing and its defaults, except that it has value 0 behind the normalisation. Of ten
    draws the first that fits is taken; if none does, nothing is erased."""

    probability: Probability = 0.5
    area: PositiveRange = (0.02, 0.33)
    ratio: PositiveRange = (0.3, 3.3)
    value: float = 0.0

    def __post_init__(self) -> None:
        _check_rising(area=self.area, ratio=self.ratio)


class Mixup(StepStruct, frozen=True, kw_only=True, tag="mixup"):
    """Each training sample x of a batch becomes k x + (1 - k) y, y from a random order of the batch, and its loss
    k loss(label of x) + (1 - k) loss(label of y), k from Beta(alpha, alpha), one for the batch (Zhang et al. 2018 and
    their program). The training accuracy counts both labels with their shares. probability: of a batch to be mixed."""

    alpha: Positive = 1.0
    probability: Probability = 1.0


class CutMix(StepStruct, frozen=True, kw_only=True, tag="cutmix"):
    """As `mixup`, but y shows through one rectangle of about a share 1 - k of the area, at a random place of all
    images of the batch; k is then the share of the area that is left of x (Yun et al. 2019, algorithm A1)."""

    alpha: Positive = 1.0
    probability: Probability = 1.0


class AverageViews(StepStruct, frozen=True, kw_only=True, tag="average_views"):
    """At test time a sample is answered with the mean over several views of it.

    views: `flips`: as it is and mirrored; `five_crops`: the corners and the middle, of the size that `random_crop` has;
        `ten_crops`: these and their mirror images (torchvision's FiveCrop and TenCrop).
    splits: by default all but `train`. average: of the `probabilities`, or of the `logits` in front of them.
    """

    views: Literal["flips", "five_crops", "ten_crops"]
    splits: tuple[SplitName, ...] = ()
    average: Literal["probabilities", "logits"] = "probabilities"


class TrainOnCrops(StepStruct, frozen=True, kw_only=True, tag="train_on_crops"):
    """In training a sample becomes several crops of size x size pixels, each a sample of the batch and of the loss:
    torchvision's FiveCrop or TenCrop in the transforms of the training set, with the label repeated. The batch size
    and the order count samples. Steps in front change the sample, `random_erasing` behind `normalise` and `mixup` each
    crop. All other splits get the middle of the image, unless `average_views` names them."""

    views: Literal["five_crops", "ten_crops"]
    size: PositiveInt

    @property
    def count(self) -> int:
        """Crops of a sample."""
        return 5 if self.views == "five_crops" else 10


class Standardise(StepStruct, frozen=True, kw_only=True, tag="standardise"):
    """(pixel - mean) / deviation, in place of `normalise`; deviations of all values, divided by their number.

    of: `samples`: one mean and one deviation over all pixels of the split `from_split` as it is at this step; 1e-6 is
        added to the deviation (featurewise_center and featurewise_std_normalization of Keras' ImageDataGenerator, which
        for gray images are one number each). `pixels`: those of each place in the image over the samples of that split,
        as `X -= X.mean(axis=0); X /= X.std(axis=0)`; 1e-6 is added here too, so that a place of one gray level gives 0.
        It may follow `image`. `image`: those of each image itself. form, for `image`: `keras` adds 1e-6 to the
        deviation (samplewise_center, samplewise_std_normalization), `tensorflow` takes at least 1 / sqrt(pixels) for it
        (tf.image.per_image_standardization).
    """

    of: Literal["samples", "pixels", "image"] = "samples"
    from_split: SplitName = "train"
    form: Literal["keras", "tensorflow"] = "keras"


PixelValue = float | tuple[tuple[float, ...], ...]  # of all pixels, or of each: (height, width)
EachImage = Literal["", "keras", "tensorflow"]  # how each image is standardised by itself, if it is
DrawnStep = RandomCrop | RandomResizedCrop | RandomAffine | RandomJitter | RandomErasing
Mixing = Mixup | CutMix


@dataclass(frozen=True)
class InputPipeline:
    """What the device does between the stored samples and the network, besides random flips and normalisation.

    stored_size: height and width of the samples in pixels; None if it is the network's. before, after: random steps in
    front of the normalisation and behind it, in their order. standardise: how each image is standardised by itself,
    before the network's `subtract` and `divide`; empty if it is not.
    """

    stored_size: int | None = None
    before: tuple[DrawnStep, ...] = ()
    after: tuple[RandomErasing, ...] = ()
    standardise: EachImage = ""
    mixing: Mixing | None = None
    views: AverageViews | None = None
    train_crops: TrainOnCrops | None = None


NO_PIPELINE = InputPipeline()
