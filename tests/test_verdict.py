"""repro.verdict: intervals against published tables and by simulation, verdicts at their boundaries."""

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

from repro.verdict import Judgement, fewest_seeds, has_verdict, interval_of, judge, limit_interval, prediction_interval

FACTOR_3 = 4.302653 * math.sqrt(4 / 3)  # t(0.975, 2) of the tables, and sqrt(1 + 1/n)
EDGE = 1e-6
SPREAD = st.floats(1e-4, 0.3)
ACCURACY = st.floats(0.05, 0.95)


def around(mean: float, std: float) -> tuple[float, float, float]:
    """Three values with exactly this mean and sample standard deviation."""
    return mean - std, mean, mean + std


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


def test_more_seeds_tend_to_the_limit():
    settings = {"resolution": 0.01, "rows": 1000}
    limit = limit_interval(0.6, 0.02, **settings)
    assert interval_of(0.6, 0.02, 100_000, **settings).half_width == pytest.approx(limit.half_width, rel=1e-4)
    assert interval_of(0.6, 0.02, 100, **settings).half_width > limit.half_width


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


# --- the verdict ------------------------------------------------------------------------------------------------------


def verdict(judgement: Judgement) -> str:
    return judgement.verdict


@pytest.mark.parametrize("values", [(), (0.61,), (0.61, 0.61)])
def test_fewer_than_three_runs_are_inconclusive(values):
    judged = judge(claim(tolerance=0.03), values, rows=1000)
    assert judged.verdict == "inconclusive"
    assert "at least 3" in judged.reason


@pytest.mark.parametrize("rows", [None, 1000])
def test_claim_just_outside_the_interval_is_missed_and_just_inside_is_not(rows):
    tested = claim(tolerance=0.1)
    for mean, outside in ((0.55, "below the claim"), (0.67, "above the claim")):
        # The deviation with which the distance of 0.06 is the half width, rounding of 0.005 included.
        binomial = 0.0 if rows is None else 1.959964 * math.sqrt(mean * (1 - mean) / rows)
        std = math.sqrt(0.055**2 - binomial**2) / FACTOR_3
        assert verdict(judge(tested, around(mean, std * (1 + EDGE)), rows=rows)) == "reproduced"
        assert verdict(judge(tested, around(mean, std * (1 - EDGE)), rows=rows)) == outside


def test_claim_is_missed_however_wide_the_interval_is():
    judged = judge(claim(tolerance=0.001), around(0.30, 0.05), rows=None)  # half width 0.25
    assert judged.verdict == "below the claim"
    assert judged.interval is not None and judged.interval.half_width > 0.2


def test_interval_as_wide_as_the_tolerance_reproduces_and_a_wider_one_does_not():
    std = 0.02 / FACTOR_3
    values = around(0.61, std)
    assert verdict(judge(claim(tolerance=0.025 + EDGE), values, rows=None)) == "reproduced"
    wide = judge(claim(tolerance=0.025 - EDGE), values, rows=None)
    assert wide.verdict == "inconclusive"
    assert "4 seeds with this spread would do" in wide.reason
    assert "tolerance of 2.5 points" in wide.reason


def test_tolerance_that_no_number_of_seeds_reaches_is_told():
    judged = judge(claim(tolerance=0.01), around(0.61, 0.02), rows=None)
    assert judged.verdict == "inconclusive"
    assert "would not do" in judged.reason


def test_without_a_tolerance_only_a_miss_is_a_verdict():
    judged = judge(claim(), around(0.61, 0.001), rows=None)
    assert judged.verdict == "inconclusive"
    assert "no tolerance was fixed" in judged.reason
    assert verdict(judge(claim(), around(0.65, 0.001), rows=None)) == "above the claim"


def test_reason_holds_the_figures():
    judged = judge(claim(tolerance=0.03), (0.60, 0.61, 0.62), rows=1000)
    assert judged.verdict == "inconclusive"  # sqrt(0.0497^2 + 0.0302^2) + 0.005 = 0.063
    for figure in ("3 runs", "61.0 %", "6.3 points", "61 %", "3.0 points"):
        assert figure in judged.reason


def test_binomial_error_is_of_accuracies_alone():
    values = around(0.61, 0.001)
    assert judge(claim(), values, rows=10).interval != judge(claim(), values, rows=None).interval
    # The spread over minibatches is the binomial error; a loss has none.
    for other in (claim(split="minibatch"), claim(unit="nat", value=0.61)):
        assert judge(other, values, rows=10).interval == judge(other, values, rows=None).interval


LEAKED, HONEST = around(0.98, 0.002), around(0.57, 0.005)


def test_claim_that_only_the_leak_reaches():
    tested = claim(value=0.98, tolerance=0.03)
    judged = judge(tested, LEAKED, HONEST, rows=3589, honest_rows=3589, leaky=True)
    assert judged.verdict == "only as published"
    assert judged.honest_interval is not None and judged.honest_interval.centre == pytest.approx(0.57)
    assert "98.0 %" in judged.reason and "57.0 %" in judged.reason


