"""`repro status`: every state from files alone, as text and as JSON."""

from __future__ import annotations

import json

from click.testing import CliRunner
from report_records import make_record, make_spec
from results_folders import write_results

from repro.cli.main import main
from repro.report.run_status import ranges_text, status_document
from repro.runs.asked_runs import asked_for
from repro.runs.claim import RunClaim, take
from repro.runs.status import run_statuses
from repro.text.terminal import terminal

PLACE = "someone2020/default/cpu/as-published/fer2013-ab12cd34"


def begun(folder, epoch):
    (folder / "checkpoints" / "last" / str(epoch)).mkdir(parents=True)
    (folder / "checkpoints" / "identity.json").write_text("{}")


def test_every_state(tmp_path):
    loaded = make_spec()
    failed = make_record(loaded, seed=2, status="failed", error="out of memory")
    records = [make_record(loaded, seed=0), make_record(loaded, seed=1), failed]
    results = write_results(tmp_path / "results", *records)
    runs = results / "runs" / PLACE
    begun(runs / "seed-3", 4)
    begun(runs / "seed-4", 2)
    (runs / "seed-7").mkdir()
    (runs / "seed-7" / "run.json").write_text("{")
    (runs / "seed-1-before-1234abcd").mkdir()
    claim = take(runs / "seed-3")
    assert isinstance(claim, RunClaim)
    claim.progress(5, 50, 1234.4, 61.0)
    claim._write()
    with asked_for(results, [runs / f"seed-{seed}" for seed in (0, 5, 6)]):
        found = run_statuses(results)
        shown = CliRunner().invoke(main, ["status", "--results", str(results), "--json"])
    claim.release()
    states = {one.seed: one.state for one in found}
    assert states == {
        0: "done", 1: "done", 2: "failed", 3: "running", 4: "stopped", 5: "waiting", 6: "waiting", 7: "unreadable",
    }  # fmt: skip
    entries = {entry["run"].rpartition("-")[2]: entry for entry in json.loads(shown.stdout)}
    assert entries["3"] | {"host": "", "process": 0, "since": ""} == {
        "run": f"{PLACE}/seed-3", "state": "running", "epoch": 5, "epochs": 50, "images_per_s": 1234.4, "left_s": 61.0,
        "host": "", "process": 0, "since": "",
    }  # fmt: skip
    text = terminal(status_document(results, found))
    for part in ("5 of 50", "1,234 images/s, 0:01:01 left", "out of memory", "resumes it", "5, 6", "0, 1"):
        assert part in text, part
    assert "1 running, 2 waiting, 1 stopped, 1 failed, 1 unreadable, 2 done" in text


def test_seeds_are_named_in_ranges():
    assert ranges_text([4, 0, 1, 2, 7, 8]) == "0 to 2, 4, 7, 8"


def test_no_results_folder_and_no_runs(tmp_path):
    missing = CliRunner().invoke(main, ["status", "--results", str(tmp_path / "none")])
    assert missing.exit_code == 2 and "no such folder" in missing.stderr
    empty = CliRunner().invoke(main, ["status", "--results", str(tmp_path)])
    assert empty.exit_code == 0 and "no runs" in empty.stdout
    both = CliRunner().invoke(main, ["status", "--results", str(tmp_path), "--json", "--watch"])
    assert both.exit_code == 2 and "--watch shows text" in both.stderr
