"""repro.report: the rendered tables."""

from __future__ import annotations

import random

import msgspec
from report_records import (
    CPU,
    GPU,
    cells,
    claim,
    data,
    headline,
    make_record,
    make_spec,
    placed,
    report_pages,
    report_text,
)

from fer_jax import TRAINING_VERSION
from fer_jax.vocabulary.settings import PRECISIONS
from repro.runs.records import Device, Overrides

LEAKY = {"flag": "likely train/test leakage", "flag_reason": "Copies are made | before the split."}


def main_rows(text: str, *, holding: str = "") -> list[list[str]]:
    rows = cells(section(text, "## Every variant, protocol and device", "## "), holding=holding)
    return rows[0 if holding else 2 :]


def section(text: str, start: str, end: str) -> str:
    after = text.split(f"\n{start}", 1)[1]
    return after.split(f"\n{end}", 1)[0]


def test_a_paper_without_runs_is_a_row():
    text = report_text([make_spec(claims=(headline(),))], [])
    assert main_rows(text) == [["`default`", "accuracy, test", "61 %", *["—"] * 6, "not run"]]
    assert cells(section(text, "## Claims", "## "), holding="`main`")[0][4] == "not run"
    assert text.endswith("## Runs\n\nNone yet.\n")


def test_main_row_of_full_runs():
    spec = make_spec(claims=(headline(),))
    records = [make_record(spec, seed=seed, accuracy=a) for seed, a in enumerate((0.58, 0.60, 0.65))]
    assert main_rows(report_text([spec], placed(*records))) == [
        [
            "`default`",
            "accuracy, test",
            "61 %",
            "61.0 ± 3.6 % (n = 3)",
            "0.0 points",
            "cpu: Test CPU",
            "44.0 s",
            "1,234",
            "fer2013 (ab12cd34)",
            "done",
        ]
    ]


def test_devices_data_sets_and_versions_are_never_averaged():
    spec = make_spec(claims=(headline(),))
    records = [
        make_record(spec, accuracy=0.50),
        make_record(spec, accuracy=0.51, device=GPU),
        make_record(spec, accuracy=0.52, device=Device(kind="cpu", name="Other CPU", count=1, host_cores=4)),
        make_record(spec, accuracy=0.53, data=data(fingerprint="ffffffffff")),
        make_record(spec, accuracy=0.54, training_version=TRAINING_VERSION + 1),
    ]
    rows = main_rows(report_text([spec], placed(*records)))
    assert sorted(row[3] for row in rows) == [f"{a}.0 % (n = 1)" for a in (50, 51, 52, 53, 54)]
    version = next(row for row in rows if row[3].startswith("54"))
    assert version[-1] == f"done; training code version {TRAINING_VERSION + 1}, now {TRAINING_VERSION}"
    claims = cells(report_text([spec], placed(*records)), holding="Table I")
    assert len(claims) == 1, "the document's side is told once"
    assert claims[0][6] == "cpu, Other CPU, fer2013 (ab12cd34)"


def test_precisions_are_never_averaged_and_told_apart_where_there_are_several():
    spec = make_spec(claims=(headline(),))
    records = [
        make_record(spec, accuracy=accuracy, device=GPU, matmul_precision=precision)
        for accuracy, precision in ((0.50, "bfloat16"), (0.51, "float32"), (0.52, "tensorfloat32"))
    ]
    rows = main_rows(report_text([spec], placed(*records)))
    assert [row[3] for row in rows] == [f"{a}.0 % (n = 1)" for a in (50, 51, 52)]
    assert [[p in " ".join(row) for p in ("bfloat16", "tensorfloat32")] for row in rows] == [
        [True, False],
        [False, False],
        [False, True],
    ]
    claims = cells(report_text([spec], placed(*records)), holding="gpu")
    assert {precision for precision in PRECISIONS if any(precision in " ".join(row) for row in claims)} == set(
        PRECISIONS
    )


def test_variants_stand_in_the_spec_order_beside_their_own_claims():
    spec = make_spec(
        claims=(
            headline(),
            claim("early", variant="wide", value=0.2, epoch=1),
            claim("wide", variant="wide", value=0.55),
        )
    )
    records = [make_record(spec, variant="wide", accuracy=0.6), make_record(spec, accuracy=0.5)]
    rows = main_rows(report_text([spec], placed(*records)))
    assert [(row[0], row[2], row[4]) for row in rows] == [
        ("`default`", "61 %", "-11.0 points"),
        ("`wide`", "55 %", "+5.0 points"),
    ]


def test_a_variant_that_the_document_gives_no_figure_for():
    spec = make_spec(claims=(headline(),))
    rows = main_rows(report_text([spec], placed(make_record(spec, variant="wide", accuracy=0.6))))
    assert [row[0:5] for row in rows] == [
        ["`default`", "accuracy, test", "61 %", "—", "—"],
        ["`wide`", "accuracy, test", "—", "60.0 % (n = 1)", "—"],
    ]


