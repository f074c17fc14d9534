"""The committed results, and folders with chosen records."""

from __future__ import annotations

from pathlib import Path

from report_records import placed

from repro.runs.records import RunRecord
from repro.runs.stored_records import write_record

RESULTS = Path(__file__).parents[1] / "results"


def write_results(folder: Path, *records: RunRecord) -> Path:
    for path, record in placed(*records):
        write_record(folder / path.parent, record)
    return folder
