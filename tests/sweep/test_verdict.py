"""repro.sweep.verdict: the best of k settings against k runs of the paper's own, and against the paper's number."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from report_records import headline, make_record, make_spec, metrics
from scipy import stats

from repro.judge.groups import PaperRuns
from repro.judge.usual_spread import UsualSpread
from repro.sweep.dimension import Dimension
from repro.sweep.search import SettingSearch
from repro.sweep.verdict import against_claim, against_own_setting

CLAIM = headline()
SPEC = make_spec(claims=(CLAIM,))
SEARCH = SettingSearch(
    SPEC, "default", "official", (Dimension("training.epochs", ("1", "2")),), "grid", "validation", "test"
)
USUAL = UsualSpread()


def own(*accuracies: float):
    return [
        make_record(SPEC, seed=seed, protocol="official", metrics={"validation": metrics(one), "test": metrics(one)})
        for seed, one in enumerate(accuracies)
    ]


def verdict(best: float, tries: int, *accuracies: float):
    return against_own_setting(SEARCH, best, tries, own(*accuracies), USUAL)


def test_the_best_of_many_must_beat_the_best_of_as_many():
    runs = (0.50, 0.51, 0.52, 0.51, 0.50)
    single, of_twenty = verdict(0.54, 1, *runs), verdict(0.54, 20, *runs)
    assert single.p is not None and of_twenty.p is not None and single.p < 0.05 < of_twenty.p
    assert (single.word, of_twenty.word) == ("better", "not shown to be better")
    assert verdict(0.60, 20, *runs).word == "better" and verdict(0.45, 20, *runs).word == "worse"
    # The same by hand: 1 - (1 - p)^k for k independent tries, one tail doubled.
    sd = np.std(runs, ddof=1) * np.sqrt(1 + 1 / len(runs))
    tail = stats.t.sf((0.54 - np.mean(runs)) / sd, len(runs) - 1)
    assert of_twenty.p == pytest.approx(min(1.0, 2 * (1 - (1 - tail) ** 20)), rel=1e-6)


def test_equal_settings_are_seldom_called_better():
    """The rate of false alarms of the best of 10 settings that are all equal to the paper's own, with 5 runs of it."""
    random, alarms, times = np.random.default_rng(0), 0, 400
    for _ in range(times):
        draws = random.normal(0.5, 0.01, 15)
        alarms += verdict(float(draws[:10].max()), 10, *map(float, draws[10:])).word == "better"
    assert alarms / times <= 0.05, "2.5 % by the level, of the upper tail alone"


def test_fewer_than_three_runs_of_the_own_setting_decide_nothing():
    found = verdict(0.6, 5, 0.5, 0.51)
    assert (found.word, found.n, found.p) == ("open", 2, None) and "needs 1 more run" in found.reason


def on_claim(*accuracies: float, search=SEARCH, tries=4, claim=CLAIM):
    return against_claim(search, claim, tries, own(*accuracies), PaperRuns(SPEC.id, SPEC, (), USUAL))


def test_a_claim_gets_a_verdict_by_the_seeds_of_the_best_setting():
    near = on_claim(0.609, 0.61, 0.611)
    assert (near.word, near.tries, near.n) == ("reproduced", 1, 3) and "3 runs, mean" in near.reason
    far = on_claim(0.309, 0.31, 0.311)
    assert far.word == "lower" and far.p is not None and far.p < 0.05
    assert on_claim(0.61).word.startswith("open")


def test_no_verdict_on_samples_that_chose_or_on_shortened_runs():
    leaky = on_claim(0.5, 0.51, 0.52, search=replace(SEARCH, select="test"), tries=7)
    assert leaky.word == "none" and "leakage; the best of 7 settings would be compared with it" in leaky.reason
    short = on_claim(0.5, 0.51, 0.52, search=replace(SEARCH, epochs=1))
    assert short.word == "none" and "shortened" in short.reason


def test_a_claim_that_is_the_best_of_a_search_counts_as_the_best_of_ours():
    searched = msgspec.structs.replace(CLAIM, selected_from="a search", tries=None)
    unknown, known = (
        on_claim(0.5, 0.51, 0.52, tries=12, claim=msgspec.structs.replace(searched, tries=k)) for k in (None, 3)
    )
    assert (unknown.tries, known.tries) == (12, 3)
