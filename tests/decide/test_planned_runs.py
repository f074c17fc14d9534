"""`repro plan --all`: what would run, without running it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tiny_paper import write_tiny

from repro.cli.main import main
from repro.runs.claim import RunClaim, take
from repro.runs.stored_records import read_record


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 400)
    paper = write_tiny(tmp_path)

    def invoke(command, *words):
        given = [command, str(paper), *words, "--results", str(tmp_path / "results"), "--data", "synthetic"]
        return CliRunner().invoke(main, [*given, "--device", "cpu"])

    return invoke


def test_what_is_done_running_and_to_do(call, tmp_path):
    assert call("run", "--seed", "0").exit_code == 0
    (done,) = (tmp_path / "results").rglob("run.json")
    claim = take(done.parent.with_name("seed-2"))
    assert isinstance(claim, RunClaim)
    shown = call("plan", "--all", "--seeds", "4", "--json")
    text = call("plan", "--all", "--seeds", "4", "--protocol", "all")
    claim.release()
    assert shown.exit_code == 0, shown.output
    (entry,) = json.loads(shown.stdout)
    assert entry["seeds"] == {"0": "done", "1": "absent", "2": "running", "3": "absent"}
    record = read_record(done)
    assert entry["run_s"] == pytest.approx(record.time.without_pauses_s) and entry["of_these_settings"]
    assert entry["to_do_s"] == pytest.approx(2 * entry["run_s"]) and entry["parameters"] == record.parameters
    assert "1 done, 2 to run, 1 running" in text.stdout and "about " in text.stdout, text.stdout
    assert not (tmp_path / "results" / "queue").exists()


def test_options_that_choose_runs_are_for_a_list_of_runs(call):
    without = CliRunner().invoke(main, ["plan"])
    assert without.exit_code == 2 and "name a PAPER, or give --all" in without.stderr
    refused = call("plan", "--seeds", "3")
    assert refused.exit_code == 2 and "--seeds, " in refused.stderr and "only with --all" in refused.stderr
