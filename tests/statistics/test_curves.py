"""repro.statistics.curves: one verdict on a curve, with a size of at most 5 % whatever the correlation of its
points."""

from __future__ import annotations

import numpy as np
import pytest

from repro.statistics import Open, Prior, decide_curve

USUAL = Prior(0.006, 8.0, 9, 18)


def curves(random: np.random.Generator, count: int, points: int, rho: float) -> np.ndarray:
    """(count, points) around a rising curve; early points spread twice as much as late ones."""
    noise = np.sqrt(rho) * random.standard_normal((count, 1)) + np.sqrt(1 - rho) * random.standard_normal(
        (count, points)
    )
    return 0.4 + np.linspace(0, 0.2, points) + 0.006 * np.linspace(2, 1, points) * noise


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
@pytest.mark.parametrize(("n", "points"), [(3, 4), (5, 4), (3, 20)])
def test_a_true_curve_is_called_different_in_at_most_5_per_cent(n, points, rho):
    random, tried = np.random.default_rng(11), 100
    found = 0
    for _ in range(tried):
        drawn = curves(random, n + 1, points, rho)
        found += decide_curve(drawn[1:], drawn[0], tolerance=0.03).differs
    assert found <= 0.05 * tried + 3 * np.sqrt(0.05 * 0.95 * tried)


def test_one_invented_point_is_found_and_named():
    drawn = curves(np.random.default_rng(2), 6, 20, 0.3)
    claim = drawn[0].copy()
    claim[13] += 0.08
    made = decide_curve(drawn[1:].tolist(), claim.tolist(), resolution=0.001, tolerance=0.03, prior=USUAL)
    assert (made.differs, made.worst, made.points) == (True, 13, 20)
    assert made.standardised is not None and made.critical is not None and made.standardised > made.critical


def test_a_curve_of_the_same_network_is_the_same_and_one_far_off_is_lower():
    drawn = curves(np.random.default_rng(4), 6, 10, 0.5)
    same = decide_curve(drawn[1:], drawn[0], resolution=0.001, tolerance=0.03, prior=USUAL)
    assert (same.outcome, same.same, same.why_open) == ("same", True, None)
    assert same.inside >= 8
    lower = decide_curve(drawn[1:], drawn[0] + 0.1, resolution=0.001, tolerance=0.03, prior=USUAL)
    assert (lower.outcome, lower.p_differs < 0.01) == ("lower", True)
    assert lower.difference == pytest.approx(-0.1, abs=0.02)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_a_curve_that_is_off_by_the_tolerance_is_rarely_called_the_same(rho):
    random, tried = np.random.default_rng(5), 100
    found = 0
    for _ in range(tried):
        drawn = curves(random, 4, 6, rho)
        found += decide_curve(drawn[1:], drawn[0] + 0.03, tolerance=0.03, prior=USUAL).same
    assert found <= 0.05 * tried + 3 * np.sqrt(0.05 * 0.95 * tried)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_the_error_of_drawing_is_a_floor_that_keeps_the_size_and_finds_more(rho):
    random, tried, drawing = np.random.default_rng(13), 100, 0.0150**2
    false = found = without = 0
    for _ in range(tried):
        noise = np.sqrt(rho) * random.standard_normal((4, 1)) + np.sqrt(1 - rho) * random.standard_normal((4, 4))
        drawn = np.array([0.4, 0.5, 0.55, 0.56]) + np.hypot(0.006, 0.015) * noise
        false += decide_curve(drawn[1:], drawn[0], drawing=drawing).differs
        far = drawn[0] + np.array([0.08, 0.0, 0.0, 0.0])
        found += decide_curve(drawn[1:], far, drawing=drawing).differs
        without += decide_curve(drawn[1:], far).differs
    assert false <= 0.05 * tried + 3 * np.sqrt(0.05 * 0.95 * tried)
    assert found > without + 0.1 * tried


def test_what_is_missing_is_said():
    drawn = curves(np.random.default_rng(6), 4, 5, 0.5)
    assert decide_curve(drawn[1:3], drawn[0], tolerance=0.03).why_open is Open.FEW_RUNS
    assert decide_curve(drawn[1:], drawn[0]).why_open is Open.NO_TOLERANCE
    with pytest.raises(ValueError, match="each printed point"):
        decide_curve(drawn[1:, :4], drawn[0])
    with pytest.raises(ValueError, match="finite"):
        decide_curve(drawn[1:], drawn[0] * np.nan)


def test_the_same_curves_give_the_same_verdict():
    drawn = curves(np.random.default_rng(8), 4, 8, 0.5)
    assert decide_curve(drawn[1:], drawn[0]) == decide_curve(drawn[1:], drawn[0])
