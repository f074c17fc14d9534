"""Correct papers that use other conventions are never called impossible, and the collection would notice it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from correct_papers import KINDS, correct_paper
from invented_papers import FAULTS, invented_paper, planted

from repro.forensics import Finding, examine
from repro.forensics.finding import Premise
from repro.specs.spec import Provenance

SEEDS = range(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("correct")


def impossible(paper) -> list[Finding]:
    return [finding for finding in examine(paper) if finding.outcome == "impossible"]


def test_there_are_enough_of_them():
    assert len(KINDS) * len(SEEDS) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_an_correct_paper_is_never_called_impossible(folder, kind):
    for seed in SEEDS:
        assert impossible(correct_paper(folder, kind, seed)) == [], seed


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.accusable])
def test_it_would_be_if_its_convention_were_not_tried(folder, kind):
    """The same numbers in a paper that rules its own convention out: the check that forgives them is at work."""
    assert any(impossible(correct_paper(folder, kind, seed, but=frozenset())) for seed in SEEDS)


@pytest.mark.parametrize(
    "fault", ["wrong split rows", "a wrong parameter count", "too small a loss", "evaluated on the training rows"]
)
@pytest.mark.parametrize("kind", ["upstream", "assumed"])
def test_nothing_that_the_spec_assumes_can_accuse(folder, fault, kind):
    """The same figures as a planted fault, held against settings that the paper does not state."""
    paper, id_ = planted(invented_paper(folder, random.Random(1)), fault, random.Random(2))
    ours = (Provenance(kind=kind, reason="the paper is silent"),)
    silent = replace(paper, provenance=dict.fromkeys(paper.provenance, ours))
    check = FAULTS[fault][0]
    before, after = ({f.outcome for f in examine(p) if f.check == check and id_ in f.claims} for p in (paper, silent))
    assert "impossible" in before and after == {"cannot tell"}


def test_a_finding_that_rests_on_something_assumed_cannot_be_made_impossible():
    fields = {"check": "a", "claims": ("b",), "outcome": "impossible", "arithmetic": "1 = 2", "meaning": "No."}
    assert Finding(**fields)
    with pytest.raises(ValueError, match="not impossible: batches of 32"):
        Finding(**fields, premises=(Premise(what="batches of 32", source="upstream"),))
    with pytest.raises(ValueError, match="not impossible: a mean over runs"):
        Finding(**fields, conventions=("a mean over runs",))
