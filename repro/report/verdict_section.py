"""The verdicts on a paper's page: the two questions, every claim and curve, and how many differences chance gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from fer_jax.vocabulary.counted import counted
from repro.judge.curve_verdicts import CurveJudgement
from repro.judge.groups import PaperRuns
from repro.judge.measured import why_unmeasured
from repro.judge.verdicts import Judgement, holds, reproduces, sentence, size
from repro.report.protocol_table import HOLDS, REPRODUCES, VERDICTS, answer, verdict_inline
from repro.report.tables import describe, reported_cell
from repro.specs.spec import Claim
from repro.statistics import LEVEL, MIN_RUNS, by_chance
from repro.statistics.quantiles import normal_quantile
from repro.text.document import Block, Cell, Column, Inline, Paragraph, chip, code, count, details, table
from repro.text.units import number

COLUMNS = (Column("Claim"), Column("What"), Column("Reported", "right"), Column("Verdict"), Column("Why"))
CURVE_COLUMNS = (Column("Curve"), Column("What"), Column("Points", "right"), Column("Verdict"), Column("Why"))


def short_answers(main: Claim, judged: Judgement) -> Iterator[Inline]:
    """The two questions about the headline, as list items with the values behind the answers."""
    reason = sentence(main, judged.published) if judged.published else judged.reason
    assumed = f" Assumed: {'; '.join(judged.assumed)}." if judged.assumed else ""
    yield (f"{REPRODUCES} ", answer(reproduces(judged)), f". {reason}{assumed}")
    if main.quantity not in ("accuracy", "loss") or main.split in ("train", "minibatch"):
        return
    answers = [(name, one) for name, one in (("Official", judged.official), ("Clean", judged.clean)) if one is not None]
    if judged.same_runs:
        answers = [one for one in answers if one[0] != "Official"]
    figures = [f"{name}: {sentence(main, one)}" for name, one in answers]
    if judged.same_runs:
        figures.append("The runs as published and official are the same.")
    yield (f"{HOLDS} ", answer(holds(main, judged)), ". ", " ".join(figures))
    if judged.dead:
        yield f"{judged.dead} of the runs as published ended no better than always answering with one class."


def verdict_section(
    paper: PaperRuns, judgements: Mapping[str, Judgement], curves: Mapping[str, CurveJudgement]
) -> Iterator[Block]:
    """The tables, the totals, and the claims without a verdict."""
    assert paper.loaded is not None
    claims = paper.loaded.spec.single_claims
    judged = [(claim, judgements[claim.id]) for claim in claims if claim.id in judgements]
    if not judged and not curves:
        yield Paragraph("No claim was measured yet.")
    if judged:
        rows: list[list[Cell | Inline]] = [
            [code(claim.id), describe(claim), reported_cell(claim), verdict_inline(found), found.reason]
            for claim, found in judged
        ]
        yield table(COLUMNS, rows)
    if curves:
        yield table(CURVE_COLUMNS, [_curve_row(one) for one in curves.values()])
    if total := _totals(judgements, curves):
        yield Paragraph(total)
    yield from details("Tolerances that are too small", list(_small_tolerances(paper, judgements)))
    yield from details("Without a verdict", list(_unjudged(paper, claims, judgements)))


def _curve_row(one: CurveJudgement) -> list[Cell | Inline]:
    what = f"{one.curve.quantity}, {one.curve.split}, variant {one.curve.variant}"
    rest = f": {one.missing}" if one.missing else ""
    word = (chip(one.word, VERDICTS.get(one.word, "open")), rest)
    return [code(one.curve.id), what, count(len(one.curve.values)), word, one.reason]


def _totals(judgements: Mapping[str, Judgement], curves: Mapping[str, CurveJudgement]) -> str:
    """How many differ before any correction, beside the number expected by chance if all were true."""
    tested = [
        found.published.comparison.p_differs
        for found in judgements.values()
        if found.published and found.published.comparison and found.published.n >= MIN_RUNS
    ]
    tested += [one.decision.p_differs for one in curves.values() if one.decision.n >= MIN_RUNS]
    if len(tested) < 2:
        return ""
    total = by_chance(tested)
    return (
        f"{counted(total.claims, 'number')} and curves were compared with the spread of runs; "
        f"{total.found} differ at 5 %. "
        f"If all were true, chance alone would give about {total.expected:.1f}. The verdicts on single claims, but for "
        "the headline, are corrected for their number (Holm)."
    )


def _small_tolerances(paper: PaperRuns, judgements: Mapping[str, Judgement]) -> Iterator[Inline]:
    """Claims whose own sampling error exceeds their tolerance: agreement can hardly be shown, or not at all."""
    assert paper.loaded is not None
    for claim in paper.loaded.spec.single_claims:
        judged = judgements.get(claim.id)
        compared = judged.published.comparison if judged and judged.published else None
        if compared is None or compared.target.tolerance is None or not compared.target.fraction:
            continue
        p = min(max(compared.scale.back(compared.mean), 0.0), 1.0)
        error = normal_quantile(1 - LEVEL / 2) * math.sqrt(compared.design.drawing_variance(p))
        if error > compared.target.tolerance:
            allowed = size(claim, compared.target.tolerance)
            price = "no number of runs shows" if compared.never_same else "hardly any number of runs shows"
            yield (
                (code(paper.loaded.path.name), ", claim ", code(claim.id), ", ", code("tolerance")),
                f": {allowed} is less than the error of {counted(compared.design.ours or 0, 'sample')} at 95 %, "
                f"±{number(100 * error, 2)} points; {price} that it is the same.",
            )


def _unjudged(paper: PaperRuns, claims: tuple[Claim, ...], judgements: Mapping[str, Judgement]) -> Iterator[Inline]:
    for claim in claims:
        if claim.id not in judgements:
            timed = claim.quantity in ("time", "speedup")
            hardware = "a time gets a ratio, with the hardware beside it, under Times"
            records = [record for group in paper.comparable for record in group.records]
            why = claim.not_measured or (hardware if timed else why_unmeasured(claim, records))
            yield (code(claim.id), f", {describe(claim)}: {why}")
