"""A claimed accuracy of one network, against what the network gives: a fact, and what is left of it without copies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from repro.evaluation.errors import EvaluationError
from repro.evaluation.records import ClaimedAccuracy, EvaluationRecord
from repro.judge.judged_facts import judge_fact
from repro.judge.verdicts import Judgement
from repro.specs.spec import Claim
from repro.text import units

_NUMBER = re.compile(r"(?P<digits>\d{1,3}(\.\d{1,12})?)\s*(?P<percent>%?)")
Holds = Literal["yes", "no", "open"]


def parse_fraction(text: str, option: str) -> tuple[float, float]:
    """A fraction and the worth of its last printed digit: 66 % is (0.66, 0.01). Raises EvaluationError."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (not found["percent"] and Decimal(found["digits"]) > 1):
        meant = Decimal(found["digits"]) if found else 0
        written = f"{meant}% or {meant / 100}" if 1 < meant <= 100 else "66% or 0.66"
        raise EvaluationError(f"{option} {text!r}: write {written}")
    value = Decimal(found["digits"])
    last = Decimal(1).scaleb(int(value.as_tuple().exponent))
    factor = Decimal("0.01") if found["percent"] else Decimal(1)
    if value * factor > 1:
        raise EvaluationError(f"{option} {text!r}: more than 100 %")
    return float(value * factor), float(last * factor)


@dataclass(frozen=True)
class ClaimAnswer:
    """judgement: of the network's accuracy on the very samples. holds: whether the clean samples still give the claim:
    no if it is above their 95 % interval; yes if their accuracy reaches it, rounding included; else open. words: one
    sentence about it. others: numbers of samples in whose share no whole number gives the claim, in words."""

    claim: Claim
    judgement: Judgement
    holds: Holds
    words: str
    impossible: str


def answer_claim(record: EvaluationRecord) -> ClaimAnswer | None:
    """None if no claim was given."""
    given = record.claim
    if given is None:
        return None
    claim = claim_of(given)
    score = record.splits[given.split]
    clean = score.clean
    least = claim.value - max(claim.resolution / 2, claim.tolerance or 0.0)
    holds: Holds = "no" if least > clean.high else "yes" if clean.accuracy >= least else "open"
    interval = f"{percent(clean.low)} to {percent(clean.high)}"
    side = {"no": "above", "yes": "reached by", "open": "within"}[holds]
    words = (
        f"{percent(clean.accuracy)} of {clean.n:,} clean samples; 95 % interval for other images {interval}. "
        f"The claim is {side} {'it' if holds != 'yes' else 'this accuracy'}."
    )
    return ClaimAnswer(
        claim, judge_fact(claim, [score.official.accuracy]), holds, words, _impossible(claim, score.official.n)
    )


def claim_of(given: ClaimedAccuracy) -> Claim:
    return Claim(
        id="claim",
        quantity="accuracy",
        value=given.value,
        unit="fraction",
        resolution=given.resolution,
        split=given.split,
        tolerance=given.tolerance,
        quote="--claim",
        place="the command line",
    )


def _impossible(claim: Claim, n: int) -> str:
    """A sentence if no whole number of n samples rounds to the claim; else empty."""
    nearest = round(claim.value * n)
    if any(abs(hits / n - claim.value) <= claim.resolution / 2 + 1e-12 for hits in (nearest - 1, nearest, nearest + 1)):
        return ""
    return (
        f"No whole number of {n:,} samples gives {units.reported(claim)}, so it was measured on other samples or over "
        "several runs."
    )


def percent(value: float) -> str:
    return units.percentage(value, None)
