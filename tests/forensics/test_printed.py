"""What a printed figure can stand for: rounded, or with digits cut off."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_papers import claim

from repro.forensics.printed import RoundingInterval, precision, whole_counts, window

DECIMALS = st.integers(1, 6)


def printings(k: int, rows: int, places: int) -> set[Decimal]:
    """How k of `rows` can be printed: rounded either way, or cut."""
    exact, unit = Decimal(k) / Decimal(rows), Decimal(1).scaleb(-places)
    return {exact.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_DOWN)}


@given(st.data(), st.integers(1, 40_000), DECIMALS)
def test_no_true_accuracy_is_ever_called_impossible(data, rows, places):
    k = data.draw(st.integers(0, rows))
    for text in printings(k, rows, places):
        least, greatest = whole_counts(RoundingInterval(float(text), 10.0**-places), rows)
        assert least <= k <= greatest


@pytest.mark.parametrize(("rows", "places"), [(3589, 4), (32, 3), (1000, 4), (61, 2)])
def test_exactly_the_accuracies_that_no_count_gives_are_called_impossible(rows, places):
    possible = {text for k in range(rows + 1) for text in printings(k, rows, places)}
    for value in range(10**places + 1):
        text = Decimal(value).scaleb(-places)
        least, greatest = whole_counts(RoundingInterval(float(text), 10.0**-places), rows)
        assert (max(least, 0) <= min(greatest, rows)) == (text in possible), text


@given(st.integers(10**7, 10**11), DECIMALS)
def test_a_rounded_figure_is_consistent_and_a_cut_one_at_least_not_impossible(billionths, places):
    exact, unit = Decimal(billionths).scaleb(-9), Decimal(1).scaleb(-places)
    rounded, cut = (exact.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_DOWN))
    value = float(exact)
    assert RoundingInterval(float(rounded), float(unit)).fit(value) == "rounded"
    assert RoundingInterval(float(cut), float(unit)).fit(value) != "no"
    assert RoundingInterval(float(rounded + 2 * unit), float(unit)).fit(value) == "no"
    assert RoundingInterval(float(cut - 2 * unit), float(unit)).fit(value) == "no"


def test_precision_comes_from_the_resolution_the_digits_or_the_kind_of_the_number():
    assert precision(claim("a", "accuracy", 0.5, resolution=0.01, split="test")) == 0.01
    assert precision(claim("a", "loss", 1.25, split="test")) == 0.01
    assert precision(claim("a", "rows", 3589)) == 0.0
    assert precision(claim("a", "rows", 40_000, resolution=1000.0)) == 1000.0
    unrounded = window(claim("a", "accuracy", 0.9819220304489136, resolution=0.0001, split="test"))
    assert whole_counts(unrounded, 28_709) == (28_190, 28_190)
    assert whole_counts(unrounded, 3589)[0] > whole_counts(unrounded, 3589)[1]
