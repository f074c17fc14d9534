"""Everything that an evaluation leaves in its folder: record, predictions, page and plot."""

from __future__ import annotations

from pathlib import Path

from fer_jax.machine.atomic_write import write_atomically
from repro.evaluation.records import EvaluationRecord, write_evaluation
from repro.evaluation.reliability import FIGURE_NAME, write_reliability
from repro.evaluation.scores import Answers
from repro.evaluation.text import evaluation_document
from repro.report.figures.folder import figures_available
from repro.text.markdown import markdown

PAGE_NAME = "evaluation.md"


def write_folder(folder: Path, record: EvaluationRecord, answers: dict[str, Answers]) -> EvaluationRecord:
    """The record as it is on the disk. Without matplotlib there is no plot. Raises OSError or RecordError."""
    record = write_evaluation(folder, record, answers)
    if figures_available():
        write_reliability(folder, record)
    write_atomically(folder / PAGE_NAME, page_text(folder, record).encode())
    return record


def page_text(folder: Path, record: EvaluationRecord) -> str:
    """The text of the page. It shows the plot if that is there."""
    return markdown(evaluation_document(record, figure=(folder / f"{FIGURE_NAME}.svg").exists()))
