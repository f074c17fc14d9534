"""repro.report.readings: the headline under each variant, and which one the paper's other numbers support."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from report_records import EPOCHS, claim, headline, make_record, make_spec, placed

from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.headline_runs import headline_runs
from repro.judge.readings import readings
from repro.judge.usual_spread import usual_spread
from repro.report.protocol_table import answer_cells
from repro.report.readings import better_line, readings_section
from repro.runs.plan import settings_sha256
from repro.runs.records import RunRecord
from repro.specs.protocols import CLEAN, OFFICIAL, under_protocol
from repro.specs.spec import Claim
from repro.text.document import plain
from repro.text.markdown import block_markdown

# Epoch e of `make_record` has an accuracy of 0.01 less per epoch before the end.
OTHERS = tuple(claim(f"epoch-{e}", epoch=e, value=0.60 - 0.01 * (EPOCHS - e), resolution=0.001) for e in (1, 2, 3))
SPEC = make_spec(claims=(headline(value=0.60), *OTHERS))


def paper(*records: RunRecord, claims: tuple[Claim, ...] = (headline(value=0.60), *OTHERS)) -> PaperRuns:
    usual = [
        make_record(SPEC, seed=s, accuracy=a + k, protocol=OFFICIAL, spec_sha256=str(k))
        for k in (0.0, 0.1)
        for s, a in enumerate((0.40, 0.406, 0.412))
    ]
    spec = make_spec(claims=claims)
    return PaperRuns(spec.id, spec, tuple(RecordedRun(p, r) for p, r in placed(*records)), usual_spread(usual))


def runs(variant: str, *accuracies: float, **fields: Any) -> list[RunRecord]:
    return [make_record(SPEC, seed=s, accuracy=a, variant=variant, **fields) for s, a in enumerate(accuracies)]


def without_overlap(protocol: str, *accuracies: float) -> list[RunRecord]:
    settings = settings_sha256(under_protocol(SPEC.resolve("default"), protocol))
    return runs("default", *accuracies, protocol=protocol, spec_sha256=settings)


def test_every_reading_has_its_verdict_and_the_nearer_one_the_support():
    of = paper(*runs("default", 0.50, 0.506, 0.512), *runs("wide", 0.595, 0.60, 0.606))
    default, wide = readings(of)
    assert (default.variant, wide.variant) == ("default", "wide")
    assert (default.decision.outcome, wide.decision.outcome) == ("lower", "same")
    assert wide.support == 0 and default.support is not None and default.support < -3
    assert default.others == len(OTHERS), "the headline itself is no evidence for its own reading"
    text = block_markdown(readings_section(of, readings(of)))
    assert "support `wide` best" in text and "| `wide` | twice the batch |" in text
    (row,) = headline_runs(of, [])
    assert plain(answer_cells(row)[0]) == 'no (lower); the reading "wide" is better supported'
    told = plain(better_line(readings(of), headline(), {"wide": "twice the batch"}) or "")
    assert told.startswith("Another reading is better supported: wide (twice the batch), 60.0 ± 0.6 % (n = 3). The")


def test_a_no_without_overlap_names_the_better_reading_too():
    default = runs("default", 0.50, 0.506, 0.512)
    kept = [*without_overlap(OFFICIAL, 0.50, 0.506, 0.512), *without_overlap(CLEAN, 0.50, 0.506, 0.512)]
    known = paper(*default, *kept, *runs("wide", 0.595, 0.60, 0.606))
    alone = paper(*default, *kept)
    (row,), (other,) = headline_runs(known, []), headline_runs(alone, [])
    assert plain(answer_cells(row)[1]) == 'no (the reading "wide" is better supported)'
    assert plain(answer_cells(other)[1]) == "no", "no other reading was trained"


def test_support_is_the_log_ratio_of_the_densities():
    from scipy import stats

    of = paper(*runs("default", 0.58), *runs("wide", 0.60), claims=(headline(value=0.60), OTHERS[2]))
    default, wide = readings(of)
    error = (2 * 0.006**2 + 0.001**2 / 12) ** 0.5
    ratio = stats.t.logpdf(0.02 / error, 4) - stats.t.logpdf(0.0, 4)  # two groups of three runs: 4 degrees of freedom
    assert default.support == pytest.approx(ratio / 2.302585, rel=1e-3) and wide.support == 0


def test_a_single_reading_is_no_choice():
    alone = paper(*runs("default", 0.6, 0.61))
    assert readings_section(alone, readings(alone)) == []
    assert readings(paper(claims=())) == []
    hours = (msgspec.structs.replace(headline(), quantity="time", unit="h", split=""),)
    assert readings(paper(*runs("default", 0.6), claims=hours)) == []


def test_without_other_numbers_nothing_is_supported():
    of = paper(*runs("default", 0.6), *runs("wide", 0.5), claims=(headline(value=0.60),))
    text = block_markdown(readings_section(of, readings(of)))
    assert "No other number was measured" in text


def test_a_number_that_the_paper_gives_twice_with_different_values_is_no_evidence():
    again = claim("again", epoch=3, value=0.70, resolution=0.01)
    of = paper(*runs("default", 0.58), *runs("wide", 0.60), claims=(headline(value=0.60), *OTHERS, again))
    assert {one.others for one in readings(of)} == {len(OTHERS) - 1}
    rounded = msgspec.structs.replace(again, value=OTHERS[2].value)
    of = paper(*runs("default", 0.58), *runs("wide", 0.60), claims=(headline(value=0.60), *OTHERS, rounded))
    assert {one.others for one in readings(of)} == {len(OTHERS) + 1}


def test_less_than_ten_times_as_likely_decides_nothing():
    of = paper(*runs("default", 0.59, 0.596, 0.602), *runs("wide", 0.595, 0.60, 0.606))
    text = block_markdown(readings_section(of, readings(of)))
    assert better_line(readings(of), headline(), {"wide": "twice the batch"}) is None
    assert "hardly separate the default from `wide`, under which they are " in text and "best, up to" not in text
