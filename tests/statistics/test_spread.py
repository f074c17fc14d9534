"""repro.statistics.spread: the moderated deviation against Smyth's formulas, planted priors and its own limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from repro.statistics import Prior, estimate_prior, moderated
from repro.statistics.quantiles import f_quantile, t_quantile, t_upper_tail, trigamma_inverse


def groups_of(random: np.random.Generator, count: int, runs: int, d0: float) -> list[list[float]]:
    """Groups whose variances are scaled inverse chi-square with d0 degrees of freedom about 0.01^2."""
    sds = 0.01 * np.sqrt(d0 / random.chisquare(d0, count)) if math.isfinite(d0) else np.full(count, 0.01)
    return [random.normal(0.5, sd, runs).tolist() for sd in sds]


@pytest.mark.parametrize("d0", [3.0, 6.0])
def test_a_planted_prior_is_found_again(d0):
    prior = estimate_prior(groups_of(np.random.default_rng(1), 4000, 5, d0), cap=100)
    assert prior is not None
    assert prior.df == pytest.approx(d0, rel=0.1)
    assert prior.sd == pytest.approx(0.01, rel=0.03)


def test_groups_that_differ_by_chance_alone_give_the_pooled_deviation_and_a_capped_weight():
    prior = estimate_prior([[0.49, 0.50, 0.51], [0.59, 0.60, 0.61], [0.2, 0.21, 0.22, 0.21]])
    assert prior is not None
    assert prior.sd == pytest.approx(math.sqrt((2e-4 + 2e-4 + 2e-4) / 7))
    assert (prior.heterogeneity, prior.df, prior.pooled_df, prior.groups) == (math.inf, 7, 7, 3)
    many = estimate_prior([[0.49, 0.50, 0.51]] * 20)
    assert many is not None and many.df == 8


def test_no_prior_from_one_group_or_from_groups_without_spread():
    assert estimate_prior([[0.4, 0.5]]) is None
    assert estimate_prior([[0.4, 0.5], [0.3], [0.2, 0.2, 0.2]]) is None


def test_moderation_is_smyths_weighted_mean_of_variances():
    spread = moderated([0.49, 0.50, 0.51], Prior(0.02, 8, 9, 18))
    assert spread.sd == pytest.approx(math.sqrt((8 * 4e-4 + 2 * 1e-4) / 10))
    assert (spread.df, spread.own_df, spread.moderated, spread.why_own) == (10, 2, True, "")
    assert spread.own_sd == pytest.approx(0.01)


def test_a_group_that_varies_plainly_more_keeps_its_own_deviation():
    prior = Prior(0.01, 8, 9, 18)
    edge = math.sqrt(f_quantile(0.95, 2, 8))
    inside, outside = (moderated([0.5 - 0.01 * k, 0.5, 0.5 + 0.01 * k], prior) for k in (edge - 1e-6, edge + 1e-6))
    assert inside.moderated and not outside.moderated
    assert (outside.df, outside.sd) == (2, pytest.approx(outside.own_sd))
    assert "differ by more" in outside.why_own
    assert moderated([0.5, 0.5, 0.5], prior).moderated, "a small deviation of three runs is chance"


def test_drawing_samples_is_a_floor_that_no_small_deviation_passes():
    drawing = 0.015**2
    spread = moderated([0.5, 0.5, 0.5001], Prior(0.006, 8, 9, 18), drawing_variance=drawing)
    assert spread.sd == pytest.approx(0.015)
    assert moderated([0.5, 0.5, 0.5001], None, drawing_variance=drawing).sd == pytest.approx(0.015)
    usual = moderated([0.484, 0.50, 0.516], Prior(0.006, 8, 9, 18), drawing_variance=drawing)
    assert usual.sd == pytest.approx(math.sqrt((8 * (0.006**2 + drawing) + 2 * 0.016**2) / 10))


def test_one_run_has_no_spread():
    with pytest.raises(ValueError, match="one run"):
        moderated([0.5], Prior(0.01, 8, 9, 18))


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262), (30, 2.045)])
def test_quantiles_are_those_of_the_tables(n, quantile):
    assert t_quantile(0.975, n - 1) == pytest.approx(quantile, rel=2e-4)
    assert t_upper_tail(quantile, n - 1) == pytest.approx(0.025, rel=2e-3)


def test_f_and_trigamma_against_tables():
    assert f_quantile(0.95, 2, 8) == pytest.approx(4.459, rel=1e-3)
    assert f_quantile(0.95, 2, math.inf) == pytest.approx(2.996, rel=1e-3)
    for x in (1e-3, 0.5, 2.0, 40.0):
        assert trigamma_inverse(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-6)
