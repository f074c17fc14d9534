"""repro.explain.credit: a protocol error is credited if it moves the clean runs to the claim, and not by noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from repro.explain.credit import Trial, credit, difference
from repro.statistics import Design, Prior, Samples, Target

SD = 0.0062  # of single runs, as in the committed records of FER-2013
CLAIM = Target(0.49, resolution=0.001, tolerance=0.03)
OWN = Design(Samples.FIXED_OWN, ours=3589)
USUAL = [[0.5 + 0.01 * i - SD, 0.5 + 0.01 * i, 0.5 + 0.01 * i + SD] for i in range(11)]  # s0 = SD, d0 = 8
CLEAN = (0.449, 0.455, 0.461)


def trial(*values, clean=CLEAN, design=OWN, same_samples=True):
    return Trial(values, clean, design, clean_samples=3507, same_samples=same_samples)


def one(case, target=CLAIM):
    return credit(target, {"error": case}, USUAL)["error"]


def test_an_error_that_moves_the_runs_to_the_claim_is_credited():
    made = one(trial(0.484, 0.490, 0.496))
    assert made.credited and made.moves and made.contains and made.narrow
    assert made.difference is not None and made.difference.value == pytest.approx(0.035)


def test_runs_that_moved_nothing_are_not_credited_although_their_interval_holds_the_claim():
    """The two groups differ by one point, seeds of one group by two: that is noise."""
    made = one(trial(0.461, 0.472, 0.483, clean=(0.451, 0.462, 0.473)))
    assert made.contains and made.narrow and made.enough
    assert not made.moves and not made.credited


def test_runs_that_moved_elsewhere_are_not_credited():
    made = one(trial(0.534, 0.540, 0.546))
    assert made.moves and not made.contains and not made.credited


def test_runs_that_moved_away_from_the_claim_are_not_credited():
    assert not one(trial(0.404, 0.410, 0.416)).moves


@pytest.mark.parametrize("values", [(0.490,), (0.489, 0.491)])
def test_one_or_two_seeds_are_never_enough(values):
    made = one(trial(*values))
    assert not made.enough and not made.moves and not made.credited


def test_an_interval_wider_than_the_tolerance_proves_nothing():
    made = one(trial(0.484, 0.490, 0.496), Target(0.49, resolution=0.001, tolerance=0.01))
    assert made.moves and made.contains and not made.narrow and not made.credited


def test_unknown_samples_of_the_paper_widen_the_interval():
    case = trial(0.484, 0.490, 0.496)
    unknown = Design(Samples.UNKNOWN, ours=3589, theirs=1000)
    wider = one(Trial(case.values, case.clean, unknown, 3507, same_samples=True))
    assert not wider.narrow and one(case).narrow


def test_other_samples_widen_the_difference_between_the_groups():
    same = one(trial(0.470, 0.476, 0.482)).difference
    other = one(trial(0.470, 0.476, 0.482, same_samples=False)).difference
    assert same is not None and other is not None
    assert other.half_width > 1.5 * same.half_width and other.p > same.p


def test_the_difference_is_welchs_without_a_prior():
    a, b = (0.51, 0.53, 0.52, 0.55), (0.50, 0.49, 0.47)
    expected = stats.ttest_ind(a, b, equal_var=False)
    found = difference(a, b)
    p = expected.pvalue  # pyright: ignore[reportAttributeAccessIssue]
    assert found.p == pytest.approx(p) and found.value == pytest.approx(0.0408333, abs=1e-6)
    low, high = expected.confidence_interval(0.95)
    assert found.half_width == pytest.approx((high - low) / 2)


def test_a_prior_gives_three_runs_degrees_of_freedom():
    prior = Prior(sd=SD, df=8, groups=11, pooled_df=22)
    assert difference((0.46, 0.47, 0.465), CLEAN, priors=(prior, prior)).p < difference((0.46, 0.47, 0.465), CLEAN).p


def test_groups_beyond_95_percent_keep_their_own_spread():
    prior = Prior(sd=0.05, df=8, groups=11, pooled_df=22)
    high = (0.981, 0.982, 0.983)
    assert difference(high, (0.991, 0.992, 0.993), priors=(prior, prior)).p == difference(high, (0.991, 0.992, 0.993)).p


def test_runs_that_are_all_right_hold_a_claim_of_100_percent():
    """63 samples, of which half a one is 0.8 %."""
    few = Design(Samples.FIXED_OWN, ours=63)
    made = one(trial(1.0, 1.0, 1.0, design=few), Target(1.0, resolution=0.01, tolerance=0.03))
    assert made.credited
    assert not one(trial(0.9, 0.9, 0.9, design=few), Target(1.0, resolution=0.01, tolerance=0.03)).contains


def test_equal_groups_do_not_differ():
    assert difference((0.5, 0.5), (0.5, 0.5)).p == 1.0
    assert difference((0.6, 0.6), (0.5, 0.5)).p == 0.0


@pytest.mark.parametrize(("gap", "sd"), [(0.010, SD), (0.020, SD), (0.020, 1.5 * SD)])
def test_noise_alone_is_credited_in_at_most_5_percent_of_papers(gap, sd):
    """Six errors that move nothing, three runs each, and a claim that noise may reach: any credit is false."""
    random = np.random.default_rng(7)
    target, papers, false, contained = Target(round(0.455 + gap, 3), resolution=0.001, tolerance=0.03), 120, 0, 0
    for _ in range(papers):
        clean = tuple(0.455 + sd * random.standard_normal(3))
        cases = {str(i): trial(*(0.455 + sd * random.standard_normal(3)), clean=clean) for i in range(6)}
        made = credit(target, cases, USUAL).values()
        false += any(one.credited for one in made)
        contained += any(one.contains and one.narrow for one in made)
    assert false <= 0.05 * papers
    assert contained >= 0.3 * papers, "an interval alone would credit noise"


def test_a_true_cause_is_found_in_most_papers():
    """It moves the runs by 3.5 points; five other errors move nothing."""
    random, found, papers = np.random.default_rng(8), 0, 60
    for _ in range(papers):
        clean = tuple(0.455 + SD * random.standard_normal(3))
        cases = {str(i): trial(*(0.455 + SD * random.standard_normal(3)), clean=clean) for i in range(5)}
        cases["5"] = trial(*(0.49 + SD * random.standard_normal(3)), clean=clean)
        credited = [i for i, made in credit(CLAIM, cases, USUAL).items() if made.credited]
        found += credited == ["5"]
    assert found >= 0.85 * papers
