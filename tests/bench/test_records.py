"""repro.bench.records: what is written is read again, and what is not a record is named; ratios of rounds."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from bench_workload import CPU, candidate, make_duel, make_record, timing

from repro.bench.records import (
    Axis,
    Growth,
    GrowthPoint,
    ImportComparison,
    Way,
    bench_path,
    find_bench,
    read_bench,
    write_bench,
)
from repro.runs.record_files import RecordError, RecordWarning
from repro.runs.records import Device


def test_a_record_comes_back_as_it_was(tmp_path):
    record = make_record(make_duel([3000.0, 2900.5], [1500.0, 1400.25], disturbed=1))
    path = write_bench(tmp_path, record)
    assert path == tmp_path / "bench" / "cpu-test-7-2-cores" / "teta2022-train.json"
    assert read_bench(path) == record
    assert list(find_bench(tmp_path)) == [record]
    assert not list(path.parent.glob(".*")), "nothing temporary is left"


def test_a_comparison_done_again_replaces_its_record(tmp_path):
    write_bench(tmp_path, make_record(make_duel([1.0], [1.0])))
    write_bench(tmp_path, make_record(make_duel([4.0], [1.0])))
    write_bench(tmp_path, make_record(make_duel([5.0], [1.0]), what="predict"))
    ratios = [r.comparison.hardest.ratio for r in find_bench(tmp_path) if r.comparison and r.comparison.hardest]
    assert ratios == [5.0, 4.0]


def test_floats_are_shortened(tmp_path):
    path = write_bench(tmp_path, make_record(make_duel([1234.56789012], [1.0 / 3])))
    rounds = json.loads(path.read_text())["comparison"]["duels"][0]["rounds"]
    assert (rounds[0]["own"]["images_per_s"], rounds[0]["rival"]["images_per_s"]) == (1234.57, 0.333333)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 99}, "format is 99, this version reads 1"),
        ({"what": "import"}, r"a record of `import` holds imported, this one \['comparison'\]"),
        ({"what": "serve"}, "Invalid enum value 'serve'"),
        ({"shoe_size": 43}, "unknown field `shoe_size`"),
        ({"threads": "two"}, "Expected `int`, got `str` - at `\\$.threads`"),
    ],
)
def test_a_wrong_record_is_named_with_the_mistake(tmp_path, change, told):
    path = write_bench(tmp_path, make_record(make_duel([1.0], [1.0])))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError, match=told) as caught:
        read_bench(path)
    assert str(caught.value).startswith(f"{path}: not a bench record") and "measure again" in str(caught.value)


def test_a_record_that_is_cut_off(tmp_path):
    path = write_bench(tmp_path, make_record(make_duel([1.0], [1.0])))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(RecordWarning, match=f"left out: .*{path.name}"):
        assert list(find_bench(tmp_path)) == []


def test_ratios_are_of_the_same_round_and_their_median_counts():
    # The machine slows down by two in the last round; both feel it.
    met = make_duel([300.0, 330.0, 150.0], [200.0, 200.0, 100.0])
    assert [r.ratio for r in met.rounds] == [1.5, 1.65, 1.5]
    assert (met.ratio, met.ratio_range) == (1.5, (1.5, 1.65))
    assert (met.own_images_per_s, met.rival_images_per_s) == (300.0, 200.0)


def test_the_best_rival_is_the_one_with_the_lowest_ratio():
    near, far = make_duel([3.0], [2.0]), make_duel([4.0], [1.0], rival=candidate("keras", "jit"))
    record = make_record(far, near)
    assert record.comparison and record.comparison.hardest == near


def test_the_machine_names_a_kind_and_no_host():
    record = make_record(make_duel([1.0], [1.0]))
    assert record.machine == "cpu-test-7-2-cores"
    gpu = msgspec.structs.replace(record, device=Device(kind="gpu", name="NVIDIA H200", count=2, host_cores=16))
    assert gpu.machine == "gpu-2x-nvidia-h200-16-cores"
    assert bench_path(Path("results"), gpu) == Path("results/bench/gpu-2x-nvidia-h200-16-cores/teta2022-train.json")


def test_files_are_named_by_paper_kind_and_precision():
    record = make_record(make_duel([1.0], [1.0]), what="predict")
    assert record.file_name == "teta2022-predict.json"
    assert record.comparison
    halved = msgspec.structs.replace(record.comparison, precision="bfloat16")
    assert msgspec.structs.replace(record, comparison=halved).file_name == "teta2022-predict-bfloat16.json"
    way = Way(name="x", timings=(timing(1.0),), peak_memory_bytes=1)
    imported = ImportComparison(file_bytes=1, own=way, idioms=(way,), cached=way)
    assert make_record(what="import", imported=imported).file_name == "fer2013-import.json"
    growth = Growth(
        paper="tiny", seconds=1.0, axes=(Axis(name="images", batch_size=8, points=(GrowthPoint(value=1),)),)
    )
    assert make_record(what="growth", growth=growth, device=CPU).file_name == "tiny-growth.json"


def test_import_ratios_pair_the_rounds():
    ours = Way(name="own", timings=(timing(1, elapsed_s=1.0), timing(1, elapsed_s=2.0)), peak_memory_bytes=1)
    slow = Way(name="slow", timings=(timing(1, elapsed_s=4.0), timing(1, elapsed_s=4.0)), peak_memory_bytes=1)
    quick = Way(name="quick", timings=(timing(1, elapsed_s=2.0), timing(1, elapsed_s=3.0)), peak_memory_bytes=1)
    imported = ImportComparison(file_bytes=1, own=ours, idioms=(slow, quick), cached=ours)
    assert imported.best_idiom is quick
    assert (ours.ratios(slow), ours.ratios(quick)) == ((4.0, 2.0), (2.0, 1.5))
