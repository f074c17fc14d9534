"""repro.verdict: intervals against published tables and by simulation, and which claims get a verdict."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import claim

from repro.verdict import has_verdict, interval_of, is_fact, prediction_interval

FACTOR_3 = 4.302653 * math.sqrt(4 / 3)  # t(0.975, 2) of the tables, and sqrt(1 + 1/n)
SPREAD = st.floats(1e-4, 0.3)
ACCURACY = st.floats(0.05, 0.95)


# --- the interval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "level", "quantile"),
    # Two-sided quantiles of Student's t, as every table prints them.
    [(2, 0.95, 12.706), (3, 0.95, 4.303), (5, 0.95, 2.776), (10, 0.95, 2.262), (30, 0.95, 2.045), (5, 0.99, 4.604)],
)
def test_seeds_part_is_the_tabulated_quantile_times_the_error_of_one_new_run(n, level, quantile):
    interval = interval_of(0.5, 0.02, n, resolution=0.0, rows=None, level=level)
    assert interval.seeds == pytest.approx(quantile * 0.02 * math.sqrt(1 + 1 / n), rel=2e-4)
    assert (interval.binomial, interval.rounding, interval.n) == (0.0, 0.0, n)
    assert interval.high - 0.5 == pytest.approx(0.5 - interval.low) == pytest.approx(interval.seeds)


def test_values_give_their_mean_and_sample_deviation():
    interval = prediction_interval([0.58, 0.60, 0.65], resolution=0.0, rows=None)
    assert interval is not None
    assert interval.centre == pytest.approx(0.61)
    assert interval.seeds == pytest.approx(FACTOR_3 * 0.01 * math.sqrt(13), rel=1e-6)  # (9 + 1 + 16) / 2 hundredths


def test_binomial_part_adds_in_quadrature_and_rounding_to_the_whole():
    interval = prediction_interval([0.60, 0.61, 0.62], resolution=0.01, rows=1000)
    assert interval is not None
    assert interval.binomial == pytest.approx(1.959964 * math.sqrt(0.61 * 0.39 / 1000), rel=1e-6)
    assert interval.rounding == 0.005
    assert interval.half_width == pytest.approx(math.hypot(interval.seeds, interval.binomial) + 0.005)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("binomial_share", [0.0, 0.3, 1.0, 3.0])
def test_interval_holds_a_new_run_on_another_test_set_95_times_in_100(n, binomial_share):
    """Sets of n normal seeds, then one new run whose test set has a binomial error of `binomial_share` x the spread."""
    sets, mean, std = 40_000, 0.6, 0.01
    random = np.random.default_rng(n)
    seeds = random.normal(mean, std, (sets, n))
    new = random.normal(mean, std, sets) + random.normal(0, binomial_share * std, sets)
    rows = round(mean * (1 - mean) / (binomial_share * std) ** 2) if binomial_share else None
    # The seeds part is in proportion to the deviation and the others do not depend on it: one call serves all sets.
    unit = interval_of(mean, 1.0, n, resolution=0.0, rows=rows)
    half = np.hypot(unit.seeds * seeds.std(1, ddof=1), unit.binomial)
    coverage = np.mean(np.abs(new - seeds.mean(1)) <= half)
    error = math.sqrt(0.95 * 0.05 / sets)
    assert coverage >= 0.95 - 3 * error
    assert coverage <= (0.95 + 3 * error if not binomial_share else 0.99)


def test_the_simulated_interval_is_the_one_of_the_values():
    values = np.random.default_rng(1).normal(0.6, 0.01, 5).tolist()
    interval = prediction_interval(values, resolution=0.0, rows=None)
    unit = interval_of(0.6, 1.0, 5, resolution=0.0, rows=None)
    assert interval is not None
    assert interval.half_width == pytest.approx(unit.seeds * np.std(values, ddof=1))


@settings(deadline=None)
@given(ACCURACY, SPREAD, st.integers(2, 50), st.floats(0, 0.1), st.floats(0, 0.1), st.integers(10, 10**6))
def test_rounding_and_test_size_only_ever_widen(mean, std, n, fine, more, rows):
    bare = interval_of(mean, std, n, resolution=fine, rows=None)
    assert interval_of(mean, std, n, resolution=fine + more, rows=None).half_width >= bare.half_width
    assert interval_of(mean, std, n, resolution=fine, rows=rows).half_width >= bare.half_width


@settings(deadline=None)
@given(ACCURACY, SPREAD, st.integers(2, 500), st.integers(1, 500))
def test_more_seeds_of_the_same_spread_narrow_the_interval(mean, std, n, more):
    few, many = (interval_of(mean, std, count, resolution=0.01, rows=100) for count in (n, n + more))
    assert many.seeds < few.seeds
    assert many.binomial == few.binomial


def test_no_interval_of_one_run_and_no_nan():
    assert prediction_interval([0.5], resolution=0.01, rows=100) is None
    assert prediction_interval([], resolution=0.01, rows=100) is None
    with pytest.raises(ValueError, match="finite"):
        prediction_interval([0.5, math.nan, 0.5], resolution=0.01, rows=100)
    with pytest.raises(ValueError, match="one run"):
        interval_of(0.5, 0.1, 1, resolution=0.0, rows=None)
    with pytest.raises(ValueError, match="fraction"):
        prediction_interval([61.0, 62.0], resolution=0.01, rows=100)


# --- which claims get a verdict --------------------------------------------------------------------------------------


def test_times_never_get_a_verdict():
    for other in (claim(unit="h"), claim(unit="1"), claim(not_measured="it cannot be")):
        assert not has_verdict(other)
    counts = [claim(quantity=q, unit="rows") for q in ("predicted_rows", "true_positives")]
    assert all(map(has_verdict, [claim(), claim(unit="nat"), claim(unit="rows"), *counts]))


def test_a_fact_is_the_same_in_every_run():
    assert is_fact(claim(unit="rows", value=10), [9, 9])
    assert not is_fact(claim(unit="rows", value=10), [9, 10])
    assert not is_fact(claim(), [0.5, 0.5])


def test_import_does_not_load_scipy():
    code = "import sys, repro.verdict, repro.judge\nprint(*(m for m in ('scipy', 'jax') if m in sys.modules))"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "")
