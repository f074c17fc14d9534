"""Which evaluated samples were also training samples, and by which step: computed from their origins, without training.

Every sample keeps the imported row that it was made from (`Faces.origin`) and the steps that copied and changed it.
Duplicates under different rows come from `fer_jax.duplicates.search`. The audit of a protocol is the intersection of
training samples and evaluated samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from fer_jax.data.faces import NO_STEP, Faces
from fer_jax.data.steps import Prepared
from fer_jax.vocabulary.settings import ReduceOnPlateau, Training
from fer_jax.vocabulary.step_kinds import Step, splits_before, step_names
from repro.runs.plan import RunPlan

OverlapKind = Literal["same row", "augmented copy", "exact duplicate", "near duplicate"]
DATA_SET = "the data set"  # as written in the records
Cause = Callable[
    [Faces, Faces], np.ndarray
]  # (evaluated samples, a training sample for each) -> index of the step that copied


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluated samples that share an image with training samples in one way. Each counts once, under the first match.

    kind: `same row`: the same imported row with the same pixels; `augmented copy`: the same imported row, its image
        changed on one side; `exact duplicate` and `near duplicate`: another imported row with the same image.
    cause: name of the step that made the copy; DATA_SET if the image occurs twice in the dataset.
    separated_by: the step that divided the split from the training samples; the cause itself if copying did.
    rows: evaluated samples; share: of all samples of that split, a fraction.
    """

    split: str
    kind: OverlapKind
    cause: str
    separated_by: str
    rows: int
    share: float


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """A split whose accuracy steers the training, so that its reported accuracy is not on unseen samples."""

    split: str
    decides: str


class LeakageAudit(msgspec.Struct, frozen=True, kw_only=True):
    """Of one paper, variant, protocol and seed. rows: samples of every split. steps: the data steps by name."""

    paper: str
    variant: str
    protocol: str
    seed: int
    steps: tuple[str, ...]
    rows: dict[str, int]
    overlaps: tuple[Overlap, ...]
    selections: tuple[Selection, ...]

    def shared(self, split: str) -> int:
        """Evaluated samples of the split that share an image with a training sample in any way."""
        return sum(overlap.rows for overlap in self.overlaps if overlap.split == split)

    def share(self, split: str) -> float:
        """`shared` as a fraction of the split's samples."""
        return self.shared(split) / self.rows[split]


def audit_leakage(plan: RunPlan, prepared: Prepared, identical: np.ndarray, pictures: np.ndarray) -> LeakageAudit:
    """Compare every evaluated split with the training samples.

    prepared: the imported rows after the plan's data steps. identical, pictures: for every imported row (N,) a number
    that is equal for rows with the same pixels, and for rows that show the same image.
    """
    steps = plan.spec.data.steps
    train = prepared.splits["train"]
    overlaps: list[Overlap] = []
    for name, evaluated in prepared.splits.items():
        if name != "train":
            overlaps += _overlaps(name, evaluated, train, identical, pictures, steps)
    return LeakageAudit(
        paper=plan.paper,
        variant=plan.variant,
        protocol=plan.protocol,
        seed=plan.seed,
        steps=step_names(steps),
        rows={name: len(samples) for name, samples in prepared.splits.items()},
        overlaps=tuple(overlaps),
        selections=_selections(plan.spec.training),
    )


def _overlaps(
    name: str, evaluated: Faces, train: Faces, exact: np.ndarray, pictures: np.ndarray, steps: tuple[Step, ...]
) -> list[Overlap]:
    same_row, same_row_train = _same_row_keys(evaluated, train)
    ways: list[tuple[OverlapKind, np.ndarray, np.ndarray, Cause]] = [
        ("same row", same_row, same_row_train, _copying_step),
        ("augmented copy", evaluated.origin, train.origin, _changing_step),
        ("exact duplicate", exact[evaluated.origin], exact[train.origin], _no_step),
        ("near duplicate", pictures[evaluated.origin], pictures[train.origin], _no_step),
    ]
    names, separated_by = step_names(steps), _separating_step(name, steps)
    # A training sample that is not a copy comes first: later copies, on one side alone, share nothing new.
    originals = np.argsort(train.copied_by, kind="stable")
    free = np.arange(len(evaluated))  # samples that no kind has claimed yet
    found: list[Overlap] = []
    for kind, key, train_key, cause_of in ways:
        partner = _partners(key[free], train_key[originals])
        hit = partner >= 0
        causes = cause_of(evaluated.take(free[hit]), train.take(originals[partner[hit]]))
        for cause in np.unique(causes):
            count = int((causes == cause).sum())
            found.append(
                Overlap(
                    split=name,
                    kind=kind,
                    cause=DATA_SET if cause == NO_STEP else names[cause],
                    separated_by=separated_by,
                    rows=count,
                    share=count / len(evaluated),
                )
            )
        free = free[~hit]
    return found


def _copying_step(evaluated: Faces, train: Faces) -> np.ndarray:
    return np.maximum(evaluated.copied_by, train.copied_by)


def _changing_step(evaluated: Faces, train: Faces) -> np.ndarray:
    """The step that made a changed copy of one of the two; if no copy was changed, the step that copied."""
    changed = np.maximum(evaluated.changed_by, train.changed_by)
    return np.where(changed == NO_STEP, _copying_step(evaluated, train), changed)


def _no_step(evaluated: Faces, train: Faces) -> np.ndarray:
    return np.full(len(evaluated), NO_STEP)


def _separating_step(split: str, steps: tuple[Step, ...]) -> str:
    """The last step before which the samples of the split and the training samples were in one split."""
    evaluated, trained = {split}, {"train"}
    for index in reversed(range(len(steps))):
        evaluated, trained = splits_before(evaluated, steps[index]), splits_before(trained, steps[index])
        if evaluated & trained:
            return step_names(steps)[index]
    raise AssertionError(f"'{split}' and 'train' have no split in common, but all samples begin in one")


def _partners(keys: np.ndarray, train_keys: np.ndarray) -> np.ndarray:
    """For each key the first training row that has it, -1 if none does."""
    unique, first = np.unique(train_keys, return_index=True)
    place = np.minimum(np.searchsorted(unique, keys), len(unique) - 1)
    return np.where(unique[place] == keys, first[place], -1)


def groups_of_equal_pixels(images: np.ndarray) -> np.ndarray:
    """int64 (N,): equal for images with equal pixels, and only for those."""
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    return np.unique(flat.view(np.dtype((np.void, flat.shape[1]))).ravel(), return_inverse=True)[1].astype(np.int64)


def _same_row_keys(evaluated: Faces, train: Faces) -> tuple[np.ndarray, np.ndarray]:
    """int64 keys of evaluated and of training samples: equal if and only if origin and pixels are equal."""
    pixels = groups_of_equal_pixels(np.concatenate([evaluated.images, train.images]))
    keys = np.concatenate([evaluated.origin, train.origin]) * np.int64(len(pixels)) + pixels
    return keys[: len(evaluated)], keys[len(evaluated) :]


def _selections(training: Training) -> tuple[Selection, ...]:
    found: list[Selection] = []
    if training.report == "best":
        found.append(Selection(split=training.report_split, decides="which epoch's parameters are reported"))
    if isinstance(training.schedule, ReduceOnPlateau):
        found.append(Selection(split=training.schedule.split, decides="when the learning rate falls"))
    if training.early_stopping is not None:
        found.append(Selection(split=training.early_stopping.split, decides="when training stops"))
    return tuple(found)
