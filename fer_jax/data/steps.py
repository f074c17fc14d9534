"""Data preparation: named splits of samples go through ordered steps. No JAX here.

Steps run in their order, because the order is what leaks. Every sample keeps its origin. The steps are defined in
``step_kinds.py``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from fer_jax.data import images
from fer_jax.data.faces import Faces, concatenate
from fer_jax.data.resizing import resize
from fer_jax.vocabulary.augmentations import EachImage, InputPipeline, PixelValue, Standardise
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from fer_jax.vocabulary.split_plan import follow_steps
from fer_jax.vocabulary.step_kinds import (
    FIRST_SPLIT,
    AugmentCopies,
    CopySplit,
    DropRepeats,
    DropSamePictures,
    DropSplit,
    DropUnrelated,
    EqualiseHistogram,
    FlipHorizontal,
    MergeSplits,
    Normalise,
    RenameSplit,
    RepeatClass,
    Resize,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
    StepError,
    step_names,
)

# Images at a time. All samples at once, in float64, take longer for fresh memory than for the sums.
RESIZED_TOGETHER = 1024


@dataclass(frozen=True)
class Prepared:
    """The splits after all steps, and what is left to do on the device.

    subtract, divide: the network's input is (pixel - subtract) / divide; of all pixels, or of each.
    is_measured: these are statistics of the samples.
    random_flip: probability per split, for those that have one.
    pipeline: the rest of what the device does.
    image_size: height and width of the network's input in pixels; the samples may be larger (`pipeline.stored_size`).
    log: (step name, {split: rows}) after each step.
    targets: the share of each emotion in a training sample, float32 (N, 7), if it is not its label alone.
    """

    splits: dict[str, Faces]
    subtract: PixelValue
    divide: PixelValue
    is_measured: bool
    random_flip: dict[str, float]
    pipeline: InputPipeline
    image_size: int
    log: tuple[tuple[str, dict[str, int]], ...]
    targets: np.ndarray | None = None


Draw = Callable[[int], np.ndarray]  # n -> a random permutation of range(n), int64 (n,)
Pictures = Callable[[], np.ndarray]  # the duplicate group of every imported row


def _permutations(seed: int, index: int, name: str) -> Draw:
    """Random numbers of one step. They do not depend on any later step.

    The raw words of PCG64 are sorted, because NumPy guarantees that stream, but not that of Generator.permutation.
    """
    bits = np.random.PCG64(np.random.SeedSequence([seed, index, zlib.crc32(name.encode())]))
    return lambda n: np.argsort(bits.random_raw(n), kind="stable")


def _cut(step: SplitFraction, faces: Faces, draw: Draw) -> tuple[Faces, Faces]:
    """(first part, rest) of a random order, class by class if stratified."""
    classes = [np.flatnonzero(faces.labels == label) for label in np.unique(faces.labels)]
    first, rest = [], []
    for rows in classes if step.stratified else [np.arange(len(faces))]:
        order = rows[draw(len(rows))]
        length = int(len(order) * step.fraction)
        first.append(order[:length])
        rest.append(order[length + step.lose_boundary_row :])
    return faces.take(np.concatenate(first)), faces.take(np.concatenate(rest))


def _by(index: int, faces: Faces) -> np.ndarray:
    """The mark that the step of this index leaves on every sample."""
    return np.full(len(faces), index, np.int8)


def _split_by_usage(index: int, step: SplitByUsage, faces: Faces) -> dict[str, Faces]:
    parts: dict[str, Faces] = {}
    placed: set[str] = set()
    for name, usages in step.into.items():
        part = faces.take(np.isin(faces.usage, [USAGES.index(usage) for usage in usages]))
        again = np.isin(part.usage, [USAGES.index(usage) for usage in placed])
        parts[name] = part.changed(copied_by=np.where(again, np.int8(index), part.copied_by))
        placed |= set(usages)
    return parts


def _repeat(index: int, step: RepeatClass, faces: Faces) -> Faces:
    label = EMOTIONS.index(step.label) if isinstance(step.label, str) else step.label
    chosen = faces.take(faces.labels == label)
    repeated = chosen.take(np.repeat(np.arange(len(chosen)), step.times))
    is_copy = np.arange(len(repeated)) % step.times != 0
    repeated = repeated.changed(copied_by=np.where(is_copy, np.int8(index), repeated.copied_by))
    return concatenate([faces.take(faces.labels != label), repeated])


def _augment(index: int, step: AugmentCopies, faces: Faces) -> Faces:
    copies = [faces]
    for transform in step.transforms:
        if isinstance(transform, FlipHorizontal):
            pixels = images.flip_horizontal(faces.images)
        else:
            pixels = images.rotate(faces.images, transform.degrees, positions=transform.positions)
        copies.append(faces.changed(images=pixels, copied_by=_by(index, faces), changed_by=_by(index, faces)))
    together = concatenate(copies)
    if step.order == "at_end":
        return together
    return together.take(np.arange(len(together)).reshape(len(copies), len(faces)).T.ravel())


def with_other_pixels(step: Resize | EqualiseHistogram, images_NHW: np.ndarray) -> np.ndarray:
    """uint8 images, resized or equalised by the step."""
    if isinstance(step, EqualiseHistogram):
        return images.equalise_histogram(images_NHW)
    done = np.empty((len(images_NHW), step.size, step.size), np.uint8)
    for start in range(0, len(done), RESIZED_TOGETHER):
        part = images_NHW[start : start + RESIZED_TOGETHER]
        if step.method == "area":
            values = images.resize_area(part, step.size)
        else:
            values = resize(part, step.size, step.method, step.form)
        done[start : start + RESIZED_TOGETHER] = np.clip(
            np.rint(values) if step.rounding == "round" else values, 0, 255
        )
    return done


def _statistics(images_NHW: np.ndarray) -> tuple[float, float]:
    """(mean, deviation + 1e-6) over all pixels, from a histogram of the gray levels."""
    levels = np.bincount(images_NHW.reshape(-1), minlength=256).astype(np.float64)
    gray = np.arange(256)
    mean = float(levels @ gray / levels.sum())
    return mean, float(np.sqrt(levels @ (gray - mean) ** 2 / levels.sum())) + 1e-6


def _pixel_statistics(images_NHW: np.ndarray, each_image: EachImage) -> tuple[PixelValue, PixelValue]:
    """(mean, deviation + 1e-6) of each place over the images. Seven digits, about as many as float32 holds, so that a
    record states them in full."""
    parts = [images_NHW[start : start + 4096] for start in range(0, len(images_NHW), 4096)]
    mean_HW, variance_HW = np.zeros(images_NHW.shape[1:]), np.zeros(images_NHW.shape[1:])
    for part in parts:
        mean_HW += _each_standardised(part, each_image).sum(0) / len(images_NHW)
    for part in parts:
        variance_HW += np.square(_each_standardised(part, each_image) - mean_HW).sum(0) / len(images_NHW)
    return _seven_digits(mean_HW), _seven_digits(np.sqrt(variance_HW) + 1e-6)


def _seven_digits(values_HW: np.ndarray) -> PixelValue:
    return tuple(tuple(float(f"{value:.7g}") for value in row) for row in values_HW.tolist())


def network_input(images_NHW: np.ndarray, prepared: Prepared) -> np.ndarray:
    """Samples as the network gets them but for random steps and crops: normalised, float64 (N, H, W)."""
    x = _each_standardised(images_NHW, prepared.pipeline.standardise)
    return (x - np.asarray(prepared.subtract)) / np.asarray(prepared.divide)


def _each_standardised(images_NHW: np.ndarray, form: EachImage) -> np.ndarray:
    """Each image standardised by itself, float64 (N, H, W); the gray levels if `form` is empty. As
    `fer_jax.train.inputs` does it on the device."""
    x = images_NHW.astype(np.float64)
    if not form:
        return x
    mean, deviation = x.mean((1, 2), keepdims=True), x.std((1, 2), keepdims=True)
    least = (x.shape[1] * x.shape[2]) ** -0.5
    return (x - mean) / (deviation + 1e-6 if form == "keras" else np.maximum(deviation, least))


def _without_unrelated(faces: Faces, related: np.ndarray, draw: Draw, error: Callable[[str], StepError]) -> Faces:
    """The samples that `drop_unrelated` keeps. related: bool (N,), samples that have a copy in the other splits."""
    kept = np.ones(len(faces), bool)
    order = draw(len(faces))  # one draw for all classes: what one class loses does not depend on the others
    for label in np.unique(faces.labels):
        of_class = faces.labels == label
        free = order[(of_class & ~related)[order]]
        count = int((of_class & related).sum())
        if count > len(free):
            raise error(f"cannot leave out {count} unrelated samples of class {label}: there are {len(free)}")
        kept[free[:count]] = False
    return faces.take(kept)


def _first_of_each(pictures: np.ndarray) -> np.ndarray:
    """Rows, in their order, whose image did not occur before."""
    return np.sort(np.unique(pictures, return_index=True)[1])


def _apply(index: int, step: Step, splits: dict[str, Faces], draw: Draw, pictures: Pictures) -> dict[str, Faces]:
    """The splits after one step. The names in the step have been checked."""
    splits = dict(splits)
    match step:
        case SplitByUsage():
            splits.update(_split_by_usage(index, step, splits.pop(step.from_split)))
        case Shuffle(split=split):
            splits[split] = splits[split].take(draw(len(splits[split])))
        case SplitFraction():
            splits[step.into], splits[step.rest] = _cut(step, splits.pop(step.from_split), draw)
        case SplitLast(count=count):
            faces = splits.pop(step.from_split)
            if count >= len(faces):
                raise StepError(
                    index, f"cannot cut {counted(count, 'sample')} off '{step.from_split}': it has {len(faces)}"
                )
            splits[step.into], splits[step.rest] = (
                faces.take(np.arange(len(faces) - count, len(faces))),
                faces.take(np.arange(len(faces) - count)),
            )
        case RepeatClass(split=split):
            splits[split] = _repeat(index, step, splits[split])
        case Resize() | EqualiseHistogram():
            for name in step.splits or tuple(splits):
                splits[name] = splits[name].changed(images=with_other_pixels(step, splits[name].images))
        case AugmentCopies(split=split):
            splits[split] = _augment(index, step, splits[split])
        case CopySplit():
            source = splits[step.from_split]
            splits[step.into] = source.changed(copied_by=_by(index, source))
        case RenameSplit():
            splits[step.into] = splits.pop(step.from_split)
        case MergeSplits():
            splits[step.into] = concatenate([splits.pop(name) for name in step.splits])
        case DropSplit(split=split):
            del splits[split]
        case DropSamePictures(split=split, of=of):
            groups = pictures()
            seen = np.concatenate([groups[splits[name].origin] for name in of])
            splits[split] = splits[split].take(~np.isin(groups[splits[split].origin], seen))
        case DropUnrelated(split=split, of=of):
            groups = pictures()
            seen = np.concatenate([groups[splits[name].origin] for name in of])
            related = np.isin(groups[splits[split].origin], seen)
            splits[split] = _without_unrelated(splits[split], related, draw, partial(StepError, index))
        case DropRepeats(split=split):
            splits[split] = splits[split].take(_first_of_each(pictures()[splits[split].origin]))
    for name, faces in splits.items():
        if not len(faces):
            raise StepError(index, f"split '{name}' is left without samples")
    return splits


def _no_pictures() -> np.ndarray:
    raise ValueError(
        "these steps compare pictures: give apply_steps `pictures`, as fer_jax.duplicates.search computes them"
    )


def apply_steps(faces: Faces, steps: Iterable[Step], seed: int, pictures: Pictures = _no_pictures) -> Prepared:
    """Prepare the data: apply all steps in their order, starting with one split `all` that holds `faces`.

    pictures: called by steps that compare images. Returns the duplicate group of every imported row, int (N,); equal
    numbers mean copies of one image (`fer_jax.duplicates.search.pictures_of`).
    Equal faces, steps and seed (at least 0) give equal samples on every machine. Raises StepError as check_steps does,
    and if a split is too small for a step or becomes empty. Raises ValueError if the images are not square.
    """
    steps = tuple(steps)
    height, width = faces.images.shape[1:]
    if height != width:
        raise ValueError(f"the steps need square images, not {height} x {width}")
    plan, image_size = follow_steps(steps, height)
    fixed = plan.normalise if isinstance(plan.normalise, Normalise) else Normalise(divide=1.0)
    subtract, divide = fixed.subtract, fixed.divide
    splits, log = {FIRST_SPLIT: faces}, []
    for index, (name, step) in enumerate(zip(step_names(steps), steps, strict=True)):
        splits = _apply(index, step, splits, _permutations(seed, index, name), pictures)
        if isinstance(step, Standardise) and step.of == "samples":
            subtract, divide = _statistics(splits[step.from_split].images)
        elif isinstance(step, Standardise) and step.of == "pixels":
            subtract, divide = _pixel_statistics(splits[step.from_split].images, plan.each_image)
        log.append((name, {split: len(part) for split, part in splits.items()}))
    return Prepared(
        splits=splits,
        subtract=subtract,
        divide=divide,
        is_measured=isinstance(plan.normalise, Standardise) and plan.normalise.of != "image",
        random_flip={name: probability for name, (_, probability) in plan.flips.items()},
        pipeline=plan.pipeline(),
        image_size=image_size,
        log=tuple(log),
    )
