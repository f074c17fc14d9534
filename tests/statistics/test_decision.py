"""repro.statistics: the two tests at their boundaries, the four outcomes, the price of an open claim, chances and
tries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.statistics import NOT_SAMPLED, Design, Open, Prior, Samples, Target, compare, decide, may_be_decided
from repro.statistics.quantiles import normal_quantile, t_quantile

FIXED = Design(Samples.FIXED_OWN, 3589)
USUAL = Prior(0.006, 8.0, 9, 18)
EDGE = 1e-7
N3 = (0.594, 0.600, 0.606)  # mean 0.6, deviation 0.006
SE = 0.006 * math.sqrt(4 / 3)


def test_the_two_tests_change_at_the_formulas_of_the_docstring():
    r, delta = 0.0005, 0.03
    differs = t_quantile(0.975, 10) * SE + r
    for side in (-1, 1):
        for off, wanted in ((differs - EDGE, False), (differs + EDGE, True)):
            assert (compare(N3, Target(0.6 + side * off, 0.001), FIXED, prior=USUAL).p_differs < 0.05) is wanted
    same = delta - math.hypot(t_quantile(0.95, 10) * SE, normal_quantile(0.95) * r / math.sqrt(3))
    for off, wanted in ((same - EDGE, True), (same + EDGE, False)):
        assert compare(N3, Target(0.6 - off, 0.001, delta), FIXED, prior=USUAL).is_same() is wanted


def test_a_claim_rounded_more_coarsely_than_runs_spread_pays_the_whole_rounding():
    r = 0.01
    same = 0.03 - t_quantile(0.95, 10) * SE - r
    for off, wanted in ((same - EDGE, True), (same + EDGE, False)):
        assert compare(N3, Target(0.6 - off, 2 * r, 0.03), FIXED, prior=USUAL).is_same() is wanted


@pytest.mark.parametrize(
    ("claim", "tolerance", "outcome"),
    [
        (0.602, 0.03, "same"),
        (0.618, 0.05, "same, though lower"),
        (0.582, 0.05, "same, though higher"),
        (0.65, 0.03, "lower"),
        (0.55, 0.03, "higher"),
        (0.614, 0.02, "open"),
        (0.602, None, "open"),
    ],
)
def test_the_four_outcomes(claim, tolerance, outcome):
    made = decide(N3, Target(claim, 0.001, tolerance), FIXED, prior=USUAL)
    assert made.outcome == outcome
    assert made.decided is (outcome != "open") is (made.why_open is None)


SMALL = Design(Samples.REDRAWN, 1000, 1000, 40_263)
CLOSE = (0.597, 0.600, 0.603)


@pytest.mark.parametrize(
    ("values", "design", "claim", "tolerance", "possible"),
    [
        (CLOSE, SMALL, 0.601, 0.03, False),  # +-3.8 points from 1,000 samples: never the same, and never so far off
        (CLOSE, SMALL, 0.601, 0.06, True),  # a wider tolerance has room for them
        (CLOSE, SMALL, 0.632, 0.03, True),  # the mean may still move away from the claim
        (CLOSE, FIXED, 0.600, None, False),  # without a tolerance nothing is the same
        ((0.55, 0.60, 0.65), FIXED, 0.60, 0.03, False),  # a single run of such settings misses by more
        ((0.55, 0.60, 0.65), FIXED, 0.70, 0.03, True),
    ],
)
def test_whether_a_later_look_may_decide(values, design, claim, tolerance, possible):
    made = decide(values, Target(claim, 0.001, tolerance), design, why_no_prior="this group alone", look=3)
    assert made.outcome == "open" and made.comparison is not None
    assert may_be_decided(made.comparison, 3) is possible
    assert not may_be_decided(made.comparison, 20)


def test_open_claims_say_why_and_what_would_decide_them():
    few = decide([0.6], Target(0.6, 0.001, 0.03), FIXED, prior=USUAL)
    assert (few.why_open, few.seeds_needed, few.p_differs) == (Open.FEW_RUNS, 3, 1.0)
    two = decide(N3[:2], Target(0.6, 0.001, 0.03), FIXED, prior=USUAL)
    assert (two.outcome, two.why_open, two.seeds_needed) == ("open", Open.FEW_RUNS, 3)
    none = decide(N3, Target(0.6, 0.001), FIXED, prior=USUAL)
    assert (none.why_open, none.seeds_needed) == (Open.NO_TOLERANCE, None)
    narrow = decide(N3, Target(0.6, 0.001, 0.005), FIXED, prior=USUAL)
    assert (narrow.why_open, narrow.seeds_needed) == (Open.SINGLE_RUN, None)
    small = decide([0.55, 0.57, 0.59], Target(0.60, 0.01, 0.03), Design(Samples.REDRAWN, 1000, 1000, 40_263))
    assert (small.why_open, small.seeds_needed) == (Open.OWN_SAMPLES, None)
    other = decide(N3, Target(0.61, 0.001, 0.03), Design(Samples.UNKNOWN, 1000, 1000), prior=USUAL)
    assert (other.why_open, other.seeds_needed) == (Open.OTHER_SAMPLES, None)
    tries = decide(N3, Target(0.63, 0.001, 0.03, tries=None), FIXED, prior=USUAL)
    assert (tries.outcome, tries.why_open) == ("open", Open.UNKNOWN_TRIES)
    assert tries.comparison and 1 < tries.comparison.tries_allowed < 100
    assert decide(N3, Target(0.7, 0.001, 0.03, tries=None), FIXED, prior=USUAL).outcome == "lower"


def test_the_number_of_seeds_is_the_first_that_decides():
    made = decide(N3, Target(0.6155, 0.001, 0.02), FIXED, prior=USUAL)
    assert made.outcome == "open" and made.seeds_needed and made.comparison
    later = [made.comparison.with_runs(n) for n in (made.seeds_needed - 1, made.seeds_needed)]
    assert [one.p_differs < 0.05 or one.is_same() for one in later] == [False, True]


def test_what_is_left_of_a_small_redrawn_test_set_is_its_binomial_error():
    made = decide([0.56, 0.58, 0.59], Target(0.61, 0.01, 0.03), Design(Samples.REDRAWN, 1000), prior=USUAL)
    p = 0.5766667
    variance = 0.006**2 + p * (1 - p) / 1000
    assert made.left_over == pytest.approx(1.96 * math.sqrt(variance) + 0.005, rel=0.03)


def test_the_test_set_counts_once_or_not_at_all():
    wide = compare(N3, Target(0.6), Design(Samples.UNKNOWN, 3589, 1000), prior=USUAL)
    assert wide.mismatch_error == pytest.approx(math.sqrt(0.24 / 3589 + 0.24 / 1000))
    for design in (FIXED, NOT_SAMPLED, Design(Samples.REDRAWN, 3589, 3589, 35_887)):
        assert compare(N3, Target(0.6), design, prior=USUAL).mismatch_error == 0
    redrawn = compare(N3, Target(0.6), Design(Samples.REDRAWN, 3589, 3589, 35_887), prior=USUAL)
    assert redrawn.spread.sd**2 == pytest.approx((8 * (0.006**2 + 0.24 / 3589 * 0.9) + 2 * 0.006**2) / 10, rel=1e-3)
    with pytest.raises(ValueError, match="number of our samples"):
        Design(Samples.REDRAWN)


def test_chance_and_tries_follow_the_t_distribution():
    made = compare(N3, Target(0.615, 0.001), FIXED, prior=USUAL)
    runs = np.random.default_rng(1).standard_t(10, 400_000) * SE + 0.6
    p = made.chance.one_run
    assert p == pytest.approx(float(np.mean(runs >= 0.6145)), rel=0.05)
    assert 1 - (1 - p) ** made.chance.tries_even == pytest.approx(0.5)
    assert 1 - (1 - p) ** made.chance.tries_unlikely == pytest.approx(0.05)


def test_the_best_of_several_tries_has_its_own_upper_limit():
    k = 6
    limit = t_quantile(0.975 ** (1 / k), 10) * SE + 0.0005
    for off, wanted in ((limit - EDGE, False), (limit + EDGE, True)):
        assert (compare(N3, Target(0.6 + off, 0.001, tries=k), FIXED, prior=USUAL).p_differs < 0.05) is wanted
    assert compare(N3, Target(0.6, 0.001, tries=k), FIXED, prior=USUAL).limits()[1] == pytest.approx(0.6 + limit)
    below = [compare(N3, Target(0.57, 0.001, tries=tries), FIXED, prior=USUAL).p_differs for tries in (1, k)]
    assert below[0] == below[1], "tries never make a low claim look worse"


def test_above_95_per_cent_limits_stay_within_100():
    made = decide((0.9877, 0.9842, 0.9827), Target(0.98, 0.01, 0.03), Design(Samples.FIXED_OWN, 28_709), prior=USUAL)
    assert made.comparison and made.comparison.scale.logit and not made.comparison.spread.moderated
    assert made.outcome == "same"
    assert made.high is not None and made.high < 1.006
    assert decide((1.0, 1.0, 0.999), Target(1.0, 0.001, 0.03), FIXED).outcome == "same"


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="fraction"):
        Target(61.0)
    with pytest.raises(ValueError, match="negative"):
        Target(0.6, tolerance=-0.1)
    with pytest.raises(ValueError, match="at least one try"):
        Target(0.6, tries=0)
    with pytest.raises(ValueError, match="finite"):
        decide([0.5, math.nan], Target(0.5))
    with pytest.raises(ValueError, match="fractions"):
        decide([50.0, 51.0], Target(0.5))
    with pytest.raises(ValueError, match="planned"):
        decide(N3, Target(0.6), FIXED, look=5)
    assert decide([2.0, 2.1, 2.2], Target(2.1, 0.01, 1.0, fraction=False)).outcome == "same"


@settings(deadline=None, max_examples=60)
@given(st.floats(0.56, 0.64), st.sampled_from([1, 5, None]), st.sampled_from([None, 500]), st.floats(0.01, 0.2))
def test_the_limits_and_the_p_value_say_the_same(claim, tries, theirs, level):
    design = Design(Samples.UNKNOWN, 3589, theirs) if theirs else FIXED
    made = compare(N3, Target(claim, 0.001, tries=tries), design, prior=USUAL)
    assert made.differs(level) is (made.p_differs < level) or abs(made.p_differs - level) < 1e-6


@settings(deadline=None, max_examples=60)
@given(st.floats(0.1, 0.9), st.floats(0.001, 0.03), st.floats(0, 0.02), st.floats(0.001, 0.1))
def test_outcomes_do_not_depend_on_the_side(claim, sd, off, tolerance):
    if not 0.06 < claim < 0.9:
        return
    up, down = (
        decide([claim + side * off - sd, claim + side * off, claim + side * off + sd], Target(claim, 0.001, tolerance))
        for side in (1, -1)
    )
    assert (up.differs, up.same, up.seeds_needed) == (down.differs, down.same, down.seeds_needed) or off < 1e-9


@pytest.mark.parametrize(("samples", "never"), [(500, True), (720, True), (730, False), (3589, False)])
def test_a_tolerance_is_below_the_claims_own_error_if_no_number_of_runs_can_show_sameness(samples, never):
    """1.645 sqrt(0.25 / 720) is 3.07 points, with 730 samples 3.04: the tolerance lies between them, less the rounding.
    The claim's mean and spread do not matter, only what its samples leave."""
    compared = compare((0.4, 0.5, 0.6), Target(0.5, 0.0, 0.0305), Design(Samples.REDRAWN, samples, samples))
    assert compared.never_same is never
    assert replace(compared, target=replace(compared.target, tries=7)).never_same is never
