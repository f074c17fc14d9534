"""Quantiles and tail probabilities of Student's t, the normal and the F distribution.

SciPy is imported at the first call, because most commands need no quantile.
"""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The value that Student's t falls below with `probability`; the normal quantile for df = inf."""
    from scipy import special

    return float(special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability))


def normal_quantile(probability: float) -> float:
    return t_quantile(probability, math.inf)


def t_upper_tail(value: float, df: float) -> float:
    """P(T > value); accurate far out in the tail."""
    from scipy import special

    return float(special.ndtr(-value) if math.isinf(df) else special.stdtr(df, -value))


@lru_cache(maxsize=4096)
def f_quantile(probability: float, df1: float, df2: float) -> float:
    """The value that F(df1, df2) falls below with `probability`."""
    from scipy import special

    if math.isinf(df2):
        return float(special.chdtri(df1, 1 - probability)) / df1
    return float(special.fdtri(df1, df2, probability))


@lru_cache(maxsize=4096)
def trigamma(value: float) -> float:
    from scipy import special

    return float(special.polygamma(1, value))


@lru_cache(maxsize=4096)
def digamma(value: float) -> float:
    from scipy import special

    return float(special.digamma(value))


def trigamma_inverse(value: float) -> float:
    """x > 0 with trigamma(x) = value: Newton's method on 1 / trigamma, which is convex (Smyth 2004, appendix)."""
    from scipy import special

    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(special.polygamma(1, x))
        step = now * (1 - now / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x
