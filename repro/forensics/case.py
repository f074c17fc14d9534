"""One paper under examination: its claims, and the effect of its data steps and settings on FER-2013, computed once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS
from fer_jax.vocabulary.layers import Layer
from fer_jax.vocabulary.settings import Training
from fer_jax.vocabulary.split_plan import check_steps
from fer_jax.vocabulary.step_kinds import (
    PIXEL_STEPS,
    AugmentCopies,
    CopySplit,
    FlipHorizontal,
    RepeatClass,
    Step,
    StepError,
)
from repro.specs.decode import DEFAULT_VARIANT, IMAGE_SIZE, LoadedSpec
from repro.specs.spec import Claim, PaperSpec

RUNNING = ("train", "minibatch")  # splits whose values are measured on samples that were just trained on
_BY_PICTURE = ("drop_same_pictures", "drop_unrelated", "drop_repeats")  # steps whose outcome depends on the pixels
MOST_SAMPLES = 20_000_000
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class ExpectedSamples:
    """Samples of a split after the data steps on the official FER-2013.

    total: with copies. distinct: different samples of the imported file. by_emotion, distinct_by_emotion: the same per
        emotion in label order. None if chance decides.
    """

    total: int
    distinct: int | None
    by_emotion: tuple[int, ...] | None
    distinct_by_emotion: tuple[int, ...] | None


class Case:
    """The input of the checks. Everything beyond the claims is computed when a check asks for it."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self.loaded = loaded
        self.claims = loaded.spec.all_claims
        self._specs: dict[str, PaperSpec] = {}
        self._samples: dict[str, dict[str, ExpectedSamples]] = {}

    def spec(self, variant: str = DEFAULT_VARIANT) -> PaperSpec:
        if variant not in self._specs:
            self._specs[variant] = self.loaded.settings(variant)
        return self._specs[variant]

    def steps(self, variant: str) -> tuple[Step, ...]:
        """The data steps; none if the spec does not have them."""
        data = self.spec(variant).data
        return () if data is None else data.steps

    def layers(self, variant: str) -> tuple[Layer, ...]:
        """The network's layers; none if the spec does not have them."""
        model = self.spec(variant).model
        return () if model is None else model.layers

    def training(self, variant: str) -> Training | None:
        return self.spec(variant).training

    def batch_size(self, claim: Claim) -> int | None:
        """The batch size of a claim on steps: its own, or that of the training, if the spec has one."""
        training = self.training(claim.variant)
        return claim.batch_size or (None if training is None else training.batch_size)

    def knows_split(self, claim: Claim) -> bool:
        """Whether data steps or a printed size describe the claim's split."""
        return bool(self.steps(claim.variant)) or self.printed_samples(claim) is not None

    @cached_property
    def readings(self) -> frozenset[str]:
        """Variants that keep the other side of a contradiction: not another experiment, but the same one as described
        elsewhere in the paper."""
        return frozenset(item.variant for item in self.loaded.spec.contradictions if item.variant)

    def image_size(self, variant: str) -> int:
        """Pixels along a side of the network's input."""
        steps = self.steps(variant)
        return check_steps(steps, IMAGE_SIZE)[1] if steps else IMAGE_SIZE

    def samples(self, variant: str) -> dict[str, ExpectedSamples]:
        """The splits of a variant after its data steps on the official file; empty without steps, if pixels decide
        them, or if the steps do not fit that file."""
        if variant not in self._samples:
            self._samples[variant] = _samples_after(self.steps(variant)) if self.steps(variant) else {}
        return self._samples[variant]

    def of(self, quantity: str) -> Iterator[Claim]:
        return (claim for claim in self.claims if claim.quantity == quantity)

    def moment(self, claim: Claim) -> tuple[str, int]:
        """When in its run a claim was measured: ("end", 0), ("epoch", e) or ("step", s). An evaluation of training
        samples, which no running mean can be compared with: ("after", 0)."""
        if claim.evaluated:
            return ("after", 0)
        training = self.training(claim.variant)
        epochs, steps = (None, None) if training is None else (training.epochs, training.steps)
        if claim.epoch is not None and claim.epoch != epochs:
            return ("epoch", claim.epoch)
        if claim.step is not None and (steps is None or claim.step < steps - 1):
            return ("step", claim.step)
        return ("end", 0)

    def stated_samples(self, claim: Claim) -> Claim | None:
        """The paper's own size of the split that a claim is about."""
        return next(
            (
                other
                for other in self.of("rows")
                if (other.split, other.variant, other.emotion) == (claim.split, claim.variant, "")
            ),
            None,
        )

    def printed_samples(self, claim: Claim) -> int | None:
        """The size of a claim's split if the paper prints it in full."""
        stated = self.stated_samples(claim)
        if stated is not None and stated.value.is_integer() and stated.value >= 1 and stated.resolution <= 1:
            return int(stated.value)
        return None

    def evaluated_samples(self, claim: Claim) -> tuple[int, str] | None:
        """(samples that an accuracy is a mean over, source of the number): as printed, else from the data steps."""
        if claim.split == "minibatch":
            training = self.training(claim.variant)
            return None if training is None else (training.batch_size, "samples of a batch")
        if printed := self.printed_samples(claim):
            return printed, "samples, as printed"
        samples = self.samples(claim.variant).get(claim.split)
        return None if samples is None else (samples.total, "samples, by the data steps")


