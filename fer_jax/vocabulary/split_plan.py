"""What is known of the splits without their samples: names, sizes, and what the device will do with them. No JAX and no
NumPy here."""

from __future__ import annotations

from collections.abc import Iterable

from fer_jax.vocabulary.augmentations import (
    AverageViews,
    CutMix,
    DrawnStep,
    EachImage,
    InputPipeline,
    Mixing,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomJitter,
    RandomResizedCrop,
    Standardise,
    TrainOnCrops,
)
from fer_jax.vocabulary.step_kinds import (
    FIRST_SPLIT,
    AugmentCopies,
    CopySplit,
    DropRepeats,
    DropSamePictures,
    DropSplit,
    DropUnrelated,
    EqualiseHistogram,
    MergeSplits,
    Normalise,
    RandomFlip,
    RenameSplit,
    RepeatClass,
    Resize,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
    StepError,
    VoteTargets,
    step_names,
)

CROPS = (RandomCrop, RandomResizedCrop)


class SplitPlan:
    """What is known of the splits without their samples: names, and image sizes in pixels."""

    def __init__(self, image_size: int) -> None:
        self.index = 0
        self.sizes = {FIRST_SPLIT: image_size}
        self.normalise: Normalise | Standardise | None = None  # the last of them
        self.each_image: EachImage = ""
        self.pixels: tuple[int, int] | None = None  # (index of the step, image size) of statistics of each pixel
        self.flips: dict[str, tuple[int, float]] = {}  # split -> (index of the step, probability)
        self.drawn: list[tuple[int, DrawnStep, bool]] = []  # (index of the step, step, whether it follows `normalise`)
        self.mixing: Mixing | None = None
        self.views: tuple[int, AverageViews] | None = None
        self.train_crops: tuple[int, TrainOnCrops] | None = None
        self.votes = False

    def error(self, message: str) -> StepError:
        return StepError(self.index, message)

    def need(self, *names: str) -> None:
        for name in names:
            if name not in self.sizes:
                raise self.error(f"there is no split '{name}' here; accepted: {', '.join(self.sizes)}")

    def add(self, size: int, *names: str) -> None:
        for name in names:
            if name in self.sizes:
                raise self.error(f"there is a split '{name}' already; the splits are {', '.join(self.sizes)}")
            self.sizes[name] = size

    def change_pixels(self, *names: str) -> None:
        self.need(*names)
        if self.normalise:
            raise self.error("it reads pixel values and must come before `normalise`")
        late = [*(step for _, step, _ in self.drawn), *([self.train_crops[1]] if self.train_crops else [])]
        if late:
            name = step_names(late)[0].rstrip("0123456789")
            raise self.error(
                f"it changes the stored samples and must come before `{name}`, which is redrawn every epoch"
            )

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
            case Resize():
                self._resize(step)
            case EqualiseHistogram(splits=splits):
                self.change_pixels(*(splits or tuple(self.sizes)))
            case AugmentCopies(split=split):
                self.change_pixels(split)
            case Normalise() | Standardise():
                self._normalise(step)
            case RandomFlip(splits=splits, probability=probability):
                for name in splits:
                    if name in self.flips:
                        raise self.error(f"split '{name}' has a `random_flip` already")
                    self.flips[name] = (self.index, probability)
            case RandomErasing():
                self.drawn.append((self.index, step, self.normalise is not None))
            case RandomCrop() | RandomResizedCrop() | RandomAffine() | RandomJitter():
                if self.normalise:
                    raise self.error("it works on gray levels and must come before `normalise`")
                if self.train_crops:
                    raise self.error("it must come before `train_on_crops`, whose crops are not changed one by one")
                self.drawn.append((self.index, step, False))
            case VoteTargets():
                if self.votes:
                    raise self.error("`vote_targets` may be used only once")
                self.votes = True
            case TrainOnCrops():
                if self.train_crops:
                    raise self.error("`train_on_crops` may be used only once")
                if self.normalise:
                    raise self.error("it works on gray levels and must come before `normalise`")
                self.train_crops = self.index, step
            case Mixup() | CutMix():
                if self.mixing:
                    raise self.error("`mixup` or `cutmix` may be used only once")
                self.mixing = step
            case AverageViews():
                if self.views:
                    raise self.error("`average_views` may be used only once")
                self.views = self.index, step

    @property
    def crops(self) -> list[tuple[int, RandomCrop | RandomResizedCrop | TrainOnCrops]]:
        """The steps that cut squares out of the samples, one after the other, each with its index."""
        found = [(index, step) for index, step, _ in self.drawn if isinstance(step, CROPS)]
        return [*found, *([self.train_crops] if self.train_crops else [])]

    def _normalise(self, step: Normalise | Standardise) -> None:
        of = step.of if isinstance(step, Standardise) else ""
        if self.normalise and not (of == "pixels" and self.each_image and not self.pixels):
            raise self.error(
                '`normalise` or `standardise` may be used only once; only `of = "pixels"` may follow `of = "image"`'
            )
        if isinstance(step, Standardise) and step.of == "image":
            self.each_image = step.form
        elif isinstance(step, Standardise):
            self.need(step.from_split)
            if step.of == "pixels":
                self.pixels = (self.index, self.sizes[step.from_split])
        self.normalise = step

    def _resize(self, step: Resize) -> None:
        names = step.splits or tuple(self.sizes)
        self.change_pixels(*names)
        for name in names:
            if step.method == "area" and step.size > self.sizes[name]:
                raise self.error(
                    f"area interpolation only shrinks; '{name}' has {self.sizes[name]} pixels, not {step.size}; "
                    "`method` bilinear or bicubic enlarges"
                )
            self.sizes[name] = step.size

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
        named = [(index, (name,)) for name, (index, _) in self.flips.items()]
        named += [(index, step.splits) for index, step, _ in self.drawn]
        named += [(self.views[0], self.views[1].splits)] if self.views else []
        for self.index, names in named:
            self.need(*names)
        return self._cropped(size)

    def _cropped(self, size: int) -> int:
        """The size of the network's input: of samples of this size, or of what is cut out of them."""
        stored = size
        for index, step in self.crops:
            self.index = index
            if step.size > size:
                padded = isinstance(step, RandomCrop) and step.padding
                padding = " (`padding` is for the named splits; the others need the size too)" if padded else ""
                raise self.error(
                    f"a crop of {step.size} pixels is larger than the images, which have {size}{padding}: "
                    f"lower `size`, or enlarge the images with `resize` before"
                )
            size = step.size
        if self.views:
            self.index, views = self.views
            if "train" in views.splits:
                raise self.error("training samples have no views: name splits that are evaluated")
            if views.views != "flips" and size == stored:
                raise self.error(
                    f"views {views.views!r} need images that are larger than the network's input: add `random_crop` "
                    f"with a size below {size}"
                )
        if self.pixels and self.pixels[1] != size:
            self.index, measured = self.pixels
            raise self.error(
                f"the statistics of each pixel are of images of {measured} pixels, and the network gets {size}: give "
                "`resize` before, and leave crops to a smaller size out"
            )
        return size

    def pipeline(self) -> InputPipeline:
        """What the device does with the samples, once the steps have ended."""
        return InputPipeline(
            stored_size=self.sizes["train"] if self.crops else None,
            before=tuple(step for _, step, late in self.drawn if not late),
            after=tuple(step for _, step, late in self.drawn if late and isinstance(step, RandomErasing)),
            standardise=self.each_image,
            mixing=self.mixing,
            views=self.views[1] if self.views else None,
            train_crops=self.train_crops[1] if self.train_crops else None,
        )


def follow_steps(steps: Iterable[Step], image_size: int) -> tuple[SplitPlan, int]:
    plan = SplitPlan(image_size)
    for plan.index, step in enumerate(steps):
        plan.follow(step)
    return plan, plan.finish()


def check_steps(steps: Iterable[Step], image_size: int = 48) -> tuple[tuple[str, ...], int]:
    """(names of the final splits, size of the network's input in pixels), found without data.

    Raises StepError if a step names a missing split, makes an existing one, or asks for an impossible size, and if the
    steps do not end with the splits that training needs.
    """
    plan, size = follow_steps(steps, image_size)
    return tuple(plan.sizes), size
