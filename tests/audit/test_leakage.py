"""Leaks planted at known rows are found, counted under the right kind and put down to the right step."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.steps import apply_steps
from fer_jax.vocabulary.fer2013 import EMOTIONS
from fer_jax.vocabulary.settings import EarlyStopping
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    CopySplit,
    FlipHorizontal,
    Normalise,
    RepeatClass,
    Resize,
    Shuffle,
    SplitByUsage,
    SplitLast,
    Step,
)
from repro.audit.leakage import DATA_SET, LeakageAudit, audit_leakage, groups_of_equal_pixels
from repro.runs.plan import RunPlan
from repro.runs.records import Overrides
from repro.specs.catalog import find_paper
from repro.specs.spec import Data

ROWS = 840
BY_USAGE = SplitByUsage(into={"train": ("Training",), "validation": ("PublicTest",), "test": ("PrivateTest",)})


def faces(size: int = 8) -> Faces:
    images = np.random.default_rng(8).integers(0, 256, (ROWS, size, size), dtype=np.uint8)
    usage = np.arange(ROWS) * 3 // ROWS
    labels = np.arange(ROWS) % len(EMOTIONS)
    return Faces(images, labels.astype(np.uint8), usage.astype(np.uint8), np.arange(ROWS, dtype=np.int32))


def audit(
    *steps: Step, imported: Faces | None = None, pictures: np.ndarray | None = None, seed: int = 0
) -> LeakageAudit:
    imported = imported or faces()
    groups = np.arange(ROWS) if pictures is None else pictures
    return audit_leakage(
        plan_of(steps, seed), apply_steps(imported, steps, seed), groups_of_equal_pixels(imported.images), groups
    )


def plan_of(steps: tuple[Step, ...], seed: int = 0) -> RunPlan:
    spec = msgspec.structs.replace(find_paper("zhaqsylyq").resolve("default"), data=Data(steps=steps))
    return RunPlan(spec, Path("a.toml"), "", "default", "as-published", seed, Overrides())


def found(of: LeakageAudit) -> dict[tuple[str, str, str, str], int]:
    return {(o.split, o.kind, o.cause, o.separated_by): o.rows for o in of.overlaps}


def test_disjoint_rows_give_no_alarm():
    clean = audit(BY_USAGE, Resize(size=4), RepeatClass(split="train", label="sad", times=3), Shuffle(split="train"))
    assert clean.overlaps == ()
    assert clean.shared("test") == 0 and clean.share("validation") == 0.0


def test_evaluating_on_the_training_rows():
    of = audit(SplitByUsage(into={"train": ("Training",)}), CopySplit(from_split="train", into="test"))
    assert found(of) == {("test", "same row", "copy_split1", "copy_split1"): 280}
    assert of.share("test") == 1.0


def test_a_usage_in_two_parts():
    of = audit(SplitByUsage(into={"train": ("Training", "PublicTest"), "test": ("PublicTest", "PrivateTest")}))
    assert found(of) == {("test", "same row", "split_by_usage1", "split_by_usage1"): 280}


@pytest.mark.parametrize("seed", range(3))
def test_oversampling_before_the_split(seed):
    repeat = RepeatClass(label="disgust", times=9)
    of = audit(repeat, Shuffle(), SplitLast(count=300, into="test", rest="train"), seed=seed)
    ((key, count),) = found(of).items()
    assert key == ("test", "same row", "repeat_class1", "split_last1")
    # 120 disgust rows became 1,080 of 1,800. Of nine copies none is among the 1,500 training rows only by a miracle.
    assert of.shared("test") == count and 0.4 < of.share("test") < 0.8
    assert audit(Shuffle(), SplitLast(count=300, into="test", rest="train"), seed=seed).overlaps == ()


def test_augmentation_before_the_split():
    of = audit(
        AugmentCopies(split="all", transforms=(FlipHorizontal(),), order="at_end"),
        SplitLast(count=ROWS, into="test", rest="train"),
    )
    assert found(of) == {("test", "augmented copy", "augment_copies1", "split_last1"): ROWS}


def test_copies_of_copies_are_put_down_to_the_step_that_explains_the_pair():
    """Flipped, then repeated: a repeated flip beside its like is the same row; beside the row itself a changed copy."""
    of = audit(
        AugmentCopies(split="all", transforms=(FlipHorizontal(),), order="at_end"),
        RepeatClass(label="angry", times=2),
        SplitLast(count=1, into="test", rest="train"),
    )
    assert found(of) == {("test", "same row", "repeat_class1", "split_last1"): 1}


def test_copies_made_on_one_side_after_the_division_are_no_cause():
    of = audit(
        SplitByUsage(into={"train": ("Training", "PrivateTest"), "test": ("PrivateTest",)}),
        RepeatClass(split="train", label="happy", times=5),
        AugmentCopies(split="train", transforms=(FlipHorizontal(),)),
        Shuffle(split="train"),
    )
    assert found(of) == {("test", "same row", "split_by_usage1", "split_by_usage1"): 280}


def test_pictures_that_stand_in_the_data_set_twice():
    """Row 700 has the pixels of row 3; rows 710 and 711 are near duplicates of rows 5 and 300."""
    given, groups = faces(), np.arange(ROWS)
    images = given.images.copy()
    images[700] = images[3]
    groups[700], groups[710], groups[711] = 3, 5, 300
    of = audit(BY_USAGE, Normalise(), imported=given.changed(images=images), pictures=groups)
    assert found(of) == {
        ("test", "exact duplicate", DATA_SET, "split_by_usage1"): 1,
        ("test", "near duplicate", DATA_SET, "split_by_usage1"): 1,
    }, "row 711 is like a validation row, which is not trained on"


def test_a_row_counts_once_under_the_strongest_kind():
    groups = np.zeros(ROWS, np.int64)  # every picture a near duplicate of every other
    of = audit(BY_USAGE, CopySplit(from_split="train", into="again"), pictures=groups)
    assert found(of)[("again", "same row", "copy_split1", "copy_split1")] == 280
    assert of.share("again") == of.share("test") == 1.0


@pytest.mark.parametrize("planted", range(5))
def test_random_leaks_are_counted_exactly(planted):
    """Against a count row by row, over random plans with a copy on each side."""
    random = np.random.default_rng(planted)
    usage = random.integers(0, 3, ROWS).astype(np.uint8)
    given = faces().changed(usage=usage)
    steps = (
        RepeatClass(label=int(random.integers(7)), times=int(random.integers(2, 5))),
        AugmentCopies(split="all", transforms=(FlipHorizontal(),)),
        Shuffle(),
        SplitLast(count=int(random.integers(50, 900)), into="test", rest="train"),
    )
    splits = apply_steps(given, steps, planted).splits
    trained: dict[int, list[np.ndarray]] = {}
    for origin, image in zip(splits["train"].origin, splits["train"].images, strict=True):
        trained.setdefault(int(origin), []).append(image)
    same = changed = 0
    for origin, image in zip(splits["test"].origin, splits["test"].images, strict=True):
        copies = trained.get(int(origin), [])
        is_same = any((image == copy).all() for copy in copies)
        same, changed = same + is_same, changed + (bool(copies) and not is_same)
    of = audit(*steps, imported=given, seed=planted)
    counted = {kind: sum(o.rows for o in of.overlaps if o.kind == kind) for kind in ("same row", "augmented copy")}
    assert counted == {"same row": same, "augmented copy": changed}
    assert same and changed


def test_splits_that_steer_the_training_are_named():
    stopping = EarlyStopping(split="test", metric="loss", patience=3)
    training = find_paper("onghena").resolve("default").training
    training = msgspec.structs.replace(training, report="best", early_stopping=stopping)
    spec = msgspec.structs.replace(find_paper("onghena").resolve("default"), training=training)
    plan = RunPlan(spec, Path("a.toml"), "", "default", "as-published", 0, Overrides())
    of = audit_leakage(plan, apply_steps(faces(), spec.data.steps, 0), np.arange(ROWS), np.arange(ROWS))
    assert [(s.split, s.decides) for s in of.selections] == [
        ("validation", "which epoch's parameters are reported"),
        ("validation", "when the learning rate falls"),
        ("test", "when training stops"),
    ]
