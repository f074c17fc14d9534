"""The main table: reported beside published, official and clean, with inflation seed by seed and a verdict."""

from __future__ import annotations

import msgspec
import pytest
from report_records import (
    GPU,
    audited,
    cells,
    data,
    headline,
    make_record,
    make_spec,
    metrics,
    placed,
    report_input,
)

from fer_jax import TRAINING_VERSION
from repro.audit.leakage import LeakageAudit, Overlap
from repro.judge.judged_quantities import has_verdict
from repro.report.folder import render_input
from repro.report.inputs import read_input
from repro.report.protocol_table import HOLDS, REPRODUCES, overview_table, paper_table
from repro.runs.plan import settings_sha256
from repro.runs.stored_records import write_record
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, PROTOCOLS, under_protocol
from repro.text.document import plain, spans


def record(spec, protocol, seed, accuracy, **fields):
    """A full run under a protocol, as the runner would write it."""
    made = make_record(spec, seed=seed, accuracy=accuracy, **fields)
    settings = settings_sha256(under_protocol(spec.resolve(made.variant), protocol))
    return msgspec.structs.replace(made, protocol=protocol, spec_sha256=settings)


def rows(spec, records, audits=None):
    """The rows of the paper's own table, by heading."""
    given = report_input([spec], placed(*records), audits or ())
    shown = paper_table(given.papers[0], given.all_audits)
    names = [column.heading for column in shown.columns]
    return [dict(zip(names, (plain(cell.text) for cell in row.cells), strict=True)) for row in shown.rows]


def audit(spec, *, leaks):
    overlap = Overlap(
        split="test", kind="same row", cause="copy_split1", separated_by="copy_split1", rows=50, share=0.5
    )
    one = LeakageAudit(
        paper=spec.id,
        variant="default",
        protocol=AS_PUBLISHED,
        seed=0,
        steps=(),
        rows={"train": 100, "test": 100},
        overlaps=(overlap,) if leaks else (),
        selections=(),
    )
    return [audited(one)]


def three(spec, protocol, centre, **fields):
    return [record(spec, protocol, seed, centre + 0.002 * (seed - 1), **fields) for seed in range(3)]


def test_three_protocols_stand_side_by_side():
    spec = make_spec(claims=(headline(value=0.61),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, OFFICIAL, 0.58) + three(spec, CLEAN, 0.55)
    (row,) = rows(spec, runs)
    assert row["Reported"] == "61 %"
    assert row["As published"] == "61.0 ± 0.2 % (n = 3)"
    assert row["Official"] == "58.0 ± 0.2 % (n = 3)"
    assert row["Clean"] == "55.0 ± 0.2 % (n = 3)"
    width = 100 * 2.7764 * (2 * 0.002**2 / 3) ** 0.5  # Student t with 4 degrees of freedom (Welch)
    assert row["Inflation by the dataset"] == f"+3.0 ± {width:.1f} points (n = 3)", "the same PrivateTest samples"
    assert row["Inflation by the paper"].startswith("+3.0 ± "), "official and the paper evaluate PrivateTest here"


def test_the_two_inflations_need_their_own_protocols():
    spec = make_spec(claims=(headline(value=0.61),))
    (row,) = rows(spec, three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.55))
    assert (row["Inflation by the paper"], row["Inflation by the dataset"]) == ("—", "—")
    (row,) = rows(spec, three(spec, AS_PUBLISHED, 0.61) + three(spec, OFFICIAL, 0.58)[:1])
    assert row["Inflation by the paper"] == "+3.2 points (n = 3, 1)", "one run without a prior has no interval"


