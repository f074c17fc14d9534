"""Data preparation: named splits of rows go through ordered steps. No JAX here.

Steps run in their order, because the order is what leaks, and every row keeps its origin. The vocabulary stands in
``step_kinds.py``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fer_jax import images
from fer_jax.faces import EMOTIONS, USAGES, Faces, concatenate
from fer_jax.step_kinds import (
    FIRST_SPLIT,
    AugmentCopies,
    CopySplit,
    DropSplit,
    FlipHorizontal,
    MergeSplits,
    RenameSplit,
    RepeatClass,
    Resize,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
    StepError,
    follow_steps,
    step_names,
)


@dataclass(frozen=True)
class Prepared:
    """The splits as the steps leave them, and what is left to do on the device.

    subtract, divide: the network's input is (pixel - subtract) / divide.
    random_flip: probability per split, for those that have one.
    image_size: height and width in pixels.
    log: (step name, {split: rows}) after each step.
    """

    splits: dict[str, Faces]
    subtract: float
    divide: float
    random_flip: dict[str, float]
    image_size: int
    log: tuple[tuple[str, dict[str, int]], ...]


Draw = Callable[[int], np.ndarray]  # n -> a random permutation of range(n), int64 (n,)


def _permutations(seed: int, index: int, name: str) -> Draw:
    """Random numbers of one step: they depend on nothing that stands behind it.

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


def _with_images(faces: Faces, pixels: np.ndarray) -> Faces:
    return Faces(pixels, faces.labels, faces.usage, faces.origin, faces.synthetic)


def _augment(step: AugmentCopies, faces: Faces) -> Faces:
    copies = [faces]
    for transform in step.transforms:
        if isinstance(transform, FlipHorizontal):
            pixels = images.flip_horizontal(faces.images)
        else:
            pixels = images.rotate(faces.images, transform.degrees, positions=transform.positions)
        copies.append(_with_images(faces, pixels))
    together = concatenate(copies)
    if step.order == "at_end":
        return together
    return together.take(np.arange(len(together)).reshape(len(copies), len(faces)).T.ravel())


def _resize(step: Resize, faces: Faces) -> Faces:
    means = images.resize_area(faces.images, step.size)
    return _with_images(faces, (np.rint(means) if step.rounding == "round" else means).astype(np.uint8))


def _apply(index: int, step: Step, splits: dict[str, Faces], draw: Draw) -> dict[str, Faces]:
    """The splits after one step whose names have been checked."""
    splits = dict(splits)
    match step:
        case SplitByUsage():
            faces = splits.pop(step.from_split)
            for name, usages in step.into.items():
                splits[name] = faces.take(np.isin(faces.usage, [USAGES.index(usage) for usage in usages]))
        case Shuffle(split=split):
            splits[split] = splits[split].take(draw(len(splits[split])))
        case SplitFraction():
            splits[step.into], splits[step.rest] = _cut(step, splits.pop(step.from_split), draw)
        case SplitLast(count=count):
            faces = splits.pop(step.from_split)
            if count >= len(faces):
                raise StepError(index, f"cannot cut {count} rows off '{step.from_split}': it has {len(faces)}")
            splits[step.into], splits[step.rest] = (
                faces.take(np.arange(len(faces) - count, len(faces))),
                faces.take(np.arange(len(faces) - count)),
            )
        case RepeatClass(split=split, label=label):
            chosen = splits[split].labels == (EMOTIONS.index(label) if isinstance(label, str) else label)
            repeated = np.repeat(np.flatnonzero(chosen), step.times)
            splits[split] = splits[split].take(np.concatenate([np.flatnonzero(~chosen), repeated]))
        case Resize():
            splits.update({name: _resize(step, splits[name]) for name in step.splits or splits})
        case AugmentCopies(split=split):
            splits[split] = _augment(step, splits[split])
        case CopySplit():
            splits[step.into] = splits[step.from_split]
        case RenameSplit():
            splits[step.into] = splits.pop(step.from_split)
        case MergeSplits():
            splits[step.into] = concatenate([splits.pop(name) for name in step.splits])
        case DropSplit(split=split):
            del splits[split]
    for name, faces in splits.items():
        if not len(faces):
            raise StepError(index, f"split '{name}' is left without rows")
    return splits


def apply_steps(faces: Faces, steps: Iterable[Step], seed: int) -> Prepared:
    """Prepare the data: all steps in their order, from one split `all` that holds `faces`.

    Equal faces, steps and seed (at least 0) give equal rows, on every machine. Raises StepError as check_steps does,
    and where a split is too small for a step or is left without rows; ValueError where the images are not square.
    """
    steps = tuple(steps)
    height, width = faces.images.shape[1:]
    if height != width:
        raise ValueError(f"the steps need square images, not {height} x {width}")
    plan, image_size = follow_steps(steps, height)
    splits, log = {FIRST_SPLIT: faces}, []
    for index, (name, step) in enumerate(zip(step_names(steps), steps, strict=True)):
        splits = _apply(index, step, splits, _permutations(seed, index, name))
        log.append((name, {split: len(part) for split, part in splits.items()}))
    return Prepared(
        splits=splits,
        subtract=plan.normalise.subtract if plan.normalise else 0.0,
        divide=plan.normalise.divide if plan.normalise else 1.0,
        random_flip={name: probability for name, (_, probability) in plan.flips.items()},
        image_size=image_size,
        log=tuple(log),
    )
