"""Generate the files of a results folder from records and specs: RESULTS.md, paper pages, results.csv and BENCH.md."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from repro.bench.table import BENCH_NAME, bench_document
from repro.explain.text import explanation_blocks
from repro.forensics import examine
from repro.judge.curve_verdicts import judge_curves
from repro.judge.groups import PaperRuns
from repro.judge.judgements import judge_claims
from repro.report.figures.folder import check_figures, figures_available, write_figures
from repro.report.frame import csv_text, frame_of
from repro.report.front import drawn_figures, results_document
from repro.report.inputs import ReportInput, read_input
from repro.report.sheets import sheet
from repro.runs.record_files import write_atomically
from repro.specs.decode import LoadedSpec
from repro.text.document import Block, Document, Paragraph, say
from repro.text.markdown import markdown

REPORT_NAME = "RESULTS.md"
CSV_NAME = "results.csv"
OUTDATED = """\
**Outdated**: the main claim, the settings of the spec or the rules changed after `repro explain {id}`. Run it again."""


def documents(given: ReportInput) -> dict[str, Document]:
    """All pages by file name."""
    found = {REPORT_NAME: results_document(given)}
    found |= {sheet_name(paper.id): paper_sheet(paper, given) for paper in given.papers if paper.loaded is not None}
    return found | ({} if given.bench is None else {BENCH_NAME: bench_document(given.bench)})


def paper_sheet(paper: PaperRuns, given: ReportInput) -> Document:
    """The page of a paper that has a spec."""
    assert paper.loaded is not None
    audits = given.audits.get(paper.id, ())
    return sheet(
        paper,
        findings=examine(paper.loaded),
        audits=audits,
        judgements=judge_claims(paper, audits),
        curves=judge_curves(paper),
        attribution=_attribution(paper.id, given),
        leakage=paper.loaded.spec.leakage,
        figures=drawn_figures(given),
        copies=[one for one in given.copies if one.paper == paper.id],
        sweeps=given.sweeps.get(paper.id, ()),
    )


def sheet_name(id: str) -> str:
    """The file name of a paper's page in the results folder."""
    return f"{id}.md"


def _attribution(id: str, given: ReportInput) -> list[Block]:
    """What `repro explain` found; empty if it was not run."""
    if id not in given.explanations:
        return []
    found = given.explanations[id]
    return explanation_blocks(found) if found else [Paragraph(say(OUTDATED, id=id))]


def render_input(given: ReportInput) -> dict[str, str]:
    """The expected text of the generated files, by name."""
    files = {name: markdown(document) for name, document in documents(given).items()}
    return files | {CSV_NAME: csv_text(frame_of((run.path, run.record) for run in given.runs))}


def write_report(results: Path, specs: Sequence[LoadedSpec]) -> list[Path]:
    """Write RESULTS.md, results.csv, a page per paper, and BENCH.md if something was measured. Draw the figures that
    changed if matplotlib is installed.

    Raises RecordError for a record that cannot be read.
    """
    return write_input(read_input(results, specs))


def write_input(given: ReportInput) -> list[Path]:
    """Like `write_report`, from input that was already read."""
    results = given.results
    drawn = write_figures(results, given.gallery) if figures_available() else []
    return drawn + [write_atomically(results / name, text.encode()) for name, text in render_input(given).items()]


def check_report(results: Path, specs: Sequence[LoadedSpec]) -> list[str]:
    """Unified diff lines from the existing generated files to their expected text, and a line for every figure that
    shows something else. Empty if all are current.

    Raises RecordError for a record that cannot be read.
    """
    given = read_input(results, specs)
    lines = check_figures(results, given.gallery)
    for name, expected in render_input(given).items():
        path = results / name
        found = path.read_bytes().decode(errors="replace") if path.exists() else ""
        lines += difflib.unified_diff(
            found.splitlines(), expected.splitlines(), name, "from the records", n=1, lineterm=""
        )
    return lines
