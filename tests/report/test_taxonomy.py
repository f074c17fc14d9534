"""repro.report.taxonomy: each kind of leakage, from audits that have it and audits that have not."""

from __future__ import annotations

from typing import Any

import pytest
from leakage_audits import audit, overlap
from report_records import claim

from repro.audit.leakage import LeakageAudit, Selection
from repro.report.taxonomy import KINDS, Answer, leakage_answers
from repro.specs.leakage_sheet import LeakageAnswer, LeakageSheet


def answers(found: LeakageAudit | None, told: LeakageSheet | None = None, **fields: Any) -> dict[str, Answer]:
    return {answer.number: answer for answer in leakage_answers(claim(**fields), found, told)}


def yes(found: dict[str, Answer]) -> set[str]:
    return {number for number, answer in found.items() if answer.answer == "yes"}


def test_every_kind_is_answered_once_in_order():
    found = leakage_answers(claim(), audit(), None)
    assert [answer.number for answer in found] == ["L1.1", "L1.2", "L1.3", "L1.4", "L2", "L3.1", "L3.2", "L3.3"]
    assert tuple(KINDS) == LeakageSheet.__struct_fields__


def test_clean_protocol_has_no_leakage():
    found = answers(audit())
    assert not yes(found)
    assert {n for n, a in found.items() if a.answer == "no"} == {"L1.1", "L1.2", "L1.3", "L1.4"}
    assert all(a.source == "computed" for a in found.values() if a.answer == "no")


@pytest.mark.parametrize(
    ("overlaps", "expected"),
    [
        ([overlap("same row", 1000, "copy_split1", "copy_split1")], {"L1.1", "L3.2"}),
        ([overlap("same row", 122, "repeat_class1")], {"L1.2", "L3.2"}),
        ([overlap("augmented copy", 300, "augment_copies1")], {"L1.2", "L3.2"}),
        ([overlap("exact duplicate", 50)], {"L1.4"}),
        ([overlap("near duplicate", 1)], {"L1.4"}),
        ([overlap("same row", 9, "repeat_class1"), overlap("exact duplicate", 50)], {"L1.2", "L1.4", "L3.2"}),
        ([overlap("same row", 500, "copy_split1", "copy_split1", split="validation")], set()),
    ],
)
def test_each_overlap_is_its_kind_of_leakage(overlaps, expected):
    assert yes(answers(audit(*overlaps))) == expected


def test_selection_on_the_reported_split_leaves_no_test_set():
    chosen = (Selection(split="validation", decides="which epoch is reported"),)
    assert yes(answers(audit(selections=chosen), split="validation")) == {"L1.1"}
    assert not yes(answers(audit(selections=chosen), split="test"))


def test_figure_of_training_samples_has_no_test_set():
    assert yes(answers(None, split="train")) == {"L1.1"}


def test_reasons_hold_the_counts():
    found = answers(audit(overlap("same row", 122, "repeat_class1"), overlap("near duplicate", 50)))
    assert "`repeat_class1` before `split_fraction1`: 122 of 1,000 samples" in found["L1.2"].reason
    assert "50 of 1,000 samples of `test` (5.0 %)" in found["L1.4"].reason
    assert "878 of 1,000 samples of `test` were not trained on" in found["L1.1"].reason


def test_samples_trained_on_themselves_hide_their_duplicates():
    found = answers(audit(overlap("same row", 1000, "copy_split1", "copy_split1")))
    assert found["L1.4"].answer == "unknown"


def test_what_was_not_audited_is_unknown():
    found = answers(None)
    assert found["L1.1"].answer == found["L1.4"].answer == found["L3.2"].answer == "unknown"
    assert "repro audit" in found["L1.4"].reason
    assert answers(audit(), split="public_test")["L1.1"].answer == "unknown"


def test_spec_answers_what_cannot_be_computed_and_never_what_was():
    no = LeakageAnswer(answer="no", reason="The document says so.")
    told = LeakageSheet(l1_4=no, l3_1=no, l3_2=no)
    found = answers(audit(overlap("exact duplicate", 50)), told)
    assert (found["L1.4"].answer, found["L1.4"].source) == ("yes", "computed")
    assert (found["L3.1"].answer, found["L3.1"].source) == ("no", "spec")
    assert (found["L3.2"].answer, found["L3.2"].reason) == ("no", "The document says so.")
    assert (found["L3.3"].answer, found["L3.3"].source) == ("unknown", "")


def test_paper_without_claims_has_answers_too():
    assert len(leakage_answers(None, None, None)) == 8
