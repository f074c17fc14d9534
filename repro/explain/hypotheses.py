"""One hypothesis in words and numbers: credited, open or excluded, and by which rule. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fer_jax.vocabulary.counted import counted
from repro.explain.credit import Credit
from repro.explain.records import Evidence, Standing, SuspectResult
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS
from repro.text.units import number, percentage, percentage_of, reported, signed

# An estimate from clean runs leaves something out (other samples, another training set), and so does a single run.
# Either excludes an error only if it misses the claim by more than this beyond the tolerance.
MARGIN = 0.05


@dataclass(frozen=True)
class Hypothesis:
    """What is known about one protocol error. credit: None if there is no run with it. estimate: its accuracies as
    estimated from clean runs. estimate_misses: a test of these estimates rules the claim out."""

    name: str
    about: str
    credit: Credit | None
    values: tuple[float, ...]
    estimate: tuple[float, ...]
    estimate_misses: bool
    said: tuple[Evidence, ...]  # the paper, its steps, its curve
    same_runs_as: str = ""
    minutes_per_run: float | None = None


def not_applicable(name: str, about: str, why: str) -> SuspectResult:
    return SuspectResult(
        suspect=name, about=about, standing="excluded", how="not applicable", accuracies=(), evidence=(), reason=why
    )


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def missing_text(runs: int, minutes: float | None) -> str:
    """How many runs are missing and how long they take."""
    time = "" if minutes is None else f", about {counted(max(1, round(minutes)), 'minute')}"
    return f"{counted(runs, 'more run')}{time}"


def is_far(claim: Claim, values: Sequence[float]) -> bool:
    """Whether values miss the claim by so much that even a single run, or an estimate, excludes it."""
    allowed = (claim.tolerance or 0.0) + claim.resolution / 2 + MARGIN
    return bool(values) and abs(statistics.fmean(values) - claim.value) > allowed


def result(claim: Claim, one: Hypothesis) -> SuspectResult:
    """The hypothesis by the rules of docs/explain.md: what the paper says first, then the runs, then estimates."""
    evidence = [*_rules(claim, one.credit), *_estimate(claim, one), *one.said]
    standing, reason = _standing(claim, one)
    missing = 0
    if standing == "open":
        needed = one.credit.decision.seeds_needed if one.credit and one.credit.enough else MIN_RUNS
        missing = max(0, (needed or 0) - len(one.values))
    return SuspectResult(
        suspect=one.name,
        about=one.about,
        standing=standing,
        how="measured" if one.values else "estimated" if one.estimate else "not run",
        accuracies=one.values or one.estimate,
        evidence=tuple(evidence),
        reason=reason,
        same_runs_as=one.same_runs_as,
        missing_runs=missing,
        minutes=None if one.minutes_per_run is None or not missing else round(missing * one.minutes_per_run, 1),
    )


def _standing(claim: Claim, one: Hypothesis) -> tuple[Standing, str]:
    against = next((evidence for evidence in one.said if evidence.fits is False), None)
    if against is not None:
        how = "Its curve is not the printed one" if against.kind == "curve" else "It contradicts the paper"
        return "excluded", f"{how}: {against.text}."
    made = one.credit
    if made is not None and made.enough:
        return _measured(claim, made)
    if is_far(claim, one.values):
        return "excluded", f"With it, {percentage_of(one.values)}: too far from the claim for seeds to matter."
    if not one.values and (one.estimate_misses or is_far(claim, one.estimate)):
        return "excluded", f"By the clean runs it would give about {percentage(statistics.fmean(one.estimate), None)}."
    return "open", f"Not run: {len(one.values)} of {MIN_RUNS} seeds."


def _measured(claim: Claim, made: Credit) -> tuple[Standing, str]:
    """By rules (i) and (ii), of three runs or more."""
    if not made.contains:
        return "excluded", f"With it, {_expected(made)}, which does not hold the claim ({reported(claim)})."
    if not made.moves:
        return "open", "These runs differ neither from the claim nor from the clean runs."
    if not made.narrow:
        return "open", f"The interval is wider than the tolerance of {number(100 * (claim.tolerance or 0), 1)} points."
    return "credited", f"With it, {_expected(made)}, which holds the claim ({reported(claim)})."


def _expected(made: Credit) -> str:
    low, high = made.decision.low, made.decision.high
    assert low is not None and high is not None
    low, high = max(0.0, low), min(1.0, high)
    return f"one run is expected between {number(100 * low, 1)} and {number(100 * high, 1)} % (95 %, n = {made.n})"


def _rules(claim: Claim, made: Credit | None) -> list[Evidence]:
    if made is None:
        return []
    evidence = [Evidence(kind="seeds", fits=made.enough or None, text=f"{made.n} of at least {MIN_RUNS} seeds")]
    if made.difference is not None:
        moved, half = made.difference.value, made.difference.half_width
        text = f"{signed(100 * moved, 1)} ± {number(100 * half, 1)} points against the clean runs"
        if made.enough:
            text += f", {p_text(made.p_moves)} (Holm)"
        evidence.append(Evidence(kind="effect", fits=made.moves if made.enough else None, text=text))
    if made.enough:
        fits = made.contains and made.narrow
        text = f"{_expected(made)}; reported {reported(claim)}"
        if made.contains and not made.narrow:
            text += f"; wider than the tolerance of ± {number(100 * (claim.tolerance or 0.0), 1)} points"
        evidence.append(Evidence(kind="claim", fits=fits if made.narrow or not made.contains else None, text=text))
    return evidence


def _estimate(claim: Claim, one: Hypothesis) -> list[Evidence]:
    if not one.estimate or one.values:
        return []
    fits = False if one.estimate_misses or is_far(claim, one.estimate) else None
    text = f"about {percentage_of(one.estimate)} by the clean runs; reported {reported(claim)}"
    return [Evidence(kind="estimate", fits=fits, text=text)]
