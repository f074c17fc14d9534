"""The spread of single runs, moderated: a group of three runs borrows strength from all other groups.

The empirical Bayes variance of Smyth (2004, Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments, Statistical Applications in Genetics and Molecular Biology 3(1) 3):

    s~^2 = (d0 s0^2 + (n - 1) s^2) / (d0 + n - 1)    with d0 + n - 1 degrees of freedom.

s0 and d0 are estimated from groups of one kind: accuracy at the end of a run, between 5 and 95 %, on samples that are
the same in every run. Above 95 % and below 5 % accuracies are compared on the logit scale, where s0 has no meaning, so
such a group keeps its own spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from repro.statistics.quantiles import digamma, f_quantile, trigamma, trigamma_inverse

MAX_PRIOR_DF = 8.0  # a prior never outweighs nine runs of the group itself
OTHER_KIND_LEVEL = 0.05  # a larger variance than this tail of the prior's own predictions is of another kind


@dataclass(frozen=True)
class Prior:
    """The usual spread from groups of the usual kind: s0 (standard deviation), d0 (degrees of freedom that it counts
    for), and its basis. heterogeneity: Smyth's estimate of d0 before the cap; inf: no group differs."""

    sd: float
    df: float
    groups: int
    pooled_df: int
    heterogeneity: float = math.inf


@dataclass(frozen=True)
class Spread:
    """Standard deviation of single runs on the scale of the comparison, with its degrees of freedom.

    own_sd, own_df: of the group alone. moderated: the prior was used. why_own: why it was not; empty if it was.
    """

    sd: float
    df: float
    own_sd: float
    own_df: int
    moderated: bool
    why_own: str = ""


def estimate_prior(groups: Sequence[Sequence[float]], *, cap: float = MAX_PRIOR_DF) -> Prior | None:
    """s0 and d0 from groups of values, one value per run; None if fewer than two groups have a spread.

    groups: of the usual kind (see the module), one list per group; groups with fewer than two runs or without any
    spread are left out. The caller leaves out the group that is judged, and counts the same runs under two
    names once.

    d0 solves trigamma(d0 / 2) = var(e) - mean trigamma(d_g / 2) with e_g = log s_g^2 - digamma(d_g / 2) + log(d_g / 2)
    (Smyth 2004, section 6.2). If the right side is not positive, the groups differ by no more than chance: s0 is then
    the pooled deviation. d0 is capped: at `cap`, and at the degrees of freedom that s0 was measured with.
    """
    used = [(_variance(g), len(g) - 1) for g in groups if len(g) > 1 and len(set(g)) > 1]
    if len(used) < 2:
        return None
    pooled_df = sum(df for _, df in used)
    pooled = sum(df * variance for variance, df in used) / pooled_df
    e = [math.log(variance) - digamma(df / 2) + math.log(df / 2) for variance, df in used]
    excess = _variance(e) - math.fsum(trigamma(df / 2) for _, df in used) / len(used)
    if excess <= 0:
        variance, d0 = pooled, math.inf
    else:
        d0 = 2 * trigamma_inverse(excess)
        variance = math.exp(math.fsum(e) / len(e) + digamma(d0 / 2) - math.log(d0 / 2))
    return Prior(math.sqrt(variance), min(d0, cap, pooled_df), len(used), pooled_df, d0)


def moderated(
    values: Sequence[float], prior: Prior | None, *, drawing_variance: float = 0.0, why_no_prior: str = ""
) -> Spread:
    """The spread of a group of at least two runs.

    drawing_variance: part of a run's variance that comes from drawing its samples (`Design.drawing_variance`). The
    prior is then s0^2 plus it, and the result never falls below it, because that part is known. The sum as a
    floor would be wider than needed wherever the seeds differ by less than usual.

    The prior is refused if the group's variance exceeds the upper 5 % point of F(n - 1, d0) times the prior's: the
    group is then plainly of another kind. A smaller variance never refuses it, because moderation then only widens.

    Raises ValueError for fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("one run has no spread")
    df, own = len(values) - 1, _variance(values)
    why = why_no_prior
    if prior is None and not why:
        why = "no other groups of this kind"
    if prior is not None and not why:
        centre = prior.sd**2 + drawing_variance
        if own > f_quantile(1 - OTHER_KIND_LEVEL, df, prior.df) * centre:
            why = "these runs differ by more than runs of the usual kind"
        else:
            variance = (prior.df * centre + df * own) / (prior.df + df)
            return Spread(math.sqrt(max(variance, drawing_variance)), prior.df + df, math.sqrt(own), df, True)
    return Spread(math.sqrt(max(own, drawing_variance)), df, math.sqrt(own), df, False, why)


def _variance(values: Sequence[float]) -> float:
    """Sample variance (n - 1), 0 for equal values; `statistics.variance` is exact and a hundred times slower."""
    mean = math.fsum(values) / len(values)
    return 0.0 if len(set(values)) == 1 else math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
