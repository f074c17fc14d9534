"""repro.statistics.looks: levels that spend 5 % in all, by simulation of the differences that they are used with."""

from __future__ import annotations

import numpy as np
import pytest

from repro.statistics import LOOKS, Design, Prior, Samples, Target, decide, look_levels, next_look
from repro.statistics.looks import information, spent
from repro.statistics.quantiles import normal_quantile


def test_what_is_spent_grows_to_the_whole_level_and_starts_with_the_formula():
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    shares = [information(n) for n in LOOKS]
    assert shares[-1] == 1 and shares == sorted(shares)
    assert look_levels()[3] == pytest.approx(spent(0.75 * 21 / 20, 0.05))


@pytest.mark.parametrize("level", [0.05, 0.10])
def test_all_looks_together_err_at_the_level(level):
    random = np.random.default_rng(7)
    claims, runs = random.standard_normal(400_000), random.standard_normal((400_000, LOOKS[-1]))
    crossed = np.zeros(len(claims), dtype=bool)
    for n in LOOKS:
        z = (runs[:, :n].mean(1) - claims) / np.sqrt(1 + 1 / n)
        crossed |= np.abs(z) > normal_quantile(1 - look_levels(level)[n] / 2)
    assert crossed.mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / len(claims)))


def test_one_look_is_the_plain_test():
    assert look_levels(0.05, (5,)) == {5: pytest.approx(0.05)}


def test_decisions_at_a_look_are_stricter_and_price_later_looks_alone():
    prior, design = Prior(0.006, 8, 9, 18), Design(Samples.FIXED_OWN, 3589)
    target = Target(0.6161, 0.001, 0.02)
    plain, sequential = (decide((0.594, 0.6, 0.606), target, design, prior=prior, look=look) for look in (None, 3))
    assert plain.differs and not sequential.differs
    assert sequential.seeds_needed in (None, *LOOKS[1:])
    assert (next_look(3), next_look(4), next_look(20)) == (5, 5, None)
