"""Shares of samples: intervals against published values and by simulation, and McNemar's exact test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from repro.statistics import independent_difference, mcnemar, share, standardised_difference
from repro.statistics.proportions import SampleShare, effective_size, wilson


def hits(yes: int, n: int) -> np.ndarray:
    return np.arange(n) < yes


def test_the_interval_is_wilsons():
    """Newcombe 1998 (Statistics in Medicine 17, 857-872), table I: 81 of 263 gives 0.2553 to 0.3662 by method 3."""
    found = share(hits(81, 263))
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert math.isnan(share(hits(0, 0)).value)
    assert share(hits(0, 10)).low == 0.0 and share(hits(10, 10)).high == 1.0


def test_the_difference_of_two_groups_is_newcombes():
    """Newcombe 1998 (Statistics in Medicine 17, 873-890), table II: 56/70 - 48/80 is 0.0524 to 0.3339 by method 10."""
    found = independent_difference(share(hits(56, 70)), share(hits(48, 80)))
    assert found is not None
    assert [round(one, 4) for one in found] == [0.2, 0.0524, 0.3339]
    assert independent_difference(share(hits(1, 2)), share(hits(0, 0))) is None


@pytest.mark.parametrize(("copies", "size"), [(1, 60), (2, 30), (3, 20)])
def test_copies_of_one_image_count_once(copies, size):
    """Every image `copies` times with one answer: as many independent samples as images."""
    one = np.random.default_rng(0).random(size) < 0.6
    found = effective_size(np.repeat(one, copies), np.repeat(np.arange(size), copies))
    assert found == pytest.approx(size - 1, rel=0.01)
    wide, plain = share(np.repeat(one, copies), np.repeat(np.arange(size), copies)), share(one)
    assert wide.high - wide.low == pytest.approx(plain.high - plain.low, rel=0.03)


def test_the_interval_holds_its_level_with_repeated_images():
    """95 % of intervals hold the expected accuracy; those that ignore the groups do not."""
    random, inside, ignoring = np.random.default_rng(1), 0, 0
    group = np.repeat(np.arange(100), 4)
    for _ in range(400):
        answered = np.repeat(random.random(100) < 0.7, 4)
        found = share(answered, group)
        inside += found.low <= 0.7 <= found.high
        low, high = wilson(float(answered.mean()), len(answered))
        ignoring += low <= 0.7 <= high
    assert inside / 400 > 0.92 > 0.85 > ignoring / 400


def test_mcnemar_is_the_binomial_of_the_samples_on_which_two_differ():
    first = np.array([1] * 10 + [1] * 1 + [0] * 9 + [0] * 5, bool)
    second = np.array([1] * 10 + [0] * 1 + [1] * 9 + [0] * 5, bool)
    found = mcnemar(first, second)
    assert found[:4] == (10, 1, 9, 5)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # P(at most 1 of 10), both sides
    assert mcnemar(first, first).p == 1.0


def test_a_difference_within_strata_is_not_that_of_their_mix():
    """Both groups have the same shares in each stratum, but other sizes: the plain difference is large, this is 0."""
    ones, others = np.array([[90, 100], [5, 10]]), np.array([[9, 10], [500, 1000]])
    plain = ones[:, 0].sum() / ones[:, 1].sum() - others[:, 0].sum() / others[:, 1].sum()
    found = standardised_difference(ones, others)
    assert plain > 0.3 and found is not None
    assert found.value == pytest.approx(0) and found.low < 0 < found.high
    assert standardised_difference(np.array([[0, 0]]), np.array([[1, 1]])) is None


def test_the_standardised_difference_holds_its_level():
    random, inside = np.random.default_rng(2), 0
    sizes, p = np.array([40, 15]), np.array([0.8, 0.4])
    for _ in range(400):
        ones = np.stack([random.binomial(sizes, p + 0.1), sizes], 1)
        others = np.stack([random.binomial(3 * sizes, p), 3 * sizes], 1)
        found = standardised_difference(ones, others)
        assert found is not None
        inside += found.low <= 0.1 <= found.high
    assert inside / 400 > 0.92


def test_a_share_says_its_value():
    assert SampleShare(3, 4, 0.0, 1.0).value == 0.75