def test_the_two_questions_of_a_leaky_claim_that_runs_without_overlap_miss():
    spec = make_spec(claims=(headline(value=0.61),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.31) + three(spec, OFFICIAL, 0.31)
    (row,) = rows(spec, runs, audit(spec, leaks=True))
    assert (row[REPRODUCES], row[HOLDS]) == ("yes", "no")
    (row,) = rows(spec, runs, audit(spec, leaks=False))
    assert (row[REPRODUCES], row[HOLDS]) == ("yes", "no")


HEADLINES = {
    "of training rows": {"split": "train"},
    "of a batch": {"split": "minibatch", "step": 99},
    "of a split that there is not": {"split": "validation"},
    "that no run measures": {"not_measured": "It is in no run."},
    "a time": {"quantity": "time", "unit": "h", "split": ""},
    "a speed-up": {"quantity": "speedup", "unit": "1", "split": ""},
    "a loss": {"quantity": "loss", "unit": "nat"},
    "rows": {"quantity": "rows", "unit": "rows"},
    "parameters": {"quantity": "parameters", "unit": "1", "split": ""},
    "steps": {"quantity": "steps", "unit": "step", "value": 113, "not_measured": "It is in no run."},
    "something else": {"quantity": "other", "unit": "faces", "not_measured": "It is in no run."},
    "of an epoch": {"epoch": 2},
    "of one emotion": {"emotion": "happy"},
    "of a variant": {"variant": "wide"},
}


@pytest.mark.parametrize("fields", HEADLINES.values(), ids=HEADLINES)
def test_a_document_may_have_any_main_figure(fields, tmp_path):
    spec = make_spec(claims=(headline(**fields),))
    for protocol in (*PROTOCOLS, "suspect-best-epoch-on-test"):
        for one in three(spec, protocol, 0.6, variant=fields.get("variant", "default")):
            ((path, _),) = placed(one)
            write_record(tmp_path / path.parent, one)
    files = render_input(read_input(tmp_path, [spec]))
    (row,) = cells(files["RESULTS.md"].split("## The papers")[1].split("\n## ")[0], holding="](someone2020.md)")
    gets_none = has_verdict(spec.spec.claims[0]) is False
    assert row[-2] == "\u2014" or not gets_none, "no verdict on what no run can confirm"
    assert "**open**:" not in row[-2] or ": " in row[-2]
    assert "## Verdicts" in files["someone2020.md"]


def test_a_paper_without_a_number_is_still_a_row():
    spec = make_spec()
    given = report_input([spec], placed(make_record(spec)))
    (row,) = overview_table(given.papers, ()).rows
    assert [plain(cell.text) for cell in row.cells[:2]] == ["someone2020", "no number is claimed"]


def test_the_overview_has_the_same_decimals_in_a_column_and_answers_as_chips():
    specs = [make_spec("a2020", claims=(headline(value=0.61),)), make_spec("b2020", claims=(headline(value=0.4904),))]
    records = [one for spec in specs for one in three(spec, AS_PUBLISHED, 0.61)]
    given = report_input(specs, placed(*records))
    shown = overview_table(given.papers, ())
    assert [plain(row.cells[1].text) for row in shown.rows] == ["61.0 %", "49.0 %"]
    assert [plain(row.cells[2].text) for row in shown.rows] == ["61.0 ± 0.2 % (n = 3)"] * 2
    assert [row.cells[1].value for row in shown.rows] == [0.61, 0.4904], "sorted and exported as printed in the paper"
    assert [row.paper for row in shown.rows] == ["a2020", "b2020"]
    assert [next(spans(row.cells[-2].text)).verdict for row in shown.rows] == ["yes", "no"]


def test_corrected_values_are_of_the_claims_own_quantity():
    loss = msgspec.structs.replace(headline(quantity="loss", unit="nat", value=1.1), resolution=0.1, tolerance=0.06)
    spec = make_spec(claims=(loss,))
    (row,) = rows(spec, three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.31))
    assert (row["Clean"], row["Inflation by the dataset"]) == ("1.00 ± 0.00 nat (n = 3)", "\u2014"), (
        "the loss, not the accuracy"
    )


def test_a_figure_of_the_middle_of_a_run_is_not_held_against_the_end_of_another():
    spec = make_spec(claims=(msgspec.structs.replace(headline(value=0.59, epoch=2), tolerance=0.2),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.31)
    (row,) = rows(spec, runs, audit(spec, leaks=True))
    assert row["Inflation by the paper"] == "\u2014"
    assert (row[REPRODUCES], row[HOLDS]) == ("yes", "open: not run")


def test_versions_of_the_training_code_are_told_apart():
    spec = make_spec(claims=(headline(),))
    older = three(spec, AS_PUBLISHED, 0.5, training_version=TRAINING_VERSION - 1)
    places = [row["Device and dataset"] for row in rows(spec, three(spec, AS_PUBLISHED, 0.6) + older)]
    assert len(set(places)) == 2 and any(f"version {TRAINING_VERSION - 1}" in place for place in places)


def test_what_was_not_run_is_said():
    spec = make_spec(claims=(headline(),))
    (row,) = rows(spec, [])
    assert row["As published"] == "not run" and row[REPRODUCES] == row[HOLDS] == "open: not run"
    (row,) = rows(spec, three(spec, CLEAN, 0.5))
    assert (row["As published"], row["Official"], row["Inflation by the paper"]) == ("not run", "not run", "—")
    assert row[REPRODUCES] == "open: not run"


def test_devices_and_data_sets_stand_in_rows_of_their_own():
    spec = make_spec(claims=(headline(),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.5, device=GPU)
    runs += three(spec, CLEAN, 0.4, data=data(fingerprint="ffffffffff"))
    found = rows(spec, runs)
    assert [row["Clean"].split(" %")[0] for row in found] == ["not run", "40.0 ± 0.2", "50.0 ± 0.2"]
    assert [row["Inflation by the dataset"] for row in found] == ["—"] * 3


def test_runs_of_other_settings_and_shortened_ones_do_not_count():
    spec = make_spec(claims=(headline(),))
    outdated = [msgspec.structs.replace(r, spec_sha256="other") for r in three(spec, CLEAN, 0.5)]
    partial = [msgspec.structs.replace(r, status="partial") for r in three(spec, OFFICIAL, 0.5)]
    (row,) = rows(spec, three(spec, AS_PUBLISHED, 0.6) + outdated + partial)
    assert (row["Official"], row["Clean"]) == ("not run", "not run")


def test_inflation_by_the_dataset_compares_the_same_images_or_says_how_far_others_may_differ():
    spec = make_spec(claims=(headline(value=0.61),))
    official, few, all_ = (metrics(one) for one in (0.58, 0.55, 0.54))
    few = msgspec.structs.replace(few, n=90)  # clean leaves ten test samples out
    runs = [
        *three(spec, AS_PUBLISHED, 0.61),
        *[record(spec, OFFICIAL, s, 0.58, metrics={"test": official}) for s in range(3)],
    ]
    widths = []
    for measured, mean in (({"test": few, "test_all": all_}, "+4.0"), ({"test": few}, "+3.0")):
        clean = [record(spec, CLEAN, s, 0.55, metrics=measured) for s in range(3)]
        (row,) = rows(spec, runs + clean)
        assert row["Clean"].startswith("55.0 ")
        shown, _, width = row["Inflation by the dataset"].partition(" ± ")
        assert shown == mean
        widths.append(float(width.split()[0]))
    assert widths[0] == 0 and widths[1] > 10, "runs that are equal still evaluate other samples"