def grouped(claims: Iterator[Claim], key: Callable[[Claim], _Key]) -> dict[_Key, list[Claim]]:
    """Claims with the same key, in their order."""
    groups: dict[_Key, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(key(claim), []).append(claim)
    return groups


def where(claim: Claim) -> str:
    """The section, table, figure or output that a claim is printed in: its place up to the first detail."""
    return re.split(r"[,;:(]", claim.place, maxsplit=1)[0].strip()


def ids(*claims: Claim | None) -> tuple[str, ...]:
    return tuple(claim.id for claim in claims if claim is not None)


# --- samples without images ----------------------------------------------------------------------------------------


def _official_faces() -> Faces:
    """The official samples, without their images: one black pixel each."""
    counts = np.array(list(OFFICIAL_COUNTS.values()))
    labels = np.concatenate([np.repeat(np.arange(len(EMOTIONS)), row) for row in counts]).astype(np.uint8)
    usage = np.repeat(np.arange(len(counts)), counts.sum(axis=1)).astype(np.uint8)
    return Faces(np.zeros((len(labels), 1, 1), np.uint8), labels, usage, np.arange(len(labels), dtype=np.int32))


def _without_pixels(step: Step) -> Step | None:
    """The step as far as it concerns samples, or None."""
    if isinstance(step, PIXEL_STEPS):
        return None
    if isinstance(step, AugmentCopies):
        return AugmentCopies(split=step.split, transforms=(FlipHorizontal(),) * len(step.transforms), order=step.order)
    return step


def _most_samples(steps: Iterable[Step]) -> int:
    """A number of samples that the steps do not exceed. A spec may be a stranger's, and name more than memory holds."""
    samples = sum(map(sum, OFFICIAL_COUNTS.values()))
    for step in steps:
        if isinstance(step, AugmentCopies):
            samples *= 1 + len(step.transforms)
        elif isinstance(step, RepeatClass):
            samples *= step.times
        elif isinstance(step, CopySplit):
            samples *= 2
    return samples


def _samples_after(steps: tuple[Step, ...]) -> dict[str, ExpectedSamples]:
    if any(step.__struct_config__.tag in _BY_PICTURE for step in steps):
        return {}
    kept = [kept for step in steps if (kept := _without_pixels(step)) is not None]
    if _most_samples(kept) > MOST_SAMPLES:
        return {}
    faces = _official_faces()
    try:
        one, other = (apply_steps(faces, kept, seed).splits for seed in (0, 1))
    except StepError:
        return {}
    return {name: _counts(one[name], other[name]) for name in one}


def _counts(one: Faces, other: Faces) -> ExpectedSamples:
    """Counts that two seeds share. Sizes with copies are the same for all seeds."""
    by_emotion = tuple(faces.class_counts() for faces in (one, other))
    distinct = tuple(_distinct(faces).class_counts() for faces in (one, other))
    return ExpectedSamples(
        total=len(one),
        distinct=sum(distinct[0]) if sum(distinct[0]) == sum(distinct[1]) else None,
        by_emotion=by_emotion[0] if by_emotion[0] == by_emotion[1] else None,
        distinct_by_emotion=distinct[0] if distinct[0] == distinct[1] else None,
    )


def _distinct(faces: Faces) -> Faces:
    return faces.take(np.unique(faces.origin, return_index=True)[1])
