"""repro.forensics.matrix_arithmetic: against exhaustive search on small matrices, and on the splits of FER-2013."""

from __future__ import annotations

from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printed_matrices import SPLITS, drawn, shares, table

from repro.forensics import matrix_arithmetic as arithmetic
from repro.runs.class_measures import class_measures
from repro.specs.spec import ClaimTable

OF = ("all", "row", "column")


def test_the_splits_of_fer2013():
    assert SPLITS["Training"] == (3995, 436, 4097, 7215, 4830, 3171, 4965) and sum(SPLITS["Training"]) == 28_709
    assert sum(SPLITS["PrivateTest"]) == sum(SPLITS["PublicTest"]) == 3_589
    assert sum(SPLITS["all of FER-2013"]) == 35_887
    reordered = arithmetic.official_splits([6, 0, 1, 2, 3, 4, 5])
    assert reordered["Training"] == (4965, 3995, 436, 4097, 7215, 4830, 3171)


@pytest.mark.parametrize("name", SPLITS)
def test_counts_and_shares_of_all_are_of_their_own_split_alone(name):
    matrix = drawn(SPLITS[name])
    for printed in (table(matrix), shares(matrix, "all", 2)):
        assert [other for other, counts in SPLITS.items() if arithmetic.sums_fit(printed, counts)] == [name]


def test_shares_of_the_training_part_lie_within_rounding_of_it_and_far_from_the_tests():
    """The proof of a matrix that is said to be of unseen images: its row sums are Training's to 0.035 points."""
    printed = shares(drawn(SPLITS["Training"], right=0.98), "all", 2)
    assert arithmetic.largest_gap(printed, SPLITS["Training"]) <= 0.035
    assert arithmetic.largest_gap(printed, SPLITS["PrivateTest"]) > 0.6
    assert arithmetic.largest_gap(printed, SPLITS["PublicTest"]) > 1.0


def test_shares_of_rows_tell_no_sums():
    with pytest.raises(ValueError, match="do not show which split"):
        arithmetic.sums_fit(shares(drawn(SPLITS["Training"]), "row", 2), SPLITS["Training"])


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("decimals", [0, 1, 2, 4])
def test_a_real_matrix_has_a_solution(of, cut, decimals):
    for seed in range(3):
        matrix = drawn(SPLITS["PrivateTest"], seed)
        assert arithmetic.has_whole_solution(shares(matrix, of, decimals, cut=cut), SPLITS["PrivateTest"])


def test_shares_of_rows_tell_the_split_by_its_small_classes():
    """55 images of disgust have 56 shares; to two decimals of a per cent 436 images give others."""
    printed = shares(drawn(SPLITS["Training"]), "row", 2)
    assert [n for n, c in SPLITS.items() if arithmetic.has_whole_solution(printed, c)] == ["Training"]


def test_one_changed_share_has_no_solution():
    printed = shares(drawn(SPLITS["PrivateTest"]), "row", 2)
    cells = [list(row) for row in printed.cells]
    cells[1][1] += 0.5  # of 55 images one is 1.82 %
    assert not arithmetic.has_whole_solution(
        table(cells, unit="percent", of="row", resolution=0.01), SPLITS["PrivateTest"]
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(["all", "row"]), st.integers(0, 1), st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_have_a_solution_if_and_only_if_search_finds_one(seed, of, decimals, changed):
    """All ways to spread a few samples over two classes, each printed by rounding half to even."""
    random = np.random.default_rng(seed)
    counts = tuple(int(v) for v in random.integers(1, 9, 2))
    matrix = np.array([[k := int(random.integers(0, c + 1)), c - k] for c in counts])
    printed = shares(matrix, of, decimals, classes=("a", "b"))
    cells = [list(row) for row in printed.cells]
    if changed:
        cells[0][0] = max(0.0, min(100.0, round(cells[0][0] + random.choice([-7, 7]), decimals)))
    asked = ClaimTable(
        **{f: getattr(printed, f) for f in ("id", "split", "classes", "unit", "of", "resolution", "quote", "place")},
        cells=((50.0, 50.0), (50.0, 50.0)) if of == "row" else ((25.0, 25.0), (25.0, 25.0)),
    )
    msgspec.structs.force_setattr(asked, "cells", tuple(map(tuple, cells)))  # changed shares need not add up
    low, high = arithmetic.share_window(asked)
    found = any(
        all(
            low[i, j] - 1e-9 <= value / (sum(counts) if of == "all" else counts[i]) <= high[i, j] + 1e-9
            for i, j, value in ((0, 0, a), (0, 1, counts[0] - a), (1, 0, b), (1, 1, counts[1] - b))
        )
        for a, b in product(range(counts[0] + 1), range(counts[1] + 1))
    )
    assert arithmetic.has_whole_solution(asked, counts) is found


def test_column_shares_that_no_samples_give():
    """Both classes have 10 samples; if every prediction is right nine times in ten, neither column can be empty."""
    good = table([[90, 10], [10, 90]], classes=("a", "b"), unit="percent", of="column", resolution=1)
    assert arithmetic.has_whole_solution(good, (10, 10))
    # 99 % of what is called a, and 99 % of what is called b, are of class a: there are no 100 samples of b
    odd = table([[99, 99], [1, 1]], classes=("a", "b"), unit="percent", of="column", resolution=1)
    assert arithmetic.has_whole_solution(odd, (990, 10))
    assert not arithmetic.has_whole_solution(odd, (500, 500))


@pytest.mark.parametrize("of", ["all", "row"])
@pytest.mark.parametrize("decimals", [1, 2])
def test_measures_lie_in_their_ranges(of, decimals):
    for seed in range(4):
        matrix = drawn(SPLITS["PrivateTest"], seed)
        bounds = arithmetic.count_bounds(shares(matrix, of, decimals), SPLITS["PrivateTest"])
        truth = class_measures(matrix)
        assert bounds.possible and (bounds.low <= matrix).all() and (matrix <= bounds.high).all()
        low, high = arithmetic.accuracy_range(bounds)
        assert low <= np.trace(matrix) / matrix.sum() <= high and high - low < 0.05
        for k in range(7):
            for value, of_class in (
                (truth.precision[k], arithmetic.precision_range),
                (truth.recall[k], arithmetic.recall_range),
                (truth.f1[k], arithmetic.f1_range),
            ):
                low, high = of_class(bounds, k)
                assert low <= value <= high and high - low < (0.6 if decimals == 1 else 0.1)


def test_counts_give_the_measures_themselves():
    matrix = drawn(SPLITS["PublicTest"])
    bounds = arithmetic.count_bounds(table(matrix), SPLITS["PublicTest"])
    truth = class_measures(matrix)
    assert arithmetic.accuracy_range(bounds) == pytest.approx((np.trace(matrix) / 3589,) * 2)
    f1 = [arithmetic.f1_range(bounds, k) for k in range(7)]
    assert arithmetic.mean_range(f1) == pytest.approx((truth.f1.mean(),) * 2)
    weighted = np.average(truth.f1, weights=truth.support)
    assert arithmetic.mean_range(f1, SPLITS["PublicTest"]) == pytest.approx((weighted, weighted))
