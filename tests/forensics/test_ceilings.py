"""Results that stand for what can be reached, and claims above all of them."""

from __future__ import annotations

import math

import pytest
from invented_papers import claim, stating_everything, with_claims
from tiny_paper import load_tiny

from repro.forensics import examine
from repro.forensics.ceilings import CEILING, STANDARD_ERRORS, fewest_samples, published


def highest(folder, value: float, rows: int | None = 3589):
    sizes = [] if rows is None else [claim("rows", "rows", rows, split="test")]
    paper = with_claims(load_tiny(folder), [claim("a", "accuracy", value, split="test", resolution=0.0001), *sizes])
    (finding,) = [f for f in examine(stating_everything(paper)) if f.check == CEILING]
    return finding


def test_every_result_has_its_source_and_only_confirmed_ones_are_ceilings():
    results = published()
    assert all(result.source and result.who for result in results.result)
    assert any(not result.confirmed for result in results.result), "a printed result that nobody confirmed"
    best = results.best("single", "ensemble")
    assert best.confirmed and best.accuracy == max(r.accuracy for r in results.result if r.confirmed)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(0.60, "consistent"), (0.75, "cannot tell"), (0.771, "cannot tell"), (0.81, "not by the stated convention")],
)
def test_what_lies_above_the_best_confirmed_result_is_named_and_never_called_impossible(tmp_path, value, outcome):
    finding = highest(tmp_path, value)
    assert finding.outcome == outcome
    if outcome == "not by the stated convention":
        assert f"the best result that we could confirm ({published().checked.isoformat()}" in finding.arithmetic
        assert finding.conventions == ("a network better than every confirmed one",)


def test_few_samples_leave_it_open(tmp_path):
    assert highest(tmp_path, 0.81).outcome == "not by the stated convention"
    assert highest(tmp_path, 0.81, rows=200).outcome == "cannot tell"


def test_the_fewest_samples_are_those_with_three_standard_errors():
    for accuracy in (0.78, 0.85, 0.99):
        rows = fewest_samples(accuracy, 0.7682)
        excess = [(accuracy - 0.7682) / math.sqrt(accuracy * (1 - accuracy) / n) for n in (rows, rows - 1) if n]
        assert excess[0] >= STANDARD_ERRORS > excess[-1] or rows == 1
