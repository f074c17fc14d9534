"""repro.statistics.families: Holm's worked example, its error rate, and totals beside what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from repro.statistics import by_chance, holm


def test_holm_multiplies_by_the_number_that_is_left_and_never_falls():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({}) == {}
    assert holm({"x": 0.7, "y": 0.9}) == {"x": 1.0, "y": 1.0}


def test_a_family_of_true_claims_errs_in_at_most_5_per_cent():
    random, papers = np.random.default_rng(1), 4000
    wrong = sum(
        any(p < 0.05 for p in holm({str(k): p for k, p in enumerate(random.uniform(size=12))}).values())
        for _ in range(papers)
    )
    assert wrong / papers <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / papers)


def test_totals_stand_beside_what_chance_would_give():
    total = by_chance([0.01, 0.2, 0.04, 0.9])
    assert (total.claims, total.found, total.expected) == (4, 2, pytest.approx(0.2))
