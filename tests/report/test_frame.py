"""repro.report.frame: records as a data frame."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

import msgspec
import pandas as pd
import pytest
from report_records import make_record, make_spec

from repro.report.frame import csv_text, frame_of

SPEC = make_spec()


def _placed(*records):
    return [(PurePosixPath(f"runs/{i}/run.json"), record) for i, record in enumerate(records)]


def test_one_row_per_run_and_split():
    records = [make_record(SPEC, seed=seed, accuracy=0.5 + seed / 10) for seed in (0, 1)]
    frame = frame_of(_placed(*records))
    of_test = frame[frame["split"] == "test"]
    assert list(of_test["seed"]) == [0, 1]
    assert list(of_test["accuracy"]) == pytest.approx([0.5, 0.6])
    assert len(frame) == sum(len(record.metrics) for record in records)


def test_a_failed_run_is_a_row_without_figures():
    frame = frame_of(_placed(make_record(SPEC, status="failed", metrics={})))
    assert list(frame["status"]) == ["failed"]
    assert all(frame["accuracy"].isna())


def test_no_records_give_the_columns():
    frame = frame_of([])
    assert len(frame) == 0
    assert "accuracy" in frame.columns


def test_csv_round_trips_and_does_not_depend_on_order():
    placed = _placed(make_record(SPEC, seed=1), make_record(SPEC, seed=0))
    text = csv_text(frame_of(placed))
    assert text == csv_text(frame_of(reversed(placed)))
    assert list(pd.read_csv(io.StringIO(text))["seed"].unique()) == [1, 0]


def test_a_spreadsheet_takes_no_cell_for_a_formula():
    record = make_record(SPEC)
    hostile = msgspec.structs.replace(record, device=msgspec.structs.replace(record.device, name="=cmd|' /C calc'!A0"))
    rows = list(csv.DictReader(io.StringIO(csv_text(frame_of(_placed(hostile))))))
    assert rows and all(not cell.startswith("=") for row in rows for cell in row.values())
    assert rows[0]["device_name"] == "'=cmd|' /C calc'!A0"
