"""repro.judge.designs: what a spec's data steps say of the evaluated samples, for the bundled papers too."""

from __future__ import annotations

import msgspec
import pytest
from report_records import claim, data, make_record, make_spec, metrics

from fer_jax.vocabulary.step_kinds import (
    CopySplit,
    DropSamePictures,
    Shuffle,
    SplitByUsage,
    SplitFraction,
    SplitLast,
    Step,
)
from repro.judge.designs import design_of, drawn_splits, other_design
from repro.specs.catalog import find_paper
from repro.specs.protocols import CLEAN, OFFICIAL, under_protocol
from repro.statistics import NOT_SAMPLED, Design, Samples

PARTS = SplitByUsage(into={"train": ("Training",), "test": ("PrivateTest",)})
FRACTION = SplitFraction(fraction=0.2, into="test", rest="train")


@pytest.mark.parametrize(
    ("steps", "drawn"),
    [
        ((PARTS,), set()),
        ((FRACTION,), {"test", "train"}),
        (
            (PARTS, SplitFraction(from_split="train", fraction=0.7, into="train", rest="validation")),
            {"train", "validation"},
        ),
        ((SplitLast(count=10, into="test", rest="train"),), set()),
        ((Shuffle(), SplitLast(count=10, into="test", rest="train")), {"test", "train"}),
        ((PARTS, Shuffle(split="train")), set()),
        ((FRACTION, CopySplit(from_split="test", into="again")), {"test", "train", "again"}),
        ((PARTS, CopySplit(from_split="train", into="validation")), set()),
        ((FRACTION, DropSamePictures(split="train", of=("test",))), {"test", "train"}),
    ],
)
def test_splits_are_drawn_if_a_seed_changes_their_samples(steps: tuple[Step, ...], drawn):
    assert set(drawn_splits(steps)) == drawn


def test_papers_and_protocols_that_draw_their_samples():
    expected = {"basani2017": True, "chavan2020": True, "onghena": True, "teta2022": False, "zhaqsylyq": False}
    for name, drawn in expected.items():
        loaded = find_paper(name)
        assert loaded.spec.headline is not None
        assert (loaded.spec.headline.split in drawn_splits(loaded.resolve("default").data.steps)) is drawn
        for protocol in (OFFICIAL, CLEAN):
            assert not drawn_splits(under_protocol(loaded.resolve("default"), protocol).data.steps)


def drawing_paper():
    loaded = make_spec(data={"steps": [{"step": "split_fraction", "fraction": 0.2, "into": "test", "rest": "train"}]})
    counted = msgspec.structs.replace(data(), steps=(("split_fraction1", {"test": 100, "train": 400}),))
    return loaded, make_record(loaded, data=counted)


def test_a_drawn_split_tells_its_samples_and_what_they_were_drawn_from():
    loaded, record = drawing_paper()
    assert design_of(claim(), loaded, [record]) == Design(Samples.REDRAWN, 100, 100, 500)
    assert design_of(claim(split="minibatch", step=99), loaded, [record]) == Design(Samples.REDRAWN, 100, 100)


def test_a_fixed_split_is_the_papers_own_and_a_loss_is_no_share_of_samples():
    loaded = make_spec()
    record = make_record(loaded)
    assert design_of(claim(), loaded, [record]) == Design(Samples.FIXED_OWN, 100, 100)
    assert design_of(claim(unit="nat", value=1.0), loaded, [record]) == NOT_SAMPLED
    assert design_of(claim(split="validation"), loaded, [record]) == NOT_SAMPLED, "no run holds it"


def test_the_recall_of_one_emotion_is_of_its_own_samples():
    loaded, record = drawing_paper()
    confusion = tuple(tuple(20 if r == c == 3 else 5 if r == c else 0 for c in range(7)) for r in range(7))
    record = msgspec.structs.replace(record, metrics={"test": metrics(0.5, confusion=confusion)})
    design = design_of(claim(emotion="happy"), loaded, [record])
    assert (design.samples, design.ours, design.population) == (Samples.REDRAWN, 20, 100)


def test_runs_on_other_samples_know_how_many_the_paper_evaluated():
    _, record = drawing_paper()
    assert other_design(claim(), [record], 3507, 35_887) == Design(Samples.UNKNOWN, 3507, 100, 35_887)
    assert other_design(claim(unit="nat", value=1.0), [record], 3507, 35_887) == NOT_SAMPLED
