"""Records from before and after the C++ kernels changed without a new TRAINING_VERSION: rounding alone differs."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path

import pytest
from scipy.stats import ttest_ind

from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records

RESULTS = Path(__file__).resolve().parents[2] / "results"
# Winograd's tiles, strips and batch norm were written anew between these commits (02a9894 and 5a2f2c5).
FIRST_CHANGE = datetime.fromisoformat("2026-11-26T19:16:03+00:00")
LAST_CHANGE = datetime.fromisoformat("2026-11-27T00:31:28+00:00")


def accuracies(runs: list[RunRecord]) -> list[float]:
    return [run.metrics[next(iter(run.metrics))].accuracy for run in runs]


def p_value(some: list[float], others: list[float]) -> float:
    """Welch's test."""
    return ttest_ind(some, others, equal_var=False).pvalue  # pyright: ignore[reportAttributeAccessIssue]


def groups_on_both_sides() -> list[tuple[str, list[RunRecord], list[RunRecord]]]:
    done = [run for _, run in find_records(RESULTS) if run.status == "done" and run.device.kind == "cpu"]
    found = []
    for settings, group in itertools.groupby(
        sorted(done, key=lambda run: run.spec_sha256), lambda run: run.spec_sha256
    ):
        runs = list(group)
        before = [run for run in runs if datetime.fromisoformat(run.finished) < FIRST_CHANGE]
        after = [run for run in runs if datetime.fromisoformat(run.started) > LAST_CHANGE]
        if len(before) > 1 and len(after) > 1:
            found.append((settings, before, after))
    return found


def test_seeds_before_and_after_agree_within_their_spread():
    compared = groups_on_both_sides()
    assert compared
    for settings, before, after in compared:
        assert {run.training_version for run in before + after} == {1}
        assert p_value(accuracies(before), accuracies(after)) > 0.01, (settings, accuracies(before), accuracies(after))


@pytest.mark.parametrize("points", [-3.0, 3.0])
def test_a_change_by_more_than_the_spread_would_be_seen(points):
    for _, before, after in groups_on_both_sides():
        moved = [accuracy + points / 100 for accuracy in accuracies(after)]
        assert p_value(accuracies(before), moved) < 0.01
