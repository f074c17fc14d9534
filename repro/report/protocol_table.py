"""The main table: what each paper reports, what the same network gives, and the answers to two questions."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from repro.audit.records import AuditRecord
from repro.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.report import units
from repro.report.claims import measure, why_unmeasured
from repro.report.groups import PaperRuns
from repro.report.headline_runs import HeadlineRuns, headline_runs
from repro.report.inflation import Difference
from repro.report.markdown import Column, escape, table
from repro.report.tables import NOTHING, describe, headline, measured_cell, reported_cell
from repro.report.verdicts import Judgement, holds, reproduces

REPRODUCES, HOLDS = "Reproduces as published?", "Holds without train/test overlap?"
LEGEND = f"""\
{REPRODUCES} Whether runs of the published protocol give the reported number: *yes* if a difference of the tolerance or
more is ruled out, *no* if the number is not one that such a run prints (5 % level), *open* with what is missing if
neither. {HOLDS} Whether the number also comes out of official and of clean runs; *no* only if both miss it. As
published: the paper's own order of data steps and its own evaluation. Official: trained on Training, any selection on
PublicTest, accuracy on PrivateTest. Clean: official with duplicates removed, so that no evaluated image has a copy in
the training set or twice in its split. Each is mean ± sample standard deviation over n seeds. Inflation by the paper:
as published minus official. Inflation by the dataset: official minus clean. Both with the 95 % confidence interval of
the difference. How a verdict is made, and how often it errs: docs/verdicts.md."""

COLUMNS = (
    Column("Paper"),
    Column("Number"),
    Column("Reported", "right"),
    Column("As published", "right"),
    Column("Official", "right"),
    Column("Clean", "right"),
    Column("Inflation by the paper", "right"),
    Column("Inflation by the dataset", "right"),
    Column(REPRODUCES),
    Column(HOLDS),
    Column("Device and data set"),
)
NOT_RUN = "not run"
SAME_RUNS = "same runs as published"


def protocol_table(papers: Sequence[PaperRuns], audits: Sequence[AuditRecord]) -> str:
    """audits: of any papers, variants and data sets."""
    return table(COLUMNS, [row for paper in papers for row in _rows(paper, audits)])


def _rows(paper: PaperRuns, audits: Sequence[AuditRecord]) -> Iterator[list[str]]:
    claim = headline(paper)
    if claim is None:
        if paper.loaded is not None:
            yield [f"[{paper.id}]({paper.id}.md)", "no number is claimed", *[NOTHING] * (len(COLUMNS) - 2)]
        return
    first = [f"[{paper.id}]({paper.id}.md)", describe(claim), reported_cell(claim)]
    runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
    for one in runs:
        yield [
            *first,
            _published_cell(one),
            _other_cell(one, OFFICIAL),
            _other_cell(one, CLEAN),
            SAME_RUNS if one.same_runs else difference_cell(one.inflation_of_paper()),
            difference_cell(one.inflation_of_dataset()),
            *answer_cells(one),
            escape(one.place),
        ]
    if not runs:
        yield [*first, NOT_RUN, *[NOTHING] * 4, "open: not run", "open: not run", NOTHING]


def answer_cells(one: HeadlineRuns) -> tuple[str, str]:
    """The answers to the two questions, with what they take for granted."""
    judged = one.judgement
    if judged is None:
        return (NOTHING, NOTHING) if one.by_protocol.get(AS_PUBLISHED) else ("open: not run", NOTHING)
    assumed = f" (assumed: {'; '.join(judged.assumed)})" if judged.assumed else ""
    asked = one.claim.quantity in ("accuracy", "loss") and one.claim.split not in ("train", "minibatch")
    return _bold(reproduces(judged) + assumed), _bold(holds(one.claim, judged)) if asked else NOTHING


def _bold(answer: str) -> str:
    """The one word of an answer in bold."""
    word, space, rest = answer.partition(" ")
    return f"**{word.removesuffix(':')}**{':' if word.endswith(':') else ''}{space}{escape(rest)}"


def verdict_cell(judged: Judgement, mark: str = "**") -> str:
    """The verdict, with what it leaves open."""
    rest = f": {judged.missing}" if judged.missing and judged.word == "open" else ""
    notes = [judged.caveat] if judged.caveat else []
    if judged.dead:
        notes.append(f"{judged.dead} dead run{'' if judged.dead == 1 else 's'}")
    return f"{mark}{judged.word}{mark}{escape(rest)}" + (f" ({'; '.join(notes)})" if notes else "")


def _published_cell(one: HeadlineRuns) -> str:
    runs = one.by_protocol.get(AS_PUBLISHED, ())
    measured = measure(one.claim, runs)
    return measured_cell(one.claim, measured) if measured else why_unmeasured(one.claim, runs)


def _other_cell(one: HeadlineRuns, protocol: str) -> str:
    values = list(one.figures(protocol).values())
    if not values:
        return NOTHING if one.by_protocol.get(protocol) else NOT_RUN
    mean, std = _spread(values)
    shown = units.percentage(mean, std) if one.claim.unit == "fraction" else units.mean_and_spread(one.claim, mean, std)
    same = f"; {SAME_RUNS}, on PrivateTest" if protocol == OFFICIAL and one.same_runs else ""
    return f"{shown} (n = {len(values)}{same})"


def difference_cell(found: Difference | None) -> str:
    """In points, with the interval; fewer seeds on one side are named."""
    if found is None:
        return NOTHING
    width = "" if found.half_width is None else f" ± {units.number(100 * found.half_width, 1)}"
    first, second = found.n
    n = f"n = {first}" if first == second else f"n = {first}, {second}"
    return f"{units.signed(100 * found.mean, 1)}{width} points ({n})"


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
