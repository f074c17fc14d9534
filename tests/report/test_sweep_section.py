"""The searches of a paper on its page."""

from __future__ import annotations

from typing import Any

import msgspec
from report_records import headline, make_spec, report_input

from repro.judge.groups import settings_now
from repro.report.folder import documents
from repro.report.inputs import read_input
from repro.report.sweep_section import OUTDATED
from repro.sweep.records import SWEEP_FORMAT, BestSetting, SweepRecord, SweepVerdict, TrialRecord, write_sweep
from repro.text.markdown import markdown

SPEC = make_spec(claims=(headline(),))


def trial(number, accuracy, *settings, state: Any = "done"):
    return TrialRecord(
        number=number, variant="default", settings=settings, state=state, accuracy=accuracy, epochs=3, runs=()
    )


RECORD = SweepRecord(
    format=SWEEP_FORMAT,
    paper=SPEC.id,
    variant="default",
    protocol="official",
    spec_sha256=settings_now(SPEC, "default", "official"),
    figure=2,
    data="fer2013-ab12cd34",
    device="cpu",
    sampler="grid",
    space=("training.batch_size=8,16",),
    seeds=(0,),
    asked=3,
    pruning=True,
    settings_tried=3,
    selected_on="validation",
    selected_samples=3589,
    reported_on="test",
    leakage="",
    trials=(
        trial(1, 0.51, "training.batch_size=8"),
        trial(2, 0.523, "training.batch_size=16"),
        trial(3, None, "a=<script>|x", state="pruned"),
    ),
    best=BestSetting(trial=2, chosen_by=0.523, reported=(0.5149,), samples=3589),
    verdicts=(
        SweepVerdict(against="own setting", word="not shown to be better", reason="p = 0.4", tries=3, n=5, p=0.4),
    ),
)


def page(*sweeps):
    return markdown(documents(report_input([SPEC], sweeps={SPEC.id: sweeps} if sweeps else {}))[f"{SPEC.id}.md"])


def test_the_page_says_how_many_were_tried_and_which_samples_chose():
    text = page(RECORD)
    section = text.split("## Searches of settings", 1)[1].split("\n## ", 1)[0]
    flat = " ".join(section.replace("*", "").split())
    assert "figure 2, grid, official" in flat
    assert "chosen by 52.3 % on 3,589 samples of validation. It has 51.5 % on test" in flat
    assert "the best of 3 settings tried" in flat and "1 pruned" in flat and "not shown to be better" in flat
    assert flat.index("52.3 %") < flat.index("51.0 %"), "the best first"
    assert "<script>" not in section and OUTDATED not in section
    assert "Searches of settings" not in page()


def test_a_search_of_other_settings_is_outdated_and_leakage_is_said():
    text = page(
        msgspec.structs.replace(RECORD, spec_sha256="0" * 64, leakage="the settings are chosen on test: leakage")
    )
    assert OUTDATED in text and "LEAKAGE: the settings are chosen on test" in text


def test_the_records_of_a_folder_are_read_and_one_that_cannot_be_is_named(tmp_path):
    write_sweep(tmp_path / "sweeps" / SPEC.id / "ab", RECORD)
    other = tmp_path / "sweeps" / SPEC.id / "cd"
    other.mkdir()
    (other / "sweep.json").write_text("{}")
    found = read_input(tmp_path, [SPEC])
    assert found.sweeps == {SPEC.id: (RECORD,)}
    (said,) = found.unusable
    assert f"sweeps/{SPEC.id}/cd/sweep.json" in said
