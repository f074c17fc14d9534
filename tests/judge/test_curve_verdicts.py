"""repro.judge.curve_verdicts: one verdict on a curve, from the runs that recorded all of it."""

from __future__ import annotations

from report_records import EPOCHS, headline, make_record, make_spec, placed

from repro.judge.curve_verdicts import judge_curves
from repro.judge.groups import PaperRuns, RecordedRun
from repro.report.verdict_section import verdict_section
from repro.text.markdown import block_markdown

RISING = [0.57, 0.58, 0.59, 0.60]


def paper(values: list[float], *accuracies: float, **fields: object) -> PaperRuns:
    curve = {
        "id": "curve",
        "quantity": "accuracy",
        "unit": "fraction",
        "resolution": 0.001,
        "split": "test",
        "epochs": list(range(1, EPOCHS + 1)),
        "values": values,
        "quote": "a table",
        "place": "Table II",
    }
    spec = make_spec(claims=(headline(value=0.60),), curves=[curve | fields])
    records = [make_record(spec, seed=s, accuracy=a) for s, a in enumerate(accuracies)]
    return PaperRuns(spec.id, spec, tuple(RecordedRun(path, record) for path, record in placed(*records)))


def test_a_curve_like_the_runs_is_reproduced_within_the_tolerance_of_the_headline():
    judged = judge_curves(paper(RISING, 0.598, 0.600, 0.602))["curve"]
    assert (judged.word, judged.missing, judged.decision.inside) == ("reproduced", "", EPOCHS)
    assert "4 of 4 points" in judged.reason


def test_a_curve_far_above_the_runs_says_where():
    far = [*RISING[:2], 0.9, 0.60]
    judged = judge_curves(paper(far, 0.598, 0.600, 0.602, 0.599, 0.601))["curve"]
    assert judged.word == "lower" and "at epoch 3" in judged.reason


def test_few_runs_and_missing_tolerances_are_said():
    few = judge_curves(paper(RISING, 0.598, 0.600))["curve"]
    assert (few.word, few.missing) == ("open", "1 more seed")
    loss = judge_curves(paper([2.9, 2.8, 2.7, 2.6], 0.598, 0.600, 0.602, quantity="loss", unit="nat", resolution=0.1))[
        "curve"
    ]
    assert loss.word == "consistent"
    assert judge_curves(paper(RISING)) == {}


def test_the_page_has_a_row_for_each_curve():
    of = paper(RISING, 0.598, 0.600, 0.602)
    text = block_markdown(verdict_section(of, {}, judge_curves(of)))
    assert "| `curve` | accuracy, test, variant default | 4 | **reproduced** |" in text
