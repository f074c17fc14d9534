"""repro.judge.inflation: differences of means with intervals that hold, for fixed and redrawn samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from repro.judge.inflation import difference
from repro.statistics import Design, Prior, Samples

FIXED = Design(Samples.FIXED_OWN, 3589, 3589, 35_887)
NONE = (None, None)


def test_the_interval_is_welchs():
    found = difference((0.60, 0.62), (0.50, 0.51, 0.52, 0.53), priors=NONE, designs=(FIXED, FIXED), same_samples=True)
    a, b = 2e-4 / 2, (5e-4 / 3) / 4
    df = (a + b) ** 2 / (a**2 / 1 + b**2 / 3)
    from scipy import stats

    assert found is not None and found.n == (2, 4)
    assert found.mean == pytest.approx(0.61 - 0.515)
    assert found.half_width == pytest.approx(float(stats.t.ppf(0.975, df)) * math.sqrt(a + b))


def test_other_samples_add_the_error_of_both_test_sets():
    small = Design(Samples.FIXED_OWN, 100, 100)
    settings = {"priors": NONE, "designs": (small, small)}
    same = difference((0.6, 0.61, 0.62), (0.5, 0.51, 0.52), same_samples=True, **settings)
    other = difference((0.6, 0.61, 0.62), (0.5, 0.51, 0.52), same_samples=False, **settings)
    assert same is not None and other is not None and same.half_width is not None and other.half_width is not None
    binomial = 1.959964 * math.sqrt((0.61 * 0.39 + 0.51 * 0.49) / 100)
    assert other.half_width == pytest.approx(math.hypot(same.half_width, binomial), rel=1e-6)


def test_single_runs_need_a_prior():
    designs = (FIXED, FIXED)
    without = difference((0.6,), (0.5, 0.51), priors=NONE, designs=designs, same_samples=True)
    assert without is not None and without.half_width is None
    prior = Prior(0.006, 8, 9, 18)
    with_prior = difference((0.6,), (0.5,), priors=(prior, prior), designs=designs, same_samples=True)
    assert with_prior is not None and with_prior.half_width == pytest.approx(2.119905 * 0.006 * math.sqrt(2), rel=1e-4)
    assert difference((), (0.5,), priors=NONE, designs=designs, same_samples=True) is None


def test_95_of_100_intervals_hold_the_true_difference():
    random, held, tried = np.random.default_rng(1), 0, 1500
    prior = Prior(0.006, 8, 9, 18)
    for _ in range(tried):
        first, second = random.normal(0.6, 0.006, 5).tolist(), random.normal(0.55, 0.006, 3).tolist()
        found = difference(first, second, priors=(prior, prior), designs=(FIXED, FIXED), same_samples=True)
        assert found is not None and found.half_width is not None
        held += abs(found.mean - 0.05) <= found.half_width
    assert held / tried >= 0.94 - 0.01
