"""repro.report.tables: which runs stand in which table, and with which figure."""

from __future__ import annotations

import msgspec
from report_records import cells, data, headline, make_record, make_spec, metrics, placed, report_text

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.judge.groups import settings_now
from repro.runs.records import Overrides


def section(text: str, start: str, end: str) -> str:
    after = text.split(f"\n{start}", 1)[1]
    return after.split(f"\n{end}", 1)[0]


def test_runs_with_a_fault_put_in_stand_apart():
    spec = make_spec(claims=(headline(),))
    name = "suspect-evaluated-on-training-rows"
    faulty = make_record(spec, accuracy=0.97, protocol=name, spec_sha256=settings_now(spec, "default", name))
    text = report_text([spec], placed(make_record(spec, accuracy=0.6), faulty))
    assert "97.0 %" not in section(text, "## The papers", "## Protocol errors put in")
    (row,) = cells(section(text, "## Protocol errors put in", "## "), holding="`default`")
    assert row[1:4] == ["evaluated on training rows", "61 %", "97.0 % (n = 1)"]
    alone = report_text([spec], placed(faulty))
    (row,) = cells(section(alone, "## The papers", "## "), holding="someone2020")
    assert row[2] == "not run", "a suspect alone is no run of the paper"
    assert "## Protocol errors put in" not in report_text([spec], placed(make_record(spec)))


def test_a_corrected_run_is_shown_with_the_split_that_is_reported():
    spec = make_spec(claims=(headline(split="validation"),))
    both = {"validation": metrics(0.7), "test": metrics(0.4)}
    clean = make_record(spec, protocol="clean", spec_sha256=settings_now(spec, "default", "clean"), metrics=both)
    text = report_text([spec], placed(clean))
    (row,) = cells(section(text, "## Every variant", "## "), holding="`default`")
    assert (row[1], row[3]) == ("accuracy, test", "40.0 % (n = 1)")


def test_runs_that_relied_on_another_search_for_duplicates_are_outdated():
    spec = make_spec(claims=(headline(),))
    known = msgspec.structs.replace(data(), duplicates_version=DUPLICATES_VERSION)
    older = msgspec.structs.replace(data(), duplicates_version=DUPLICATES_VERSION - 1)
    for found, shown in ((known, True), (older, False)):
        text = report_text([spec], placed(make_record(spec, accuracy=0.6, data=found)))
        assert ("60.0 % (n = 1)" in section(text, "## The papers", "## ")) is shown
        assert ("**outdated**" in text) is not shown


def test_a_record_taken_over_from_another_protocol_says_so():
    spec = make_spec()
    text = report_text([spec], placed(make_record(spec, same_run_as="official")))
    (row,) = cells(section(text, "## Runs", "## "), holding="seed-0")
    assert row[2] == "done, the same run as official"


def test_a_pruned_trial_is_a_row_and_no_measurement():
    spec = make_spec(claims=(headline(),))
    short = Overrides(settings=("training.batch_size=8",))
    pruned = make_record(spec, accuracy=0.123, status="pruned", error="pruned: below the median", overrides=short)
    text = report_text([spec], placed(make_record(spec, accuracy=0.6), pruned))
    row = cells(section(text, "## Runs", "## "), holding="pruned")
    assert len(row) == 1 and "12.3 %" not in section(text, "## The papers", "## Runs")
