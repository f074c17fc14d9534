"""repro.runs.plan: the hash covers the settings and nothing else; --epochs shortens; a plan travels."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest
from tiny_paper import load_tiny

from fer_jax.train.batches import stretches
from fer_jax.vocabulary.augmentations import AverageViews, Mixup, RandomAffine, RandomCrop, RandomErasing, Standardise
from fer_jax.vocabulary.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool
from fer_jax.vocabulary.settings import Adam, ReduceOnPlateau, RmsProp, Sgd
from fer_jax.vocabulary.step_kinds import (
    AugmentCopies,
    EqualiseHistogram,
    FlipHorizontal,
    Normalise,
    RandomFlip,
    RepeatClass,
    Resize,
    Rotate,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
)
from repro.runs.plan import make_plan, recorded_spec, settings_sha256
from repro.runs.records import Overrides
from repro.specs.decode import SpecError
from repro.specs.protocols import AS_PUBLISHED
from repro.specs.spec import Spec

BY_STEPS = ("epochs = 5", "steps = 11\nevaluate_every_steps = 4")
LAYERS = (
    Conv(filters=3, kernel=3),
    BatchNorm(),
    Activation(function="relu"),
    MaxPool(window=2),
    Dropout(rate=0.2),
    Flatten(),
    Dense(units=7),
)
STEPS = (
    Shuffle(),
    RepeatClass(label="disgust", times=2),
    SplitFraction(fraction=0.5, into="train", rest="rest"),
    SplitLast(from_split="rest", count=9, into="test", rest="validation"),
    AugmentCopies(split="train", transforms=(FlipHorizontal(), Rotate(degrees=10.0))),
    Resize(size=20),
    RandomFlip(),
    Normalise(),
    SplitByUsage(into={"train": ("Training",)}),
    EqualiseHistogram(),
    Standardise(),
    RandomCrop(size=9),
    RandomAffine(),
    RandomErasing(),
    Mixup(),
    AverageViews(views="flips"),
)


def plan_of(tmp_path, *edits, **overrides):
    return make_plan(load_tiny(tmp_path, *edits), variant="default", seed=0, overrides=Overrides(**overrides))


@pytest.mark.parametrize(
    "edit",
    [
        ('quote = "60 %"', 'quote = "61 %"'),
        ("value = 0.6", "value = 0.7"),
        ("tolerance = 0.03", "tolerance = 0.04"),
        ('reason = "invented"', 'reason = "made up"'),
        ("A tiny network", "A small network"),
        ("The table lists what was run.", "It says so."),
        ('"model.layers.activation1.function" = "tanh"', '"model.layers.activation1.function" = "elu"'),
        ("kernel = 3", "kernel = 3\nstride = 1"),  # a default written out
    ],
)
def test_words_claims_and_other_variants_do_not_change_the_hash(tmp_path, edit):
    before = load_tiny(tmp_path)
    after = load_tiny(tmp_path, edit)
    assert settings_sha256(after.resolve("default")) == settings_sha256(before.resolve("default"))
    assert after.sha256 != before.sha256


def test_a_variant_has_a_hash_of_its_own(tmp_path):
    loaded = load_tiny(tmp_path)
    assert settings_sha256(loaded.resolve("tanh")) != settings_sha256(loaded.resolve("default"))


def test_every_setting_and_their_order_changes_the_hash(tmp_path):
    spec = load_tiny(tmp_path).resolve("default")
    training = msgspec.structs.replace(
        spec.training,
        schedule=ReduceOnPlateau(split="test", metric="loss", factor=0.1, patience=2),
    )
    specs = [
        _with(spec, LAYERS, STEPS, msgspec.structs.replace(training, optimizer=optimizer))
        for optimizer in (Sgd(learning_rate=0.1), Adam(learning_rate=0.1), RmsProp(learning_rate=0.1))
    ]
    swapped = _with(spec, LAYERS[::-1], STEPS[::-1], training)
    by_steps = load_tiny(tmp_path, BY_STEPS).resolve("default")
    changed: list[Spec] = []
    for original in (*specs, by_steps):
        for part in ("data", "model", "training"):
            for value in _changes(getattr(original, part)):
                changed.append(msgspec.structs.replace(original, **{part: value}))
    assert len(changed) > 150
    # Whether two optimizers are told apart must not hang on the values of their settings: as many hashes as settings.
    distinct = {msgspec.json.encode((s.data, s.model, s.training), order="sorted") for s in changed}
    originals = [*specs, swapped, by_steps]
    hashes = {settings_sha256(s) for s in [*changed, *originals]}
    assert len(hashes) == len(distinct) + len(originals)


def _with(spec: Spec, layers: Any, steps: Any, training: Any) -> Spec:
    return msgspec.structs.replace(
        spec,
        data=msgspec.structs.replace(spec.data, steps=steps),
        model=msgspec.structs.replace(spec.model, layers=layers),
        training=training,
    )


RANGES = {"warmup_from", "zoom", "area", "ratio"}  # a range must rise


def _changes(value: Any) -> list[Any]:
    """Copies of a setting, each with one value in it changed."""
    if isinstance(value, msgspec.Struct):
        out = []
        for name in value.__struct_fields__:
            for new in _changes(getattr(value, name)):
                try:
                    out.append(msgspec.structs.replace(value, **{name: new}))
                except ValueError:  # settings that must go together; each is changed in another spec
                    assert name in {*("epochs", "steps", "evaluate_every_steps", "gamma", "over_classes"), *RANGES}
        return out
    if isinstance(value, tuple):
        return [(*value[:i], new, *value[i + 1 :]) for i, item in enumerate(value) for new in _changes(item)]
    if isinstance(value, dict):
        return [{**value, "extra": ("Training",)}, *({**value, k: n} for k, v in value.items() for n in _changes(v))]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    return [f"{value}x"] if isinstance(value, str) else [1]


@pytest.mark.parametrize(("epochs", "expected"), [(None, 5), (1, 1), (3, 3), (5, 5), (9, 5)])
def test_epochs_stops_a_run_early_and_never_prolongs_it(tmp_path, epochs, expected):
    plan = plan_of(tmp_path, epochs=epochs)
    assert plan.training.epochs == expected
    assert len(stretches(plan.training, rows=40)) == expected
    assert plan.spec.training.epochs == 5, "the document's own setting stays for the record"


@pytest.mark.parametrize(("epochs", "steps"), [(None, 11), (1, 1), (2, 5), (3, 9), (4, 11), (9, 11)])
def test_of_a_run_by_steps_an_epoch_is_the_stretch_between_two_evaluations(tmp_path, epochs, steps):
    plan = plan_of(tmp_path, BY_STEPS, epochs=epochs)
    assert plan.training.steps == steps
    # Evaluations after updates 1, 5, 9 and at the end, 11.
    ends = [1, 5, 9, 11][: 4 if epochs is None else epochs]
    found = stretches(plan.training, rows=40)
    assert [sum(s.steps for s in found[: i + 1]) for i in range(len(found))] == ends


def test_an_override_does_not_change_the_hash(tmp_path):
    assert plan_of(tmp_path, epochs=1).sha256 == plan_of(tmp_path).sha256


def test_a_plan_survives_the_way_to_another_process(tmp_path):
    plan = make_plan(load_tiny(tmp_path), variant="tanh", seed=3, overrides=Overrides(epochs=2, limit_train=9))
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan
    assert (again.paper, again.variant, again.protocol, again.seed) == ("tiny", "tanh", AS_PUBLISHED, 3)
    assert again.sha256 == plan.sha256
    assert again.training == plan.training


def test_a_plan_of_an_unknown_variant_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="no variant 'elu'"):
        make_plan(load_tiny(tmp_path), variant="elu", seed=0, overrides=Overrides())


def test_a_record_keeps_all_settings_and_the_claims_that_were_fixed_before(tmp_path):
    spec = load_tiny(tmp_path).resolve("default")
    kept = recorded_spec(spec)
    assert kept["claims"] == [
        {"id": "accuracy", "quantity": "accuracy", "value": 0.6, "unit": "fraction", "tolerance": 0.03}
    ]
    for part in ("paper", "data", "model", "training"):
        assert msgspec.convert(kept[part], type(getattr(spec, part))) == getattr(spec, part)
