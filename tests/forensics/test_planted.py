"""Papers invented without a mistake raise no alarm; each fault that is planted in one is found at its place."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_papers import FAULTS, invented_paper, planted, with_claims

from repro.forensics import examine

# A network may be better than all that are known. So the ceiling alone never calls a figure impossible; the other
# figures of the paper do.
OUTCOME = {"above the ceiling": "not by the stated convention"}
SEEDS = st.integers(0, 10**9)
FEW = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("invented")


def contradictions(paper):
    return [finding for finding in examine(paper) if finding.outcome == "impossible"]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_paper_without_mistakes_raises_no_alarm(folder, seed):
    assert contradictions(invented_paper(folder, random.Random(seed))) == []


def test_most_checks_have_something_to_say_about_it(folder):
    checks = {f.check for seed in range(6) for f in examine(invented_paper(folder, random.Random(seed)))}
    assert {check for check, _ in FAULTS.values()} <= checks


@pytest.mark.parametrize("fault", FAULTS)
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_a_planted_fault_is_found_at_its_place(folder, fault, seed):
    paper, id_ = planted(invented_paper(folder, random.Random(seed)), fault, random.Random(seed + 1))
    found = contradictions(paper)
    own = OUTCOME.get(fault, "impossible")
    assert any(f.check == FAULTS[fault][0] and f.outcome == own and id_ in f.claims for f in examine(paper)), (
        "not found by its own check"
    )
    assert found, "not found by arithmetic alone"
    assert all(id_ in f.claims for f in found), "an alarm about figures that are right"


@FEW
@given(seed=SEEDS, value=st.sampled_from((0.0, 1.0, 0.5, 1e-12, 1e12)))
def test_absurd_figures_are_judged_and_never_fail(folder, seed, value):
    draw = random.Random(seed)
    paper = invented_paper(folder, draw)
    claims = [
        msgspec.structs.replace(c, value=min(value, 1.0) if c.quantity == "accuracy" else value)
        if c.quantity != "steps" and draw.random() < 0.3
        else c
        for c in paper.spec.claims
    ]
    assert contradictions(with_claims(paper, claims))


@FEW
@given(seed=SEEDS)
def test_fewer_claims_never_bring_an_alarm(folder, seed):
    draw = random.Random(seed)
    paper = invented_paper(folder, draw)
    kept = [claim for claim in paper.spec.claims if draw.random() < 0.5 and claim.id != "speedup-average"]
    assert contradictions(with_claims(paper, kept)) == []
