"""Verdicts on claims without a spread: facts about the data and the network, and ranks."""

from __future__ import annotations

from collections.abc import Sequence

from fer_jax.vocabulary.counted import counted
from repro.judge.verdicts import Judgement, Word
from repro.specs.spec import Claim
from repro.statistics import LEVEL, MIN_RUNS
from repro.text import units

_ROUND_OFF = 1e-9  # relative: a value on the very edge of the tolerance is inside


def judge_fact(claim: Claim, values: Sequence[float]) -> Judgement:
    """A fact is the same in every run (`repro.judge.judged_quantities.is_fact`): within the tolerance, or half the last
    printed digit if that is more, it is reproduced, with one run too."""
    value = float(values[0])
    allowed = max(claim.resolution / 2, claim.tolerance or 0.0)
    seen = f"{units.mean_and_spread(claim, value, None)} in every run (n = {len(values)})"
    word: Word = "lower" if value < claim.value else "higher"
    if abs(value - claim.value) <= allowed + _ROUND_OFF * abs(claim.value):
        word = "reproduced"
    return Judgement(word, None, f"{seen}, reported {units.reported(claim)}.")


def judge_rank(claim: Claim, values: Sequence[float]) -> Judgement:
    """A place among the emotions. Reproduced if at least half of three or more runs have it. The claim differs only if
    runs and claim cannot be alike by chance: if they are, every one of the n + 1 orders is as likely to be the odd one
    out, so k agreeing runs of n have p = (k + 1) / (n + 1), and n = 19 runs are needed."""
    n, allowed = len(values), claim.tolerance or 0.0
    agree = sum(abs(value - claim.value) <= allowed + _ROUND_OFF for value in values)
    seen = f"{agree} of {n} runs have this place."
    if n >= MIN_RUNS and 2 * agree >= n:
        return Judgement("reproduced", None, seen)
    if (agree + 1) / (n + 1) < LEVEL:
        return Judgement("lower" if sum(values) / n < claim.value else "higher", None, seen)
    if n < MIN_RUNS:
        more = MIN_RUNS - n
        return Judgement("open", None, seen, missing=counted(more, "more seed"))
    return Judgement("open", None, seen, missing=f"{agree} of {n} runs agree")
