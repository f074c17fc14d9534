"""repro.judge.usual_spread: which groups of runs the verdicts borrow their spread from."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_records import data, make_record, make_spec, metrics

from repro.judge.usual_spread import usual_spread
from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records
from repro.specs.protocols import AS_PUBLISHED, CLEAN, OFFICIAL
from repro.statistics.error_rates import RECORDED_DF, RECORDED_SD

SPEC = make_spec()
RESULTS = Path(__file__).resolve().parents[2] / "results"


def group(*accuracies: float, settings: str, **fields: object) -> list[RunRecord]:
    made = {"protocol": OFFICIAL, "spec_sha256": settings} | fields
    return [make_record(SPEC, seed=s, accuracy=a, **made) for s, a in enumerate(accuracies)]  # type: ignore[arg-type]


USED = [*group(0.50, 0.51, 0.52, settings="a"), *group(0.60, 0.61, 0.62, settings="b", protocol=CLEAN)]


def test_groups_are_of_one_setting_on_fixed_samples():
    found = usual_spread(USED)
    assert sorted(found.groups.values()) == [(0.50, 0.51, 0.52), (0.60, 0.61, 0.62)]
    assert found.prior is not None and found.prior.sd == pytest.approx(0.01)


@pytest.mark.parametrize(
    "others",
    [
        group(0.1, 0.5, 0.9, settings="c", protocol=AS_PUBLISHED),
        group(0.1, 0.5, 0.9, settings="c", protocol="suspect-best-epoch-on-test"),
        group(0.1, 0.5, 0.9, settings="c", status="partial"),
        group(0.1, 0.5, 0.9, settings="c", data=data(synthetic=True)),
        group(0.96, 0.98, 0.99, settings="c"),
        group(0.5, settings="c"),
        group(0.50, 0.51, 0.52, settings="a"),
        group(0.1, 0.5, 0.9, settings="c", paper="serengil2018"),
    ],
    ids=["as published", "suspect", "partial", "synthetic", "above 95 %", "one run", "the same runs again", "a model"],
)
def test_other_runs_change_nothing(others):
    assert usual_spread([*USED, *others]).groups == usual_spread(USED).groups


def test_dead_runs_are_no_usual_ones():
    confusion = tuple(tuple(20 if c == 3 else 0 for c in range(7)) for _ in range(7))
    dead = [
        make_record(SPEC, seed=s, protocol=OFFICIAL, spec_sha256="c", metrics={"test": metrics(a, confusion=confusion)})
        for s, a in enumerate((0.14, 0.1401, 0.1402))
    ]
    assert usual_spread([*USED, *dead]).groups == usual_spread(USED).groups


def test_the_judged_group_is_left_out():
    third = group(0.40, 0.45, 0.50, settings="c")
    found = usual_spread([*USED, *third])
    without = found.without(third)
    assert without is not None and without.sd == pytest.approx(0.01)
    assert found.prior is not None and found.prior.sd > 0.015
    assert found.without(group(0.3, settings="never seen")) == found.prior


def test_the_committed_records_spread_as_the_simulated_table_says():
    """docs/verdicts.md simulates how often verdicts err with the spread of the committed records. If this fails, change
    the two constants and run `python -m repro.statistics.error_rates`."""
    prior = usual_spread(record for _, record in find_records(RESULTS)).prior
    assert prior is not None and prior.groups >= 12
    assert prior.sd == pytest.approx(RECORDED_SD, rel=0.25)
    assert RECORDED_DF / 2 < prior.heterogeneity < RECORDED_DF * 2
