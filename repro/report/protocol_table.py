"""The main tables: each paper's reported value, the values of the same network here, and answers to two questions."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from fer_jax.vocabulary.counted import counted
from repro.audit.records import AuditRecord
from repro.judge.groups import PaperRuns
from repro.judge.headline_runs import HeadlineRuns, headline_runs
from repro.judge.inflation import Difference
from repro.judge.main_claim import headline
from repro.judge.measured import measure, why_unmeasured
from repro.judge.verdicts import Judgement, holds, reproduces
from repro.report.tables import NOTHING, describe, measured_cell, reported_cell
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.specs.spec import Claim
from repro.text import units
from repro.text.document import Cell, Column, Inline, Row, Table, Verdict, chip, link, row_of, table

REPRODUCES, HOLDS = "Reproduces as published?", "Holds without train/test overlap?"
LEGEND = """\
*As published* uses the paper's own data steps, mistakes included. *Official* trains on FER-2013's Training split and
reports PrivateTest. *Clean* is official with duplicates removed: no test image has an exact or near copy in the
training set. Mean ± standard deviation over n seeds. *Inflation by the paper* is as published minus official,
*inflation by the dataset* is official minus clean on the same images: all of PrivateTest, which clean runs predict as
well. Both with the 95 % confidence interval of the difference of the expected accuracies. An open answer says what
would close it. How a verdict is reached: docs/verdicts.md."""
NUMBERS = (
    Column("Reported", "right"),
    Column("As published", "right"),
    Column("Official", "right"),
    Column("Clean", "right"),
    Column("Inflation by the paper", "right"),
    Column("Inflation by the dataset", "right"),
    Column(REPRODUCES),
    Column(HOLDS),
)
OVERVIEW_COLUMNS = (Column("Paper"), *NUMBERS)
PAPER_COLUMNS = (Column("Number"), *NUMBERS, Column("Device and dataset"))
NOT_RUN = "not run"
SAME_RUNS = "same runs as published"
OPEN = (chip("open", "open"), ": not run")


def overview_table(papers: Sequence[PaperRuns], audits: Sequence[AuditRecord]) -> Table:
    """One row per paper, device and dataset, with percentages to a tenth in every column.

    audits: of any papers, variants and datasets.
    """
    return table(OVERVIEW_COLUMNS, [row for paper in papers for row in _overview_rows(paper, audits)])


def paper_table(paper: PaperRuns, audits: Sequence[AuditRecord]) -> Table:
    """The same for one paper, with as many digits as its number needs and the place of measurement."""
    return table(PAPER_COLUMNS, list(_paper_rows(paper, audits)))


def _overview_rows(paper: PaperRuns, audits: Sequence[AuditRecord]) -> Iterator[Row]:
    claim = headline(paper)
    name = link(paper.id, f"{paper.id}.md")
    if claim is None:
        if paper.loaded is not None:
            yield row_of([name, "no number is claimed", *[NOTHING] * (len(NUMBERS) - 1)], paper.id)
        return
    runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
    for one in runs:
        label: Inline = name if len(runs) == 1 else (name, f", {one.place}")
        yield row_of([label, *number_cells(one, even=True)], paper.id)
    if not runs:
        yield row_of([name, even_reported(claim), *_not_run()], paper.id)


def _paper_rows(paper: PaperRuns, audits: Sequence[AuditRecord]) -> Iterator[list[Cell | Inline]]:
    claim = headline(paper)
    if claim is None:
        yield ["no number is claimed", *[NOTHING] * (len(PAPER_COLUMNS) - 1)]
        return
    runs = headline_runs(paper, [audit for audit in audits if audit.paper == paper.id])
    for one in runs:
        yield [describe(claim), *number_cells(one, even=False), one.place]
    if not runs:
        yield [describe(claim), reported_cell(claim), *_not_run(), NOTHING]


def _not_run() -> list[Cell | Inline]:
    return [NOT_RUN, *[NOTHING] * 4, OPEN, OPEN]


def number_cells(one: HeadlineRuns, *, even: bool) -> list[Cell | Inline]:
    """The cells of NUMBERS. even: percentages to a tenth; otherwise with the precision of the paper's number."""
    return [
        even_reported(one.claim) if even else reported_cell(one.claim),
        published_cell(one, even=even),
        other_cell(one, OFFICIAL),
        other_cell(one, CLEAN),
        SAME_RUNS if one.same_runs else difference_cell(one.inflation_of_paper()),
        difference_cell(one.inflation_of_dataset()),
        *answer_cells(one),
    ]


