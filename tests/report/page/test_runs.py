"""repro.report.page.runs: what the record of a run says on the page."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from report_records import GPU, data, headline, make_record, make_spec

from repro.report.page.runs import run_details, run_id
from repro.runs.records import RunRecord
from repro.runs.stored_records import write_record

PATH = PurePosixPath("runs/someone2020/default/cpu/as-published/fer2013-ab12cd34/seed-0/run.json")


def facts(record: RunRecord, results: Path = Path("nowhere")) -> dict[str, str]:
    return dict(run_details(results, PATH, record).facts)


def test_a_run_tells_its_figures_its_machine_and_its_times():
    record = make_record(make_spec(claims=(headline(),)), accuracy=0.5, command="repro run someone2020")
    told = facts(record)
    assert told["Accuracy, test"] == "50.0 % of 100 samples; loss 1.0000"
    assert told["Device"] == "cpu: Test CPU, 2 cores of the host"
    assert told["Load average"] == "0.1 before the start, 2.0 before the end, on 2 cores"
    assert told["Time"].startswith("44.0 s in all: ") and "training 40.0 s" in told["Time"]
    assert told["Versions"] == "jax 0.10.2" and "commit 01234567" in told["Code"]
    assert told["Command"] == "repro run someone2020"
    assert told["When"] == "not recorded to not recorded"


def test_a_failed_run_tells_why_and_a_synthetic_one_says_so():
    spec = make_spec(claims=(headline(),))
    failed = make_record(spec, status="failed", error="the loss is not finite", failed_step=1200, metrics={})
    details = run_details(Path("nowhere"), PATH, failed)
    assert details.failed and details.facts[0] == ("Error", "the loss is not finite (step 1,200)")
    assert not any(name.startswith("Accuracy") for name, _ in details.facts)
    drawn = run_details(Path("nowhere"), PATH, make_record(spec, data=data(synthetic=True), device=GPU))
    assert drawn.title == "synthetic faces, default, as-published, gpu, seed 0: done"


def test_only_files_that_are_there_are_named(tmp_path: Path):
    record = make_record(make_spec(claims=(headline(),)))
    assert run_details(tmp_path, PATH, record).files == ()
    write_record(tmp_path / PATH.parent, record)
    assert run_details(tmp_path, PATH, record).files == ("run.json",)


def test_runs_of_different_places_have_different_ids():
    ids = {
        run_id(PurePosixPath(f"runs/a/{variant}/cpu/clean/x/seed-{seed}/run.json")) for variant in "bc" for seed in "01"
    }
    assert len(ids) == 4
    assert run_id(PATH) == "run-someone2020-default-cpu-as-published-fer2013-ab12cd34-seed-0"
