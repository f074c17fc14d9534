"""Every paper's main accuracy: as reported, and as measured under the three protocols."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator, Sequence

from repro.audit.records import AuditRecord
from repro.judge.groups import PaperRuns
from repro.judge.headline_runs import HeadlineRuns, headline_runs
from repro.judge.main_claim import headline
from repro.judge.measured import measure, percentage_text
from repro.judge.verdicts import holds, reproduces
from repro.report.figures.figure_data import AxisRow, Dots, FigureData, Mark
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, PROTOCOLS
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS
from repro.text import units

NAME = "accuracy"
CAPTION = (
    "Diamond: the paper's number. Marker: mean over n runs, beside it ± sample standard deviation. Bar: where one run "
    "of the paper is expected (95 % prediction interval, rounding included; for official and clean, which evaluate "
    "other samples, with the error of the test sets). Ticks: single runs. Official and clean: on PrivateTest. "
    "At the right: does the number reproduce as published, and does it hold without train/test overlap? Measured on "
    "{places}."
)
VERDICT_WIDTH = 22  # characters


def accuracy_figure(papers: Sequence[PaperRuns], audits: Sequence[AuditRecord]) -> FigureData | None:
    """One row per paper, device and dataset, as in the main table; None if no paper has a full run.

    audits: the current ones, of any papers; the verdicts need them.
    """
    rows, described, places = [], [], []
    for paper in papers:
        claim = headline(paper)
        if claim is None or claim.quantity != "accuracy":
            continue
        runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
        reported = Mark(series="reported", value=100 * claim.value, note=f"{units.reported(claim)} reported")
        what = f"{paper.id}\n{claim.split}"
        if not runs:
            rows.append(AxisRow(label=what, marks=(reported,), note="not run"))
        for one in runs:
            marks = tuple(marks_of(one))
            label = what if len(runs) == 1 else f"{what}\n{textwrap.fill(one.place, VERDICT_WIDTH)}"
            rows.append(AxisRow(label=label, marks=(reported, *marks), note=_verdict(one)))
            described.append(f"{paper.id}: {', '.join([reported.note, *(f'{m.series} {m.note}' for m in marks)])}")
            places.append(one.place)
    if not described:
        return None
    drawn = {mark.series for row in rows for mark in row.marks}
    return FigureData(
        name=NAME,
        title="Accuracy: reported and reproduced",
        paper=None,
        alternative=f"Dot plot of accuracies on an axis from 0 to 100 %. {'; '.join(described)}.",
        caption=CAPTION.format(places="; ".join(dict.fromkeys(places))),
        legend={name: name for name in ("reported", *PROTOCOLS) if name in drawn},
        panels=((Dots(title="", axis="accuracy (%)", scale="percent", rows=tuple(rows)),),),
    )


def marks_of(runs: HeadlineRuns) -> Iterator[Mark]:
    """One mark per protocol that measured the claim: values in per cent, the interval and the words of the tables."""
    for protocol in PROTOCOLS:
        values = list(runs.figures(protocol).values())
        if not values:
            continue
        low, high = _limits(runs, protocol)
        yield Mark(
            series=protocol,
            value=100 * statistics.fmean(values),
            low=None if low is None else 100 * max(low, 0.0),
            high=None if high is None else 100 * min(high, 1.0),
            runs=tuple(100 * value for value in values),
            note=_words(runs.claim, protocol, runs, values),
        )


def _limits(runs: HeadlineRuns, protocol: str) -> tuple[float | None, float | None]:
    """The interval in which one run of the paper is expected; needs at least three runs of the protocol."""
    judged = runs.judgement
    if judged is None:
        return None, None
    decision = {AS_PUBLISHED: judged.published, OFFICIAL: judged.official, CLEAN: judged.clean}[protocol]
    if decision is None or decision.n < MIN_RUNS or (protocol == OFFICIAL and runs.same_runs):
        return None, None
    if decision.comparison is None:
        return decision.low, decision.high
    # For a single run, even if the claim is the best of many: that of the best of 100 would reach the end of the axis.
    return decision.comparison.of_one_run.limits()


def _words(claim: Claim, protocol: str, runs: HeadlineRuns, values: Sequence[float]) -> str:
    """To a tenth of a per cent under every protocol, as in the tables."""
    measured = measure(claim, runs.by_protocol[protocol]) if protocol == AS_PUBLISHED else None
    return percentage_text(measured) if measured else units.percentage_of(values)


def _verdict(runs: HeadlineRuns) -> str:
    judged = runs.judgement
    if judged is None:
        return ""
    answers = f"as published: {reproduces(judged)}", f"without overlap: {holds(runs.claim, judged)}"
    return "\n".join(textwrap.fill(answer, VERDICT_WIDTH) for answer in answers)
