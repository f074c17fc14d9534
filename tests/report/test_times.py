"""repro.report.times: the documents' times beside ours, each against arithmetic by hand."""

from __future__ import annotations

from report_records import CPU, GPU, cells, claim, headline, make_record, make_spec, placed, report_text


def time_of(id, hours, epoch, device):
    return claim(
        id, value=hours, unit="h", resolution=0.001, split="", epoch=epoch, device=device, hardware=f"A {device}"
    )


TABLE_I = make_spec(
    claims=(
        headline(),
        claim("accuracy-2", value=0.4, epoch=2),
        time_of("cpu-2", 1.0, 2, "cpu"),
        time_of("cpu-4", 2.2, 4, "cpu"),
        time_of("gpu-2", 0.5, 2, "gpu"),
        time_of("gpu-4", 1.0, 4, "gpu"),
        claim("speedup-4", value=2.2, unit="1", resolution=0.1, split="", epoch=4),
    )
)


def test_the_fastest_of_the_runs_counts():
    # Two epochs of 10 s, or 34 s, of training and 1 s of evaluation each: 22 s and 70 s. 3,600 s / 22 s = 163.6.
    runs = [make_record(TABLE_I, seed=0, epoch_s=34.0), make_record(TABLE_I, seed=1, epoch_s=10.0)]
    report = report_text([TABLE_I], placed(*runs))
    assert cells(report, holding="`default`, 2 epochs") == [
        ["`default`, 2 epochs", "cpu: A cpu", "1.000 h", "22.0 s (n = 2)", "164", "cpu: Test CPU"],
        ["`default`, 2 epochs", "gpu: A gpu", "0.500 h", "not run", "—", "—"],
    ]


def test_the_document_s_table_with_ours_beside_it():
    runs = [make_record(TABLE_I, accuracy=0.5), make_record(TABLE_I, accuracy=0.52, device=GPU, epoch_s=1.0)]
    report = report_text([TABLE_I], placed(*runs))
    rebuilt = report.split("### The paper's table of times, rebuilt")[1].split("\n## ")[0]
    assert cells(rebuilt, holding="| 4 |")[0] == [
        *("4", "2.200 h", "44.0 s", "1.000 h", "8.0 s"),  # 4 x (10 + 1) s, 4 x (1 + 1) s
        *("2.2", "5.50 (n = 1 cpu, 1 gpu)", "61 %", "51.0 ± 1.4 % (n = 2)"),
    ]
    assert cells(rebuilt, holding="| 2 |")[0][-2:] == ["40 %", "49.0 ± 1.4 % (n = 2)"]
    assert "Paper: cpu: A cpu; gpu: A gpu. Here: cpu: Test CPU; gpu: Test GPU." in rebuilt


def test_a_run_that_was_shortened_before_the_epoch_gives_no_time():
    run = make_record(TABLE_I, status="partial", epochs=2)
    report = report_text([TABLE_I], placed(run))
    assert cells(report, holding="`default`, 2 epochs")[0][3:5] == ["22.0 s (n = 1, **partial**)", "164"]
    assert cells(report, holding="`default`, 4 epochs")[0][3:5] == ["not run", "—"]


def test_no_section_where_no_document_gives_a_time():
    paper = make_spec(claims=(headline(),))
    assert "## Times" not in report_text([paper], placed(make_record(paper)))


def test_hardware_of_this_suite_is_named_where_nothing_ran():
    assert "Here: not run." in report_text([TABLE_I], placed())
    assert CPU.name not in report_text([TABLE_I], placed())