def even_reported(claim: Claim) -> Cell:
    """The paper's number to a tenth of a per cent, so that a column has the same decimals from top to bottom."""
    return Cell(units.percentage(claim.value, None) if claim.unit == "fraction" else units.reported(claim), claim.value)


def answer_cells(one: HeadlineRuns) -> tuple[Inline, Inline]:
    """The answers to the two questions, with their assumptions. Beside a no, the reading that is better supported."""
    judged = one.judgement
    if judged is None:
        return (NOTHING, NOTHING) if one.by_protocol.get(AS_PUBLISHED) else (OPEN, NOTHING)
    assumed = f" (assumed: {'; '.join(judged.assumed)})" if judged.assumed else ""
    better = f'the reading "{one.better_reading}" is better supported' if one.better_reading else ""
    word = reproduces(judged)
    asked = one.claim.quantity in ("accuracy", "loss") and one.claim.split not in ("train", "minibatch")
    held = holds(one.claim, judged) if asked else ""
    if better and not word.startswith("yes"):
        assumed += f"; {better}"
    if better and held.startswith("no"):
        held += f" ({better})"
    return answer(word + assumed), answer(held) if asked else NOTHING


def answer(text: str) -> Inline:
    """An answer in words; the first word is shown as a chip."""
    word, space, rest = text.partition(" ")
    colon = ":" if word.endswith(":") else ""
    word = word.removesuffix(":")
    verdict: Verdict = {"yes": "yes", "no": "no", "only": "partly"}.get(word, "open")  # type: ignore[assignment]
    return (chip(word, verdict), f"{colon}{space}{rest}")


VERDICTS: dict[str, Verdict] = {
    "reproduced": "yes",
    "reproduced, though lower": "yes",
    "reproduced, though higher": "yes",
    "only as published": "partly",
    "lower": "no",
    "higher": "no",
}


def verdict_inline(judged: Judgement) -> Inline:
    """The verdict on a claim, with the questions that it leaves open."""
    rest = f": {judged.missing}" if judged.missing and judged.word == "open" else ""
    notes = [judged.caveat] if judged.caveat else []
    if judged.dead:
        notes.append(counted(judged.dead, "dead run"))
    tail = rest + (f" ({'; '.join(notes)})" if notes else "")
    return (chip(judged.word, VERDICTS.get(judged.word, "open")), tail)


def published_cell(one: HeadlineRuns, *, even: bool = True) -> Cell:
    runs = one.by_protocol.get(AS_PUBLISHED, ())
    measured = measure(one.claim, runs)
    if measured is None:
        return Cell(why_unmeasured(one.claim, runs))
    if even and one.claim.unit == "fraction":
        return Cell(f"{units.percentage(measured.mean, measured.std)} (n = {measured.n})", measured.mean)
    return measured_cell(one.claim, measured)


def other_cell(one: HeadlineRuns, protocol: str) -> Cell:
    values = list(one.figures(protocol).values())
    if not values:
        return Cell(NOTHING if one.by_protocol.get(protocol) else NOT_RUN)
    mean, std = _spread(values)
    shown = units.percentage(mean, std) if one.claim.unit == "fraction" else units.mean_and_spread(one.claim, mean, std)
    same = f"; {SAME_RUNS}, on PrivateTest" if protocol == OFFICIAL and one.same_runs else ""
    return Cell(f"{shown} (n = {len(values)}{same})", mean)


def difference_cell(found: Difference | None) -> Cell:
    """The difference in points, with its interval. Both numbers of seeds are named if they differ."""
    if found is None:
        return Cell(NOTHING)
    width = "" if found.half_width is None else f" ± {units.number(100 * found.half_width, 1)}"
    first, second = found.n
    n = f"n = {first}" if first == second else f"n = {first}, {second}"
    return Cell(f"{units.signed(100 * found.mean, 1)}{width} points ({n})", found.mean)


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
