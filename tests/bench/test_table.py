"""repro.bench.table: BENCH.md from records, and the check that finds a table which the records do not give."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from bench_workload import candidate, make_duel, make_record, timing
from click.testing import CliRunner

from repro.bench.records import (
    AuditComparison,
    AuditWay,
    Axis,
    Growth,
    GrowthPoint,
    ImportComparison,
    LearningAgreement,
    Way,
    write_bench,
)
from repro.bench.table import BENCH_NAME, render_bench, render_bench_folder, target_text
from repro.cli.main import main
from repro.report.folder import check_report, write_report
from repro.runs.records import Device
from repro.text.markdown import inline


def rows(text: str, start: str) -> list[list[str]]:
    """The cells of the first table behind a heading."""
    lines = text.split(f"\n{start}\n", 1)[1].splitlines()
    table = []
    for line in lines:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").replace("\\|", "\0").split("|")])
        elif table:
            break
    return table[2:]


def changed(record: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(record, **fields)


def compared(record: Any, **fields: Any) -> Any:
    return changed(record, comparison=changed(record.comparison, **fields))


def test_a_row_of_training():
    keras = make_duel(
        [4000.0], [1000.0], rival=candidate("keras", "jit", versions={"keras": "3.15", "tensorflow": "2"})
    )
    torch = candidate(
        "torch",
        "compile",
        batch_size=64,
        compile_s=20.04,
        peak_memory_bytes=700 << 20,
        versions={"torch": "2.13", "x": "1"},
    )
    met = make_duel([3000.0, 3100.0, 2900.0], [2000.0, 2000.0, 2000.0], rival=torch, disturbed=1)
    text = render_bench([make_record(keras, met)])
    assert rows(text, "### Training") == [
        [
            "teta2022",
            "32",
            "3,000",
            "torch compile (torch 2.13)",
            "64",
            "2,000",
            "1.50 (1.45 to 1.55, n = 3; 1 disturbed)",
            "1.3, met",
            "30%, 20%",  # 3,000 x 10 million multiply-adds x 2 = 60 of 200 GFLOP/s
            "300, 700",
            "1.5, 20.0",
        ]
    ]
    assert [row[2:] for row in rows(text, "### Every duel")] == [
        ["torch compile (torch 2.13), batch 64", "3,000", "2,000", "1.50 (1.45 to 1.55, n = 3; 1 disturbed)"],
        ["keras jit (keras 3.15, tensorflow 2), batch 32", "4,000", "1,000", "4.00 (4.00 to 4.00, n = 1)"],
    ]
    assert "## CPU: Test(R) CPU 7 Processor @ 2 GHz, 2 cores" in text
    assert "`repro bench teta2022`" in text and "bench/cpu-test-7-2-cores/teta2022-train.json" in text


def test_every_mode_and_why_one_failed():
    text = render_bench([make_record(make_duel([3.0], [2.0]))])
    assert rows(text, "### Every mode, as scouted") == [
        ["teta2022", "train", "own default", "32", "3,000", "1.5", ""],
        ["teta2022", "train", "torch compile", "32", "2,100", "1.5", ""],
        ["teta2022", "train", "torch eager", "32", "—", "—", "failed: RuntimeError: no \0 luck"],
    ]
    assert "- teta2022: torch learns as ours does: 0.01 apart, 0.05 allowed" in text


def test_a_rival_that_learns_otherwise_is_told():
    odd = LearningAgreement(rival="keras", key="k", agrees=False, summary="0.4 apart", figures={})
    text = render_bench([compared(make_record(make_duel([3.0], [2.0])), agreements=(odd,))])
    assert "- teta2022: keras **does not learn as ours does** and was not timed: 0.4 apart" in text


@pytest.mark.parametrize(
    ("paper", "what", "kind", "ours", "target"),
    [
        ("onghena", "train", "cpu", 1.2999, "1.3, **missed**"),
        ("onghena", "train", "cpu", 1.3, "1.3, met"),
        ("basani2017", "predict", "cpu", 1.19, "1.2, **missed**"),
        ("basani2017", "train", "gpu", 2.5, "3, **missed**"),
        ("onghena", "train", "gpu", 1.25, "1.2, met"),
        ("onghena", "predict", "gpu", 0.5, "—"),
        ("mine", "train", "cpu", 0.5, "1.3, **missed**"),
    ],
)
def test_targets(paper, what, kind, ours, target):
    record = make_record(make_duel([ours], [1.0]), paper=paper, what=what)
    record = changed(record, device=Device(kind=kind, name="A chip", count=1, host_cores=2))
    text = render_bench([record])
    assert rows(text, "### Training" if what == "train" else "### Prediction")[0][7] == target


def test_a_target_is_judged_before_rounding():
    assert inline(target_text(1.3, 1.2996)) == "1.3, **missed**"


def test_synthetic_faces_and_precision_are_marked():
    record = make_record(make_duel([3.0], [2.0]))
    synthetic = changed(record, data=changed(record.data, synthetic=True))
    assert rows(render_bench([synthetic]), "### Training")[0][0] == "teta2022, **SYNTHETIC** faces"
    gpu = changed(record, device=Device(kind="gpu", name="NVIDIA H200", count=1, host_cores=16))
    assert rows(render_bench([compared(gpu, precision="tensorfloat32")]), "### Training")[0][0] == (
        "teta2022, tensorfloat32"
    )


def test_a_gpu_shows_its_own_memory():
    own = candidate("own", device_memory_bytes=5 << 20)
    met = changed(make_duel([3.0], [2.0]), own=own)
    assert rows(render_bench([make_record(met)]), "### Training")[0][9] == "5, 300"


def test_one_section_per_machine_in_any_order():
    record = make_record(make_duel([3.0], [2.0]))
    records = [
        record,
        make_record(make_duel([3.0], [2.0]), what="predict"),
        make_record(make_duel([3.0], [2.0]), paper="onghena"),
        changed(record, device=Device(kind="gpu", name="NVIDIA H200", count=1, host_cores=16)),
    ]
    text = render_bench(records)
    assert text.count("\n## ") == 2 and text.count("\n### Training") == 2
    assert [row[0] for row in rows(text, "### Training")] == ["onghena", "teta2022"]
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert render_bench(records) == text


def test_import():
    def way(name: str, *seconds: float) -> Way:
        return Way(name=name, timings=tuple(timing(1.0, s) for s in seconds), peak_memory_bytes=100 << 20)

    imported = ImportComparison(
        file_bytes=3 << 20,
        own=way("read_faces", 1.0, 1.1, 0.9),
        idioms=(way("slow", 8.0, 8.0, 8.0), way("quick", 1.4, 1.4, 1.4)),
        cached=way("cached", 0.05, 0.2, 0.05),
    )
    text = render_bench([make_record(what="import", imported=imported)])
    assert rows(text, "### Reading fer2013.csv") == [
        ["read_faces", "1.000 (0.900 to 1.100, n = 3)", "8,192", "100", "—", ""],
        ["cached", "0.050 (0.050 to 0.200, n = 3)", "163,840", "100", "—", "under 0.1 s, met"],
        ["slow", "8.000 (8.000 to 8.000, n = 3)", "1,024", "100", "8.00 (7.27 to 8.89)", ""],
        ["quick", "1.400 (1.400 to 1.400, n = 3)", "5,851", "100", "1.40 (1.27 to 1.56)", "1.5, **missed**"],
    ]


def test_audit():
    def way(name: str, pairs: int, of_ours: int, *seconds: float) -> AuditWay:
        timings = tuple(timing(1.0, s) for s in seconds)
        return AuditWay(name=name, timings=timings, peak_memory_bytes=100 << 20, pairs=pairs, pairs_of_ours=of_ours)

    audited = AuditComparison(own=way("ours", 4000, 4000, 8.0, 8.0), others=(way("hash", 1500, 1000, 2.0, 4.0),))
    record = make_record(what="audit", audited=audited)
    assert record.file_name == "fer2013-audit.json"
    assert rows(render_bench([record]), "### Searching for duplicates") == [
        ["ours", "8.000 (8.000 to 8.000, n = 2)", "1,024", "100", "—", "4,000", "—"],
        ["hash", "3.000 (2.000 to 4.000, n = 2)", "2,731", "100", "0.38 (0.25 to 0.50)", "1,500", "1,000 (25%)"],
    ]


def test_growth():
    point = GrowthPoint(
        value=8, train=timing(1500.0), predict=timing(4000.0), compile_s=2.0, peak_memory_bytes=300 << 20
    )
    large = GrowthPoint(value=1_000_000, error="needs 9 GiB, 5 GiB are free")
    growth = Growth(
        paper="teta2022",
        seconds=2.0,
        axes=(
            Axis(name="batch_size", batch_size=32, points=(point,)),
            Axis(name="images", batch_size=32, points=(changed(point, value=1000, predict=None), large)),
            Axis(name="devices", batch_size=32, points=()),
        ),
    )
    text = render_bench([make_record(what="growth", growth=growth)])
    assert rows(text, "### How cost grows") == [["8", "1,500", "4,000", "300", "2.0", ""]]
    assert "| 1,000,000 | — | — | — | needs 9 GiB, 5 GiB are free |" in text
    assert "Devices" not in text and "Batches of 32. Beyond the samples" in text


def test_nothing_measured_makes_no_file(tmp_path):
    assert render_bench_folder(tmp_path) == {}
    assert BENCH_NAME not in {path.name for path in write_report(tmp_path, [])}
    assert check_report(tmp_path, []) == []


def test_the_check_finds_an_edited_and_a_left_table(tmp_path):
    record = make_record(make_duel([3000.0], [2000.0]))
    path = write_bench(tmp_path, record)
    assert tmp_path / BENCH_NAME in write_report(tmp_path, [])
    assert check_report(tmp_path, []) == []
    table = tmp_path / BENCH_NAME
    text = table.read_text()
    table.write_text(text.replace("1.50 (", "2.50 (", 1))
    assert any(line.startswith("-") and "2.50 (" in line for line in check_report(tmp_path, []))
    table.write_text(text)
    path.unlink()
    assert any("1.50 (" in line for line in check_report(tmp_path, []))


def test_a_broken_record_is_named_and_stops_nothing(tmp_path):
    path = write_bench(tmp_path, make_record(make_duel([3000.0], [2000.0])))
    path.write_text("{}")
    result = CliRunner().invoke(main, ["report", "--results", str(tmp_path)])
    assert result.exit_code == 0
    named = f"{path.relative_to(tmp_path)}: not a bench record"
    assert named in (tmp_path / "RESULTS.md").read_text().replace("\\", "")
