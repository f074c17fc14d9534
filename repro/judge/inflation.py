"""How much a paper's protocol and the dataset's duplicates add to an accuracy: two differences of means.

paper: as published minus official, what the paper's own data steps and evaluation add. dataset: official minus clean,
what FER-2013's duplicates add, for which no paper is to blame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from repro.statistics import Design, Prior, Samples, moderated
from repro.statistics.quantiles import normal_quantile, t_quantile
from repro.statistics.scale import EXTREME

USUAL_RANGE = (1 - EXTREME, EXTREME)


@dataclass(frozen=True)
class Difference:
    """mean: first minus second, a fraction. half_width: of the 95 % confidence interval of the difference of the two
    expected accuracies; None for a single run on either side without a prior. n: runs on either side."""

    mean: float
    half_width: float | None
    n: tuple[int, int]


def difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    priors: tuple[Prior | None, Prior | None],
    designs: tuple[Design, Design],
    same_samples: bool,
) -> Difference | None:
    """None if there is no run on one side.

    priors, designs: of either side. same_samples: both evaluate the same fixed samples, so that the test set is no
    source of error; else the error of drawing each side's samples is added, once for a fixed set, and by way of the
    spread for samples that are redrawn. The degrees of freedom are Welch's (1947, The generalization of 'Student's'
    problem when several different population variances are involved, Biometrika 34, 28-35).
    """
    if not first or not second:
        return None
    sides = [_side(*one) for one in zip((first, second), priors, designs, strict=True)]
    mean = math.fsum(first) / len(first) - math.fsum(second) / len(second)
    n = (len(first), len(second))
    known = [side for side in sides if side is not None]
    if len(known) < 2:
        return Difference(mean, None, n)
    (a, df_a), (b, df_b) = known
    total = a + b
    df = total**2 / (a**2 / df_a + b**2 / df_b) if total > 0 else math.inf
    samples = 0.0 if same_samples else math.fsum(_fixed(v, d) for v, d in zip((first, second), designs, strict=True))
    half = math.hypot(t_quantile(0.975, df) * math.sqrt(total), normal_quantile(0.975) * math.sqrt(samples))
    return Difference(mean, half, n)


def _side(values: Sequence[float], prior: Prior | None, design: Design) -> tuple[float, float] | None:
    """(variance of the mean, degrees of freedom); of a single run by the prior alone; None if nothing is known."""
    mean = math.fsum(values) / len(values)
    usual = prior if USUAL_RANGE[0] <= mean <= USUAL_RANGE[1] else None
    drawing = design.drawing_variance(mean)
    if len(values) > 1:
        spread = moderated(values, usual, drawing_variance=drawing)
        return spread.sd**2 / len(values), spread.df
    return (usual.sd**2 + drawing, usual.df) if usual else None


def _fixed(values: Sequence[float], design: Design) -> float:
    """Variance of one side that comes from its fixed samples."""
    if design.samples not in (Samples.FIXED_OWN, Samples.UNKNOWN) or not design.ours:
        return 0.0
    redrawn = Design(Samples.REDRAWN, design.ours, design.ours, design.population)
    return redrawn.drawing_variance(math.fsum(values) / len(values))
