"""repro.report.verdict_section: what the page says of a tolerance that the claim's own samples exceed."""

from __future__ import annotations

import msgspec
import pytest
from report_records import headline, make_record, make_spec, metrics, placed

from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.judgements import judge_claims
from repro.report.verdict_section import verdict_section
from repro.text.markdown import block_markdown

DRAWN = {"steps": [{"step": "split_fraction", "fraction": 0.2, "into": "test", "rest": "train"}]}


def page(samples: int, tolerance: float) -> str:
    main = msgspec.structs.replace(headline(value=0.60), tolerance=tolerance)
    spec = make_spec(claims=(main,), data=DRAWN)
    measured = [msgspec.structs.replace(metrics(a), n=samples) for a in (0.598, 0.600, 0.602)]
    records = [make_record(spec, seed=s, metrics={"test": one}) for s, one in enumerate(measured)]
    paper = PaperRuns(spec.id, spec, tuple(RecordedRun(path, record) for path, record in placed(*records)))
    return block_markdown(verdict_section(paper, judge_claims(paper, []), {}))


@pytest.mark.parametrize(
    ("samples", "tolerance", "words"),
    [
        (500, 0.03, "3.0 points is less than the error of 500 samples at 95 %, ±4.29 points; no number of runs shows"),
        (1000, 0.03, "error of 1,000 samples at 95 %, ±3.04 points; hardly any number of runs shows"),
    ],
)
def test_a_tolerance_below_the_claims_own_error_is_named_with_file_and_key(samples, tolerance, words):
    text = page(samples, tolerance)
    assert "`someone2020.toml`, claim `main`, `tolerance`: " in text and words in text


def test_enough_samples_or_a_wider_tolerance_bring_no_note():
    assert "too small" not in page(1000, 0.05) and "too small" not in page(3589, 0.03)
