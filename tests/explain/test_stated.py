"""repro.explain.stated: what papers say of each protocol error, by their own words and code."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from report_records import headline, make_spec

from repro.explain.evidence import other_network
from repro.explain.search import explained_claim
from repro.explain.stated import CLASS_SUBSET, DUPLICATES, Statements
from repro.specs.catalog import bundled_papers, find_paper
from repro.specs.protocols import (
    AUGMENTED_BEFORE_SPLIT,
    BEST_EPOCH_ON_TEST,
    EVALUATED_ON_TRAINING,
    OVERSAMPLED_BEFORE_SPLIT,
    SUSPECTS,
    TRAINED_ON_ALL,
)
from repro.specs.spec import Provenance

SAID = Provenance(kind="stated", quote="we did it so", place="Sec. 1")
CODE = Provenance(kind="upstream", reason="the notebook does it")
GUESSED = Provenance(kind="assumed", reason="the usual way")
OFFICIAL = {"step": "split_by_usage", "into": {"train": ["Training"], "test": ["PrivateTest"]}}
KEYS = ("data.steps[0]", "data.steps[1]", "data.steps[2]", "model.layers[1]", "training")


def fits(steps, suspect, entry: Provenance = SAID, *, training: dict[str, str] | None = None):
    """What a paper with these data steps says of an error, all settings from one source."""
    tables: dict[str, Any] = {"data": {"steps": steps}}
    if training:
        tables["training"] = make_spec().raw["training"] | training
    spec = make_spec(claims=(headline(),), **tables)
    spec = dataclasses.replace(spec, provenance={key: (entry,) for key in KEYS})
    return Statements(spec, spec.spec.claims[0]).about(suspect).fits


def test_separate_parts_contradict_an_evaluation_on_training_samples():
    for entry in (SAID, CODE):
        assert fits([OFFICIAL], EVALUATED_ON_TRAINING, entry) is False
        assert fits([OFFICIAL], TRAINED_ON_ALL, entry) is False


def test_an_assumption_is_neither_for_an_error_nor_against_it():
    for suspect in (*SUSPECTS, DUPLICATES, CLASS_SUBSET):
        assert fits([OFFICIAL], suspect, GUESSED) is None


def test_the_papers_own_code_may_show_the_error():
    copied = [
        {"step": "split_by_usage", "into": {"train": ["Training"]}},
        {"step": "copy_split", "from_split": "train", "into": "test"},
    ]
    assert fits(copied, EVALUATED_ON_TRAINING, CODE) is True
    assert fits(copied, TRAINED_ON_ALL, CODE) is False, "it is all training samples, not a part of them"
    assert fits(copied, DUPLICATES, CODE) is False
    inside = [{"step": "split_by_usage", "into": {"train": ["Training", "PrivateTest"], "test": ["PrivateTest"]}}]
    assert fits(inside, TRAINED_ON_ALL) is True and fits(inside, EVALUATED_ON_TRAINING) is False


def test_the_order_of_copying_and_dividing_tells():
    repeat = {"step": "repeat_class", "split": "all", "label": "disgust", "times": 9}
    cut = {"step": "split_fraction", "from_split": "all", "fraction": 0.2, "into": "test", "rest": "train"}
    late = repeat | {"split": "train"}
    assert fits([repeat, cut], OVERSAMPLED_BEFORE_SPLIT) is True
    assert fits([cut, late], OVERSAMPLED_BEFORE_SPLIT) is False
    assert fits([repeat, cut], AUGMENTED_BEFORE_SPLIT) is False


def test_removed_duplicates_contradict_duplicates():
    assert fits([OFFICIAL], DUPLICATES) is None
    drop = {"step": "drop_same_pictures", "split": "train", "of": ["test"]}
    assert fits([OFFICIAL, drop], DUPLICATES) is False


def test_the_reported_epoch():
    assert fits([OFFICIAL], BEST_EPOCH_ON_TEST) is False, "the last epoch is reported"
    best = {"report": "best", "report_split": "test"}
    assert fits([OFFICIAL], BEST_EPOCH_ON_TEST, training=best) is True


def test_a_network_with_seven_outputs_uses_seven_classes():
    assert fits([OFFICIAL], CLASS_SUBSET) is False


def statements(paper):
    loaded = find_paper(paper)
    return Statements(loaded, explained_claim(loaded))


@pytest.mark.parametrize("suspect", [*SUSPECTS, CLASS_SUBSET])
def test_the_listing_of_basani2017_contradicts_every_error(suspect):
    assert statements("basani2017").about(suspect).fits is False


def test_the_notebook_of_teta2022_evaluates_the_training_samples():
    said = statements("teta2022").about(EVALUATED_ON_TRAINING)
    assert said.fits is True and "898 steps" in said.text
    others = {suspect: statements("teta2022").about(suspect).fits for suspect in (*SUSPECTS, DUPLICATES)}
    assert [suspect for suspect, one in others.items() if one is not False] == [EVALUATED_ON_TRAINING]


def test_the_code_of_chavan2020_repeats_samples_first():
    assert statements("chavan2020").about(OVERSAMPLED_BEFORE_SPLIT).fits is True


def test_zhaqsylyq_says_nothing_of_its_parts_and_sizes():
    assert {statements("zhaqsylyq").about(suspect).fits for suspect in SUSPECTS} == {None}
    reasons = {paper.id: other_network(paper, explained_claim(paper)) for paper in bundled_papers()}
    assert [id for id, found in reasons.items() if found] == ["zhaqsylyq"]
