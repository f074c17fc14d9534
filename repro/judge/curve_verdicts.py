"""One verdict on every curve of a paper that full runs recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_jax.vocabulary.counted import counted
from repro.judge.designs import design_of
from repro.judge.groups import PaperRuns
from repro.judge.judgements import done
from repro.judge.measured_curves import MeasuredCurve, measure_curve
from repro.judge.verdicts import WORDS, Word, size
from repro.runs.records import RunRecord
from repro.specs.decode import LoadedSpec
from repro.specs.spec import Curve
from repro.statistics import CurveDecision, Open, decide_curve


@dataclass(frozen=True)
class CurveJudgement:
    """word: the verdict. missing: of an open one, what is missing. reason: one or two sentences with the figures."""

    curve: Curve
    word: Word
    missing: str
    reason: str
    decision: CurveDecision


def judge_curves(paper: PaperRuns) -> dict[str, CurveJudgement]:
    """By curve id, each from the device and dataset with the most runs. A curve of accuracies without a tolerance
    takes the headline's, if the headline is an accuracy too."""
    found: dict[str, CurveJudgement] = {}
    main = paper.loaded.spec.headline if paper.loaded else None
    for curve in paper.loaded.spec.curves if paper.loaded else ():
        groups = [group for group in paper.comparable if group.variant == curve.variant]
        measured = [(one, done(group)) for group in groups if (one := measure_curve(curve, done(group))) is not None]
        if not measured:
            continue
        runs, records = max(measured, key=lambda one: one[0].n)
        tolerance = curve.tolerance
        if tolerance is None and main is not None and curve.quantity == main.quantity == "accuracy":
            tolerance = main.tolerance
        accuracy = curve.quantity == "accuracy"
        decision = decide_curve(
            runs.values,
            curve.values,
            resolution=curve.resolution,
            tolerance=tolerance,
            fraction=accuracy,
            drawing=_drawing(curve, runs, paper.loaded, records) if accuracy and paper.loaded else 0.0,
        )
        found[curve.id] = _judgement(curve, runs, decision)
    return found


def _drawing(curve: Curve, runs: MeasuredCurve, loaded: LoadedSpec, records: Sequence[RunRecord]) -> list[float]:
    """Variance of each point from drawing its samples. Nothing is known for a running mean over an epoch. Minibatches
    are drawn separately for each point, so the spread shows theirs."""
    if curve.split in ("train", "minibatch"):
        return [0.0] * len(curve.points)
    designs = [design_of(point, loaded, records) for point in curve.points]
    return [
        design.drawing_variance(min(max(float(mean), 0.0), 1.0))
        for design, mean in zip(designs, runs.mean, strict=True)
    ]


def _judgement(curve: Curve, runs: MeasuredCurve, decision: CurveDecision) -> CurveJudgement:
    word: Word = WORDS[decision.outcome]
    if decision.outcome == "open" and decision.why_open is Open.NO_TOLERANCE:
        word = "consistent"
    missing = ""
    if decision.why_open is Open.FEW_RUNS:
        missing = counted(3 - runs.n, "more seed")
        return CurveJudgement(curve, word, missing, f"{counted(runs.n, 'run')}; a verdict needs 3.", decision)
    assert decision.worst is not None and decision.difference is not None and decision.limit is not None
    point = curve.points[0]
    when = "epoch" if curve.epochs else "step"
    reason = (
        f"{decision.inside} of {decision.points} points lie in the interval of the "
        f"{counted(decision.n, 'run')}. Largest "
        f"distance {decision.standardised:.1f} standard errors, at {when} {curve.moments[decision.worst]:,} "
        f"({decision.critical:.1f} is exceeded by one curve in twenty; p = {decision.p_differs:.2g}). Mean difference "
        f"{size(point, abs(decision.difference))}, at most {size(point, decision.limit)}."
    )
    if word == "open" and decision.seeds_needed is not None:
        more = decision.seeds_needed - decision.n
        missing = counted(more, "more seed")
    elif word == "open":
        missing = f"a mean difference of up to {size(point, decision.limit)} is not ruled out"
    return CurveJudgement(curve, word, missing, reason, decision)
