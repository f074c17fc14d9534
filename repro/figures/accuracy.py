"""Every paper's main accuracy: as reported, and as measured under the three protocols."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator, Sequence

from repro.audit.records import AuditRecord
from repro.figures.figure_data import Dots, FigureData, Mark, Row
from repro.protocols import AS_PUBLISHED, PROTOCOLS, REPORTED_SPLIT
from repro.report import units
from repro.report.claims import figure_rows, measure
from repro.report.groups import PaperRuns
from repro.report.judgements import rows_behind
from repro.report.protocol_table import HeadlineRuns, headline_runs, verdict_cell
from repro.report.tables import headline, measured_cell
from repro.spec import Claim
from repro.verdict import LEVEL, MIN_SEEDS, binomial_rows, prediction_interval

NAME = "accuracy"
CAPTION = (
    "Diamond: the document's figure. Marker: mean over n runs, beside it ± sample standard deviation. Bar: "
    f"{100 * LEVEL:g} % prediction interval of one more run, from {MIN_SEEDS} runs on (spread over seeds, size of the "
    "test set, rounding of the printed figure). Ticks: single runs. Official and clean are measured on PrivateTest. At "
    "the right: the verdict on the document's figure. Measured on {places}."
)
VERDICT_WIDTH = 22  # characters


def accuracy_figure(papers: Sequence[PaperRuns], audits: Sequence[AuditRecord]) -> FigureData | None:
    """One row per paper, device and data set, as in the main table; None where no paper has a full run.

    audits: of any papers, those that are current; the verdicts need them.
    """
    rows, told, places = [], [], []
    for paper in papers:
        claim = headline(paper)
        if claim is None or claim.quantity != "accuracy":
            continue
        runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
        reported = Mark(series="reported", value=100 * claim.value, note=f"{units.reported(claim)} reported")
        what = f"{paper.id}\n{claim.split}"
        if not runs:
            rows.append(Row(label=what, marks=(reported,), note="not run"))
        for one in runs:
            marks = tuple(_marks(one))
            label = what if len(runs) == 1 else f"{what}\n{textwrap.fill(one.place, VERDICT_WIDTH)}"
            rows.append(Row(label=label, marks=(reported, *marks), note=_verdict(one)))
            told.append(f"{paper.id}: {', '.join([reported.note, *(f'{m.series} {m.note}' for m in marks)])}")
            places.append(one.place)
    if not told:
        return None
    drawn = {mark.series for row in rows for mark in row.marks}
    return FigureData(
        name=NAME,
        title="Accuracy: reported and reproduced",
        paper=None,
        alternative=f"Dot plot of accuracies on an axis from 0 to 100 %. {'; '.join(told)}.",
        caption=CAPTION.format(places="; ".join(dict.fromkeys(places))),
        legend={name: name for name in ("reported", *PROTOCOLS) if name in drawn},
        panels=((Dots(title="", axis="accuracy (%)", scale="percent", rows=tuple(rows)),),),
    )


def _marks(runs: HeadlineRuns) -> Iterator[Mark]:
    """One per protocol that has the figure: the values, the interval and the words of the tables."""
    for protocol in PROTOCOLS:
        values = list(runs.figures(protocol).values())
        if not values:
            continue
        found = None
        if len(values) >= MIN_SEEDS:
            rows = binomial_rows(runs.claim, _rows(runs, protocol))
            found = prediction_interval(values, resolution=runs.claim.resolution, rows=rows)
        yield Mark(
            series=protocol,
            value=100 * statistics.fmean(values),
            low=100 * max(found.low, 0.0) if found else None,
            high=100 * min(found.high, 1.0) if found else None,
            runs=tuple(100 * value for value in values),
            note=_words(runs.claim, protocol, runs, values),
        )


def _rows(runs: HeadlineRuns, protocol: str) -> int | None:
    """Size of the test set behind the values, as the verdicts count it."""
    records = runs.by_protocol[protocol]
    if protocol == AS_PUBLISHED:
        return rows_behind(runs.claim, records)
    return min(figure_rows(runs.claim, record.metrics[REPORTED_SPLIT]) for record in records)


def _words(claim: Claim, protocol: str, runs: HeadlineRuns, values: Sequence[float]) -> str:
    measured = measure(claim, runs.by_protocol[protocol]) if protocol == AS_PUBLISHED else None
    return measured_cell(claim, measured) if measured else units.percentage_of(values)


def _verdict(runs: HeadlineRuns) -> str:
    judged = runs.judgement()
    return textwrap.fill(verdict_cell(judged, ""), VERDICT_WIDTH) if judged else ""
