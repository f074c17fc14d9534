"""A claimed accuracy as it is written on a command line."""

from __future__ import annotations

import pytest

from repro.evaluation.claim import parse_fraction
from repro.evaluation.errors import EvaluationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("66%", (0.66, 0.01)),
        ("65.76 %", (0.6576, 0.0001)),
        ("0.66", (0.66, 0.01)),
        ("100%", (1.0, 0.01)),
        ("1", (1, 1)),
    ],
)
def test_a_claim_has_a_last_digit(text, expected):
    assert parse_fraction(text, "--claim") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["66", "a", "-1%", "101%", "1e3", ""])
def test_a_claim_that_is_none(text):
    with pytest.raises(EvaluationError, match="--claim"):
        parse_fraction(text, "--claim")


@pytest.mark.parametrize(("text", "words"), [("73.3", "73.3% or 0.733$"), ("733", "66% or 0.66$")])
def test_a_percentage_without_its_sign_is_shown_with_it(text, words):
    with pytest.raises(EvaluationError, match=f"write {words}"):
        parse_fraction(text, "--claim")