def test_a_failed_run_is_a_row_of_its_own_and_not_averaged():
    spec = make_spec(claims=(headline(),))
    failed = make_record(spec, seed=1, accuracy=0.1, status="failed", failed_step=1234, error="loss is nan | inf")
    rows = main_rows(report_text([spec], placed(make_record(spec, accuracy=0.6), failed)))
    assert [row[3] for row in rows] == ["60.0 % (n = 1)", "—"]
    assert rows[1][-1] == "**FAILED**, seed 1 at step 1,234: loss is nan \0 inf"


def test_a_partial_run_says_what_was_shortened_and_shows_no_difference():
    spec = make_spec(claims=(headline(), claim("epoch1", epoch=1)))
    short = Overrides(epochs=2, limit_train=1000)
    text = report_text([spec], placed(make_record(spec, status="partial", epochs=2, overrides=short)))
    (row,) = main_rows(text)
    assert row[3:5] == ["50.0 % (n = 1)", "—"]
    assert row[-1] == "**partial**: 2 of 4 epochs, only 1,000 training samples"
    assert cells(section(text, "## Claims", "## "), holding="`epoch1`")[0][4] == "not reached: partial run"
    text = report_text([spec], placed(make_record(spec, status="partial", epochs=2, overrides=Overrides(epochs=2))))
    assert cells(section(text, "## Claims", "## "), holding="`epoch1`")[0][4:6] == [
        "49.0 % (n = 1, **partial**)",
        "-12.0 points",
    ]


def test_a_partial_run_that_reached_the_headline_is_marked():
    spec = make_spec(claims=(headline(epoch=2),))
    partial = make_record(spec, status="partial", epochs=2, overrides=Overrides(epochs=2))
    (row,) = main_rows(report_text([spec], placed(partial)))
    assert row[1:5] == ["accuracy, test, epoch 2", "61 %", "50.0 % (n = 1, **partial**)", "—"]


def test_speedup_compares_runs_on_the_same_data_only():
    spec = make_spec(claims=(claim("faster", quantity="speedup", unit="1", value=5.0, resolution=0.1, split=""),))
    cpu = make_record(spec)
    gpu = make_record(spec, device=GPU, epoch_s=1.0, data=data(fingerprint="ffffffffff"))
    assert (
        cells(report_text([spec], placed(cpu, gpu)), holding="`faster`")[0][4]
        == "no cpu and gpu runs that can be compared"
    )
    gpu = make_record(spec, device=GPU, epoch_s=1.0)
    assert cells(report_text([spec], placed(cpu, gpu)), holding="`faster`")[0][4] == "5.50 (n = 1 cpu, 1 gpu)"


def test_synthetic_runs_stand_apart_and_measure_nothing():
    spec = make_spec(claims=(headline(),))
    text = report_text([spec], placed(make_record(spec, accuracy=0.8, data=data(synthetic=True))))
    assert [row[-1] for row in main_rows(text)] == ["not run"]
    (row,) = cells(section(text, "## Synthetic runs", "## "), holding="`default`")
    assert row[2] == "80.0 % (n = 1)"
    assert row[-1] == "**SYNTHETIC, not comparable**; done"
    assert cells(section(text, "## Claims", "## "), holding="`main`")[0][4] == "not run"
    assert "**SYNTHETIC, not comparable**" in section(text, "## Runs", "## ")


def test_a_flag_stands_on_the_paper_s_page_with_its_reason():
    spec = make_spec(claims=(headline(value=0.98, **LEAKY),))
    pages = report_pages([spec], placed(make_record(spec)))
    page = pages["someone2020.md"]
    assert main_rows(page)[0][2] == "98 % ⚠ **likely train/test leakage**"
    note = "- ⚠ **main, likely train/test leakage:** Copies are made \\| before the split."
    assert note in section(page, "## In short", "## ")
    assert "⚠" not in pages["RESULTS.md"]


def test_runs_of_settings_that_the_spec_no_longer_has_measure_nothing():
    old = make_spec(claims=(headline(),))
    record = make_record(old, accuracy=0.6)
    steeper = {**old.raw["training"], "optimizer": {"optimizer": "sgd", "learning_rate": 0.2}}
    text = report_text([make_spec(claims=(headline(),), training=steeper)], placed(record))
    (row,) = main_rows(text)
    assert row[4] == "—"
    assert row[-1] == "done; **outdated**: the spec or the search for duplicates changed after the run"
    assert cells(section(text, "## Claims", "## "), holding="`main`")[0][4] == "not run"
    text = report_text([make_spec(claims=(headline(),), variants={})], placed(make_record(old, variant="wide")))
    assert "**outdated**" in main_rows(text)[1][-1]


def test_a_run_without_a_spec_is_still_a_row_of_the_results():
    mine = make_spec("mine", claims=(headline(),))
    pages = report_pages([], placed(make_record(mine, accuracy=0.7)))
    assert list(pages) == ["RESULTS.md"]
    strangers = section(pages["RESULTS.md"], "## Runs without a spec", "## ")
    (row,) = cells(strangers, holding="`default`")
    assert (row[2], row[3], row[-1]) == ("—", "70.0 % (n = 1)", "done; no spec found for this run")
    assert len(cells(strangers, holding="[mine/default")) == 1


