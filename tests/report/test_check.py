"""repro.report.folder: the check that finds a file which the records do not give, and what the command prints."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_records import headline, make_record, make_spec, placed

from repro.cli.main import main
from repro.report.folder import CSV_NAME, REPORT_NAME, check_report, write_report
from repro.runs.stored_records import write_record


def write_all(results: Path, records: list) -> None:
    for path, record in placed(*records):
        write_record(results / path.parent, record)


def test_check_finds_a_changed_digit_and_a_new_record(tmp_path):
    spec = make_spec(claims=(headline(),))
    write_all(tmp_path, [make_record(spec, accuracy=0.604)])
    assert any("60.4 %" in line for line in check_report(tmp_path, [spec])), "no table yet: all of it is missing"
    written = write_report(tmp_path, [spec])
    path, table = tmp_path / REPORT_NAME, tmp_path / CSV_NAME
    assert {path, table} < set(written)
    assert check_report(tmp_path, [spec]) == []

    current = path.read_text(encoding="utf-8")
    path.write_text(current.replace("60.4 % (n = 1)", "61.4 % (n = 1)", 1), encoding="utf-8")
    changed = [line for line in check_report(tmp_path, [spec]) if line[0] in "+-" and "someone2020" in line]
    assert [("61.4 %" in line, "60.4 %" in line) for line in changed] == [(True, False), (False, True)]

    path.write_text(current, encoding="utf-8")
    table.write_text(table.read_text(encoding="utf-8").replace("0.604000", "0.614000"), encoding="utf-8")
    assert any("0.614000" in line for line in check_report(tmp_path, [spec]))
    write_all(tmp_path, [make_record(spec, seed=1, accuracy=0.62)])
    assert any("61.2 ± 1.1 % (n = 2)" in line for line in check_report(tmp_path, [spec]))


def test_a_broken_record_is_named_and_stops_nothing(tmp_path):
    broken = tmp_path / "runs" / "x" / "run.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"format": 1}')
    assert any("runs/x/run.json: not a run record" in line for line in check_report(tmp_path, []))


def test_json_and_csv_are_printed_and_nothing_is_written(tmp_path):
    def printed(*words: str) -> str:
        result = CliRunner().invoke(main, ["report", "--results", str(tmp_path), *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    pages = json.loads(printed("--json"))
    assert {"RESULTS.md", "teta2022.md"} <= set(pages)
    rows = list(csv.reader(io.StringIO(printed("--csv"))))
    assert rows[0] == ["Paper", "Reported", "As published", "Without overlap", "Verdict"]
    assert ["teta2022", "0.98", "not run", "\u2014", "open: not run"] in rows
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("--check", "--json"), ("--json", "--csv"), ("--csv", "--html", "x.html")])
def test_what_writes_nothing_takes_no_option_that_writes(tmp_path, words):
    result = CliRunner().invoke(main, ["report", "--results", str(tmp_path), *words])
    assert result.exit_code == 2 and not (tmp_path / "x.html").exists()
