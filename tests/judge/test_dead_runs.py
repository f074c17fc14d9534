"""repro.judge.dead_runs: a run that names one class is flagged, one that learned a little is not."""

from __future__ import annotations

import pytest
from report_records import make_record, make_spec, metrics

from repro.judge.dead_runs import dead_run

PAPER = make_spec()
ROWS = (491, 55, 528, 879, 594, 416, 626)  # PrivateTest
CONSTANT = [[0, 0, 0, count, 0, 0, 0] for count in ROWS]


def run(right: int, seed: int = 0, **fields: object):
    """Names happy always, but for `right` sad images that it finds."""
    matrix = [row[:] for row in CONSTANT]
    matrix[4][3], matrix[4][4] = matrix[4][3] - right, right
    test = metrics((879 + right) / 3589, confusion=tuple(map(tuple, matrix)))
    test = type(test)(accuracy=test.accuracy, loss=1.0, n=3589, confusion=test.confusion)
    return make_record(PAPER, seed=seed, metrics={"test": test}, **fields)  # type: ignore[arg-type]


def test_the_constant_answer_is_a_dead_run():
    assert dead_run(run(0, seed=2)) == (
        "dead run, seed 2: it calls 3,589 of 3,589 images of test happy, and its accuracy is 24.5 %; naming one "
        "class always gives 24.5 %"
    )


@pytest.mark.parametrize(("right", "dead"), [(10, True), (77, True), (78, False), (200, False)])
def test_three_standard_errors_above_it_a_run_has_learned(right, dead):
    """sqrt(0.2449 x 0.7551 / 3,589) = 0.718 points; three of them are 77.3 of 3,589 images."""
    assert bool(dead_run(run(right))) is dead


def test_only_full_runs_with_a_matrix_are_looked_at():
    assert dead_run(run(0, status="partial")) == "" and dead_run(run(0, status="failed")) == ""
    assert dead_run(make_record(PAPER, accuracy=0.1)) == ""


def test_one_split_that_was_learned_is_enough():
    record = run(0)
    learned = metrics(0.9, confusion=tuple(tuple(10 if i == j else 0 for j in range(7)) for i in range(7)))
    both = make_record(PAPER, metrics={**record.metrics, "train": learned})
    assert dead_run(both) == ""
