"""repro.decide.question: which claim is decided, and what a run measured for it."""

import pytest
from report_records import make_record, metrics
from tiny_paper import load_tiny

from repro.decide.question import question_of
from repro.specs.catalog import bundled_papers
from repro.specs.decode import SpecError
from repro.specs.protocols import AS_PUBLISHED, CLEAN

OWN = """
[[claims]]
id = "tanh-accuracy"
quantity = "accuracy"
value = 0.55
unit = "fraction"
resolution = 0.01
split = "test"
variant = "tanh"
quote = "55 % with tanh"
place = "Table 2"
"""


def test_every_bundled_paper_has_a_question_under_every_protocol():
    for paper in bundled_papers():
        for variant in paper.variant_names():
            for protocol in (AS_PUBLISHED, CLEAN):
                question = question_of(paper, variant, protocol)
                assert question.claim.quantity == "accuracy" and question.plan(3).seed == 3
                assert question.plan(0).protocol == protocol
        assert question_of(paper, "default", AS_PUBLISHED).claim.headline


def test_a_variant_is_asked_for_its_own_accuracy_else_for_the_headline(tmp_path):
    loaded = load_tiny(tmp_path)
    assert question_of(loaded, "tanh", AS_PUBLISHED).claim.id == "accuracy"
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text() + OWN)
    from repro.specs.decode import load_spec

    own = question_of(load_spec(path), "tanh", AS_PUBLISHED)
    assert (own.claim.id, own.name) == ("tanh-accuracy", "tiny tanh")
    assert question_of(load_spec(path), "default", CLEAN).name == "tiny default clean"


def test_a_paper_without_a_measured_figure_has_none(tmp_path):
    with pytest.raises(SpecError, match="--until-decided needs an accuracy or a loss that runs measure"):
        question_of(
            load_tiny(tmp_path, ("headline = true", 'headline = true\nnot_measured = "lost"')), "default", AS_PUBLISHED
        )
    trained = load_tiny(tmp_path, ('split = "test"', 'split = "train"'))
    assert question_of(trained, "default", AS_PUBLISHED).claim.split == "train"
    with pytest.raises(SpecError, match="only measures samples that were held out"):
        question_of(trained, "default", CLEAN)


def test_the_value_is_the_claims_own_as_published_and_the_reported_split_elsewhere(tmp_path):
    loaded = load_tiny(tmp_path, ('split = "test"', 'split = "train"\nepoch = 2'))
    record = make_record(loaded, accuracy=0.5, metrics={"test": metrics(0.25)})
    assert question_of(loaded, "default", AS_PUBLISHED).value(record) == pytest.approx(record.history[1].train.accuracy)
    plain = question_of(load_tiny(tmp_path), "default", CLEAN)
    assert plain.value(record) == 0.25
    assert plain.value(make_record(loaded, metrics={})) is None