@pytest.mark.parametrize(
    ("honest", "leaky", "said"),
    [
        (HONEST, False, "tolerance"),  # another figure of another protocol, but nothing was shared
        (HONEST[:2], True, "only 2 runs without the leak"),
        ((), True, "no run without the leak"),
        (around(0.97, 0.005), True, "still is among them"),
    ],
)
def test_claim_stays_reproduced_where_the_leak_is_not_shown_to_make_it(honest, leaky, said):
    judged = judge(claim(value=0.98, tolerance=0.03), LEAKED, honest, rows=3589, honest_rows=3589, leaky=leaky)
    assert judged.verdict == "reproduced"
    assert said in judged.reason


def test_honest_interval_has_its_own_boundary():
    tested = claim(value=0.98, tolerance=0.03, resolution=0.0)
    std = 0.1 / FACTOR_3
    judged = [judge(tested, LEAKED, around(0.88, std * f), rows=None, leaky=True) for f in (1 - EDGE, 1 + EDGE)]
    assert [each.verdict for each in judged] == ["only as published", "reproduced"]


def test_leak_does_not_excuse_a_miss():
    assert verdict(judge(claim(value=0.90), LEAKED, HONEST, rows=3589, leaky=True)) == "above the claim"


# --- facts and times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [(28_709, "reproduced"), (28_710, "above the claim"), (28_708, "below the claim")],
)
def test_facts_are_compared_exactly_with_one_run(value, expected):
    tested = claim(unit="rows", value=28_709, resolution=1)
    # A leak is of no matter, and neither is another protocol's number of rows.
    judged = judge(tested, [value], [4000, 4001, 4002], rows=None, leaky=True)
    assert (judged.verdict, judged.interval) == (expected, None)


def test_rounded_fact_and_fact_with_a_tolerance():
    rounded = claim(unit="rows", value=36_000, resolution=1000)
    assert verdict(judge(rounded, [35_887] * 2, rows=None)) == "reproduced"
    assert verdict(judge(rounded, [35_400], rows=None)) == "below the claim"
    pixels = claim(quantity="pixel_mean", unit="1", value=0.49, resolution=1e-6, tolerance=0.005)
    assert verdict(judge(pixels, [0.4949], rows=None)) == "reproduced"
    assert verdict(judge(pixels, [0.4951], rows=None)) == "above the claim"


def test_fact_that_differs_between_seeds_is_judged_like_the_others():
    tested = claim(unit="rows", value=1000, resolution=1)
    assert verdict(judge(tested, [999, 1001], rows=None)) == "inconclusive"
    assert verdict(judge(tested, [1499, 1500, 1501], rows=None)) == "above the claim"


def test_a_reproduced_figure_of_a_leaky_protocol_stays_open_until_three_narrow_honest_runs_settle_it():
    tested = claim(value=0.98, tolerance=0.03)

    def caveat(*honest: float, leaky: bool | None = True) -> str:
        judged = judge(tested, LEAKED, honest, rows=3589, honest_rows=3589, leaky=leaky, honest_name="protocol clean")
        assert judged.verdict == "reproduced", judged
        return judged.caveat

    assert caveat() == caveat(0.97) == caveat(0.97, 0.98) == "it leaks, and was not tested without the leak"
    assert caveat(0.93, 0.97, 0.99) == "it leaks, and the honest runs spread too far to tell"
    assert caveat(0.978, 0.980, 0.982) == caveat(leaky=False) == ""
    assert caveat(leaky=None) == "not audited for leaks"
    clear = judge(tested, LEAKED, HONEST, rows=3589, honest_rows=3589, leaky=True, honest_name="protocol official")
    assert (clear.verdict, clear.caveat) == ("only as published", "") and "under protocol official" in clear.reason


def test_times_never_get_a_verdict():
    for other in (claim(unit="h"), claim(unit="1"), claim(not_measured="it cannot be")):
        assert not has_verdict(other)
        with pytest.raises(ValueError, match="no verdict"):
            judge(other, [1.0, 1.0, 1.0], rows=None)
    counts = [claim(quantity=q, unit="rows") for q in ("predicted_rows", "true_positives")]
    assert all(map(has_verdict, [claim(), claim(unit="nat"), claim(unit="rows"), *counts]))


# --- the search for a number of seeds ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(SPREAD, st.floats(1e-3, 0.5))
def test_fewest_seeds_is_the_first_that_fits(std, width):
    found = fewest_seeds(lambda interval: interval.half_width <= width, claim(), around(0.6, std), 1000)

    def half_width(n: int) -> float:
        return interval_of(0.6, std, n, resolution=0.01, rows=1000).half_width

    if found is None:
        assert half_width(10_000) > width * (1 - 1e-9)
    else:
        assert half_width(found) <= width * (1 + 1e-9)
        assert found == 3 or half_width(found - 1) > width * (1 - 1e-9)


def test_import_does_not_load_scipy():
    code = "import sys, repro.verdict\nprint(*(m for m in ('scipy', 'jax') if m in sys.modules))"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "")
