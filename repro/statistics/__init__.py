"""The statistics behind every verdict: plain numbers in, dataclasses out. Nothing here displays or reads records.

- `decide(values, Target(...), Design(...), prior=..., look=...)` -> `Decision`: the verdict on one claim.
- `decide_curve(runs, printed, ...)` -> `CurveDecision`: one verdict on a whole curve.
- `estimate_prior(groups)` -> `Prior`: the usual spread of single runs; `Samples`: what is known of the test samples.
- `holm`, `by_chance`: many claims at once. `LOOKS`, `look_levels`, `next_look`, `may_be_decided`: seeds until decided.
- `share`, `independent_difference`, `mcnemar`: shares of samples, and two classifiers on the same samples.
- `compare` -> `Comparison`: the two tests by themselves (`p_differs`, `is_same`, `limits`, `chance`).

The method in plain English, with its simulated error rates: docs/verdicts.md.
"""

from __future__ import annotations

from repro.statistics.comparison import LEVEL, Chance, Comparison, Target, compare
from repro.statistics.curves import CurveDecision, decide_curve
from repro.statistics.decision import (
    MIN_RUNS,
    Decision,
    Open,
    Outcome,
    decide,
    decide_comparison,
    may_be_decided,
    seeds_to_decide,
)
from repro.statistics.families import ByChance, by_chance, holm
from repro.statistics.looks import LOOKS, look_levels, next_look
from repro.statistics.proportions import (
    McNemar,
    SampleShare,
    ShareDifference,
    independent_difference,
    mcnemar,
    share,
    standardised_difference,
)
from repro.statistics.samples import NOT_SAMPLED, Design, Samples
from repro.statistics.spread import Prior, Spread, estimate_prior, moderated

__all__ = [
    "LEVEL",
    "LOOKS",
    "MIN_RUNS",
    "NOT_SAMPLED",
    "ByChance",
    "Chance",
    "Comparison",
    "CurveDecision",
    "Decision",
    "Design",
    "McNemar",
    "Open",
    "Outcome",
    "Prior",
    "SampleShare",
    "Samples",
    "ShareDifference",
    "Spread",
    "Target",
    "by_chance",
    "compare",
    "decide",
    "decide_comparison",
    "decide_curve",
    "estimate_prior",
    "holm",
    "independent_difference",
    "look_levels",
    "may_be_decided",
    "mcnemar",
    "moderated",
    "next_look",
    "seeds_to_decide",
    "share",
    "standardised_difference",
]