def test_claims_beside_what_was_measured():
    spec = make_spec(
        claims=(
            headline(),
            claim("hours", quantity="time", unit="h", value=0.5, resolution=0.1, split="", device="gpu", epoch=2),
            claim("faster", quantity="speedup", unit="1", value=5.0, resolution=0.1, split=""),
            claim("rows", quantity="rows", unit="rows", value=28_809, resolution=1, split="train", place="p. 1 | 2"),
            claim("other", quantity="other", not_measured="not about this network"),
        )
    )
    records = [make_record(spec, accuracy=0.6), make_record(spec, accuracy=0.59, device=GPU, epoch_s=1.0)]
    text = report_text([spec], placed(*records))
    rows = {row[0]: row for row in cells(section(text, "## Claims", "## "), holding="`")}
    assert rows["`hours`"][1] == "time, gpu, 2 epochs"
    assert rows["`hours`"][3:6] == ["0.5 h", "0.00 h (n = 1)", "-0.50 h"]
    assert rows["`faster`"][3:7] == ["5.0", "5.50 (n = 1 cpu, 1 gpu)", "+0.50", "cpu / gpu"]
    assert rows["`rows`"][3:] == [
        "28,809 samples",
        "28,709 samples (n = 2)",
        "-100 samples",
        "cpu, gpu",
        "p. 1 \0 2",
    ]
    assert rows["`other`"][1] == '"61%", test'
    assert rows["`other`"][4:] == ["not measured", "—", "—", "Table I. not about this network."]
    lines = section(text, "## Claims", "## ").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| `main`"))
    assert "60.0 % (n = 1) | -1.0 points | cpu |" in lines[first]
    assert lines[first + 1] == "| | | | | 59.0 % (n = 1) | -2.0 points | gpu | |"


def test_section_tells_contradictions_and_deviations():
    spec = make_spec(
        contradictions=[
            {
                "about": "learning rate",
                "one": "0.1",
                "one_place": "Sec. 2",
                "other": "0.01",
                "other_place": "Fig. 4",
                "chosen": "0.1",
                "reason": "It trains",
                "variant": "wide",
            }
        ],
        deviations=[{"about": "evaluation", "reason": "All rows are evaluated."}],
    )
    text = report_text([spec], [])
    assert "**A network.** A. One, B. Two (2020). A Journal." in text
    assert (
        "- **learning rate:** 0.1 (Sec. 2) against 0.01 (Fig. 4). Chosen: 0.1. It trains. "
        "The other is variant `wide`." in text
    )
    assert "<details><summary>Deviations (1)</summary>\n\n- **evaluation:** All rows are evaluated.\n\n" in text


def test_run_table_links_every_record():
    spec = make_spec()
    record = make_record(spec, seed=7, git={"commit": "0123456789abcdef", "dirty": True}, device=CPU)
    record = msgspec.convert(msgspec.to_builtins(record), type(record))
    (row,) = cells(section(report_text([spec], placed(record)), "## Runs", "## "), holding="seed-7")
    folder = "someone2020/default/cpu/as-published/fer2013-ab12cd34/seed-7"
    assert row == [
        f"[{folder}](runs/{folder}/run.json)",
        "7",
        "done",
        "cpu: Test CPU",
        "0.10.2",
        str(TRAINING_VERSION),
        "`01234567` with changes",
        "44.0 s",
        "0.1, 2.0 / 2",
    ]


def test_rendering_does_not_depend_on_the_order_of_its_input():
    specs = [make_spec(id, claims=(headline(**LEAKY),)) for id in ("b2020", "a2019", "c2021")]
    records = [
        make_record(spec, seed=seed, accuracy=0.5 + 0.01 * seed, variant=variant, device=device)
        for spec in specs
        for seed in range(3)
        for variant in ("default", "wide")
        for device in (CPU, GPU)
    ]
    expected = report_text(specs, placed(*records))
    for seed in range(5):
        generator = random.Random(seed)
        text = report_text(generator.sample(specs, len(specs)), generator.sample(placed(*records), len(records)))
        assert text == expected
    assert [heading for heading in expected.splitlines() if heading.startswith("# ")] == [
        "# Results",
        "# a2019",
        "# b2020",
        "# c2021",
    ]


def test_every_table_is_well_formed():
    spec = make_spec(claims=(headline(place="a | b"), claim("x", note="c | d")), paper={"summary": "| e |"})
    records = [make_record(spec), make_record(spec, data=data(synthetic=True))]
    text = report_text([spec], placed(*records))
    widths: list[set[int]] = []
    for line, before in zip(text.splitlines(), ["", *text.splitlines()], strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                assert before == "", "a table needs an empty line before it"
                widths.append(set())
            widths[-1].add(line.replace("\\|", "").count("|"))
    assert len(widths) >= 8
    assert all(len(counts) == 1 for counts in widths)
