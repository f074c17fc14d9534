"""Looking more than once: how much of the error rate each look may spend.

Whoever adds seeds until a claim is decided tests more than once. The looks are fixed beforehand, at n = 3, 5, 8, 12 and
20 seeds, and the level is spent by the O'Brien-Fleming-like function of Lan & DeMets (1983, Discrete sequential
boundaries for clinical trials, Biometrika 70, 659-663): alpha(t) = 2 - 2 Phi(z(1 - alpha/2) / sqrt(t)).

t is the share of the information that a look has. The claim is one run of the paper and stays one run, so the mean of n
runs minus the claim has the variance s^2 (1 + 1/n), and the information is n / (n + 1), not n: three seeds have 79 % of
what twenty have. Such differences have independent increments, Cov(D_n, D_m) = Var(D_m) for n < m, which is what the
recursion below needs (Armitage, McPherson & Rowe 1969, Repeated significance tests on accumulating data, Journal of the
Royal Statistical Society A 132, 235-244). Spending by n / 20 is valid too, but leaves 4e-7 for the first look.

The levels are those of normal statistics; they are used with Student's t, an approximation that the simulated error
rates (docs/verdicts.md) confirm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from repro.statistics.quantiles import normal_quantile, t_upper_tail

LOOKS = (3, 5, 8, 12, 20)
_GRID = 801  # points of the density between two boundaries; odd, for Simpson's rule


def information(n: int, last: int = LOOKS[-1]) -> float:
    """Share of the information of the last look that n runs have."""
    return n / (n + 1) * (last + 1) / last


def spent(share: float, level: float) -> float:
    """Two-sided error rate spent up to this share of the information."""
    return 2 * t_upper_tail(normal_quantile(1 - level / 2) / math.sqrt(share), math.inf)


@cache
def look_levels(level: float = 0.05, looks: tuple[int, ...] = LOOKS) -> dict[int, float]:
    """Nominal two-sided level of each look; a p-value below it ends the looking. All together they err at `level`.

    For one-sided tests at level a, as `is_same` makes them, ask for 2 a and halve the answer.
    """
    shares = [information(n, looks[-1]) for n in looks]
    nominal = {looks[0]: spent(shares[0], level)}
    bound = normal_quantile(1 - nominal[looks[0]] / 2) * math.sqrt(shares[0])
    places = np.linspace(-bound, bound, _GRID)
    density = _normal_density(places, math.sqrt(shares[0]))
    for before, share, n in zip(shares, shares[1:], looks[1:], strict=False):
        step = math.sqrt(share - before)
        allowed = spent(share, level) - spent(before, level)
        bound = _boundary(places, density, step, allowed)
        nominal[n] = 2 * t_upper_tail(bound / math.sqrt(share), math.inf)
        further = np.linspace(-bound, bound, _GRID)
        weights = density * _simpson(places)
        density = _normal_density(further[:, None] - places, step) @ weights
        places = further
    return nominal


def _boundary(places: np.ndarray, density: np.ndarray, step: float, allowed: float) -> float:
    """The boundary that a path which has come so far crosses with probability `allowed`."""
    from scipy.special import ndtr

    weights = density * _simpson(places)

    def crossing(bound: float) -> float:
        return float(np.sum(weights * (ndtr((places - bound) / step) + ndtr((-places - bound) / step))))

    low, high = 0.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if crossing(middle) > allowed else (low, middle)
    return high


def _normal_density(value: np.ndarray, sd: float) -> np.ndarray:
    return np.exp(-0.5 * (value / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def _simpson(places: np.ndarray) -> np.ndarray:
    weights = np.full(len(places), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return weights * (places[1] - places[0]) / 3


def next_look(n: int, looks: Sequence[int] = LOOKS) -> int | None:
    """The first look with more than n runs; None after the last."""
    return next((look for look in looks if look > n), None)
