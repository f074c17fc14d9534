"""repro.explain.existing: which runs are those of a protocol now, and where."""

from __future__ import annotations

import msgspec
import pytest
from explain_runs import paper, run_of, write_runs
from report_records import GPU, data

from repro.explain.existing import known_runs
from repro.runs.folders import record_folder
from repro.runs.record_files import RecordWarning
from repro.runs.stored_records import write_record
from repro.specs.protocols import AS_PUBLISHED, CLEAN

THREE = (0.45, 0.46, 0.47)


def test_the_place_with_most_clean_runs_is_chosen_unless_one_is_named(tmp_path):
    spec = paper()
    write_runs(tmp_path, spec, {CLEAN: THREE[:2], AS_PUBLISHED: THREE})
    for seed, value in enumerate(THREE):
        record = msgspec.structs.replace(run_of(spec, CLEAN, seed, value), device=GPU)
        write_record(record_folder(tmp_path, record), record)
    assert {r.device.kind for r in known_runs(tmp_path, spec, "default").records} == {"gpu"}
    cpu = known_runs(tmp_path, spec, "default", device="cpu")
    assert len(cpu.of(CLEAN)) == 2 and len(cpu.of(AS_PUBLISHED)) == 3
    assert known_runs(tmp_path, spec, "default", fingerprint="another").records == ()


def test_a_record_that_cannot_be_read_is_left_out(tmp_path):
    spec = paper()
    write_runs(tmp_path, spec, {CLEAN: THREE})
    first, *_ = sorted(tmp_path.rglob("run.json"))
    first.write_bytes(b"{")
    with pytest.warns(RecordWarning, match=f"left out: {first}: not a run record"):
        found = known_runs(tmp_path, spec, "default")
    assert len(found.of(CLEAN)) == 2


def test_synthetic_runs_count_only_if_their_data_are_named(tmp_path):
    spec = paper()
    record = msgspec.structs.replace(run_of(spec, AS_PUBLISHED, 0, 0.5), data=data(synthetic=True))
    write_record(record_folder(tmp_path, record), record)
    assert known_runs(tmp_path, spec, "default").records == ()
    assert len(known_runs(tmp_path, spec, "default", fingerprint="5" * 10).records) == 1


def test_minutes_come_from_runs_that_were_trained(tmp_path):
    spec = paper()
    assert known_runs(tmp_path, spec, "default").minutes_per_run is None
    write_runs(tmp_path, spec, {AS_PUBLISHED: THREE})
    assert known_runs(tmp_path, spec, "default").minutes_per_run == 44 / 60
