"""What a check takes for granted, and the outcome that follows."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from invented_papers import claim, with_claims
from tiny_paper import load_tiny

from repro.forensics.case import Case
from repro.forensics.finding import Premise, weakest
from repro.forensics.granted import data_steps, judge, layer_sizes, setting, together
from repro.specs.conventions import Explanations
from repro.specs.spec import RuledOut

A, B = claim("a", "accuracy", 0.5), claim("b", "accuracy", 0.6)
STATED = Premise(what="a", source="stated")
BATCH = 'evaluate = ["test"]\nprovenance = ['
STATING = BATCH + '{ kind = "stated", of = ["batch_size"], quote = "four", place = "Sec. 1" }, '
FILTERS = "filters = 2\nkernel = 3\nprovenance = ["
STATING_FILTERS = FILTERS + '{ kind = "inferred", of = ["filters", "kernel"], reason = "numbers" }, '


def case(tmp_path, *edits: tuple[str, str], ruled_out: tuple[RuledOut, ...] = ()) -> Case:
    paper = with_claims(load_tiny(tmp_path, *edits), [A, B])
    return Case(replace(paper, spec=msgspec.structs.replace(paper.spec, ruled_out=ruled_out)))


def outcome(found: Case, *, about=(A, B), **fields) -> str:
    return judge(found, "a check", about, "1 = 2", "No.", **{"explained": {}, **fields}).outcome


def test_the_source_of_a_setting_is_that_of_its_provenance(tmp_path):
    assert setting(case(tmp_path), "default", "training.batch_size", "").source == "assumed"
    stating = case(tmp_path, (BATCH, STATING))
    assert setting(stating, "default", "training.batch_size", "").source == "stated"
    assert setting(stating, "default", "training.epochs", "").source == "assumed"


def test_the_sizes_of_layers_have_the_weakest_source_among_them(tmp_path):
    assert layer_sizes(case(tmp_path, (FILTERS, STATING_FILTERS)), "default").source == "assumed", "the dense layer"
    assert weakest(["stated", "inferred"]) == "inferred" and weakest([]) == "stated"
    assert weakest(["upstream", "assumed", "stated"]) == "assumed"


def test_only_steps_that_decide_how_many_samples_there_are_are_named(tmp_path):
    assert [premise.what for premise in data_steps(case(tmp_path))] == ["data step `split_by_usage1`"]


def test_claims_are_together_in_one_table_or_one_sentence():
    there = [claim(name, "accuracy", 0.5, place=f"Table 2, row {name}") for name in "ab"]
    assert together(there) and not together([there[0], claim("c", "accuracy", 0.5, place="Abstract")])
    said = [claim("a", "accuracy", 0.5, place=place, quote="94 % and 98 %") for place in ("Sec. 1", "Sec. 2")]
    assert together(said)


@pytest.mark.parametrize(
    ("source", "explained", "expected"),
    [
        ("stated", {}, "impossible"),
        ("stated", {"mean_of_runs": ""}, "not by the stated convention"),
        ("inferred", {}, "not by the stated convention"),
        ("upstream", {}, "cannot tell"),
        ("assumed", {}, "cannot tell"),
        ("assumed", {"mean_of_runs": ""}, "cannot tell"),
    ],
)
def test_the_outcome_follows_from_the_weakest_premise_and_what_is_left(tmp_path, source, explained, expected):
    premises = (STATED, Premise(what="b", source=source))
    assert outcome(case(tmp_path), premises=premises, explained=explained) == expected


def test_the_papers_words_rule_a_convention_out_for_the_claims_they_are_about(tmp_path):
    def ruling_out(*claims: str) -> Case:
        words = RuledOut(conventions=("mean_of_runs",), claims=claims, quote="a single run", place="Sec. 4")
        return case(tmp_path, ruled_out=(words,))

    explained: Explanations = {"mean_of_runs": "of three"}
    assert outcome(ruling_out(), explained=explained) == "impossible"
    assert outcome(ruling_out("a", "b"), explained=explained) == "impossible"
    assert outcome(ruling_out("a"), explained=explained) == "not by the stated convention", "nothing is said of b"
    assert outcome(ruling_out("a"), explained=explained, about=(A,)) == "impossible"
    said = judge(ruling_out(), "a check", (A,), "1 = 2", "No.", explained=explained)
    assert said.premises == (Premise(what="not a mean over runs or folds: 'a single run' (Sec. 4)", source="stated"),)


def test_an_explanation_that_no_paper_can_rule_out_leaves_nothing_impossible(tmp_path):
    assert outcome(case(tmp_path), always=("a better network",)) == "not by the stated convention"


def test_a_number_without_a_label_accuses_nobody(tmp_path):
    unlabelled = msgspec.structs.replace(A, unlabelled="the split is not named")
    found = judge(case(tmp_path), "a check", (unlabelled, B), "1 = 2", "No.", explained={})
    assert found.outcome == "cannot tell"
    assert found.premises == (Premise(what="what `a` is of: the split is not named", source="assumed"),)
