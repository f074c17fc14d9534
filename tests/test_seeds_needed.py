"""repro.seeds_needed: the number of seeds agrees with the verdict there, and plans come from the right runs."""

from __future__ import annotations

import json
import math

import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from report_records import CPU, GPU, claim, data, headline, make_record, make_spec, placed

from repro.catalog import find_paper
from repro.cli import main
from repro.protocols import CLEAN
from repro.records import Overrides, RunRecord
from repro.report.groups import PaperRuns, Run
from repro.seeds_needed import outlook, plan_document, plan_text, seed_plans, seeds_needed
from repro.spec import Claim
from repro.verdict import judge


def sample(mean: float, std: float, n: int) -> list[float]:
    """n values with exactly this mean and sample standard deviation, in turn above and below, an odd one at it."""
    step = std * math.sqrt((n - 1) / (n - n % 2))
    return [mean + step * (-1) ** i for i in range(n - n % 2)] + [mean] * (n % 2)


# --- agreement with the verdict ---------------------------------------------------------------------------------------


@settings(deadline=None)  # the first example loads scipy
@given(
    mean=st.floats(0.3, 0.9),
    std=st.floats(1e-4, 0.1),
    value=st.floats(0.3, 0.9),
    tolerance=st.one_of(st.none(), st.floats(1e-3, 0.2)),
    resolution=st.sampled_from([0.0, 0.001, 0.01]),
    rows=st.sampled_from([None, 100, 3589]),
)
def test_verdict_is_conclusive_at_the_number_and_inconclusive_below_it(mean, std, value, tolerance, resolution, rows):
    tested = claim(value=value, tolerance=tolerance, resolution=resolution)
    ahead = outlook(sample(mean, std, 4), tested, rows)
    needed = ahead.to_verdict
    if needed is None:
        assert judge(tested, sample(mean, std, 2000), rows=rows).verdict == "inconclusive"
        return
    assume(needed < 2000)
    assert seeds_needed(sample(mean, std, 4), tested, rows) == needed >= 3
    assert judge(tested, sample(mean, std, needed), rows=rows).verdict == ahead.expected != "inconclusive"
    assert judge(tested, sample(mean, std, needed - 1), rows=rows).verdict == "inconclusive"


def test_claim_off_the_mean_is_put_outside():
    # Half widths at n = 4, 5: 3.1824 sqrt(5/4) s = 3.558 s and 2.7764 sqrt(6/5) s = 3.041 s; the claim is 3.3 s off.
    ahead = outlook(sample(0.61 - 0.033, 0.01, 4), claim(resolution=0.0), None)
    assert (ahead.to_verdict, ahead.to_exclude, ahead.expected) == (5, 5, "below the claim")


def test_claim_near_the_mean_is_reproduced_within_the_tolerance():
    ahead = outlook(sample(0.61, 0.01, 4), claim(resolution=0.0, tolerance=0.033), None)
    assert (ahead.to_verdict, ahead.to_exclude, ahead.expected) == (5, None, "reproduced")


def test_both_numbers_are_told_where_reproducing_comes_first():
    # n = 6: 2.5706 sqrt(7/6) s = 2.777 s, the first below 2.8 s.
    ahead = outlook(sample(0.61 - 0.028, 0.01, 4), claim(resolution=0.0, tolerance=0.04), None)
    assert (ahead.to_verdict, ahead.to_exclude, ahead.expected) == (4, 6, "reproduced")
    assert "To put it outside takes 6" in ahead.reason


def test_no_number_of_seeds_makes_up_for_a_small_test_set():
    # 1.96 sqrt(0.61 0.39 / 100) = 9.6 points, the seeds' spread 1.96 x 1, the rounding 0.5.
    ahead = outlook(sample(0.60, 0.01, 4), claim(tolerance=0.03), 100)
    assert ahead.to_verdict is None and seeds_needed(sample(0.60, 0.01, 4), claim(tolerance=0.03), 100) is None
    for figure in (
        "9.6 points from the test set's 100 rows",
        "2.0 points from the spread",
        "0.5 points from the round",
    ):
        assert figure in ahead.reason


@pytest.mark.parametrize("values", [[], [0.6]])
def test_without_a_spread_three_seeds_come_first(values):
    ahead = outlook(values, claim(tolerance=0.03), 1000)
    assert (ahead.to_verdict, ahead.expected) == (3, None)


# --- plans from records -----------------------------------------------------------------------------------------------


def paper(claims: tuple[Claim, ...], *records: RunRecord) -> PaperRuns:
    return PaperRuns("someone2020", make_spec(claims=claims), tuple(Run(path, r) for path, r in placed(*records)))


def runs(*accuracies: float, **fields: object) -> list[RunRecord]:
    spec = make_spec()
    return [make_record(spec, seed=s, accuracy=a, **fields) for s, a in enumerate(accuracies)]  # type: ignore[arg-type]


def test_plan_takes_the_group_with_the_most_runs_that_are_done():
    spec = make_spec()
    few = runs(0.60, 0.61, device=GPU)
    many = [*runs(0.50, 0.51, 0.52, device=CPU), make_record(spec, seed=3, accuracy=0.9, status="failed")]
    other_protocol = runs(0.70, 0.71, 0.72, 0.73, 0.74, protocol=CLEAN)
    drawn = runs(0.1, 0.2, 0.3, 0.4, 0.5, data=data(synthetic=True))
    [plan] = seed_plans(paper((headline(),), *few, *many, *other_protocol, *drawn))
    assert (plan.n_now, plan.device, plan.measured) == (3, "cpu: Test CPU", "51.0 ± 1.0 %")
    assert plan.rows == 100
    assert plan.verdict_now == "inconclusive"  # 9.6 points binomial, 5.0 seeds, 0.5 rounding
    assert (plan.n_needed, plan.hours_needed) == (None, None)


def test_hours_are_those_of_the_missing_seeds():
    [plan] = seed_plans(paper((headline(),), *runs(0.60, epoch_s=899.0)))
    assert (plan.n_now, plan.n_needed) == (1, 3)
    assert plan.hours_needed == pytest.approx(2.0)  # 4 epochs of 900 s, two seeds to come


def test_nothing_is_missing_once_the_verdict_is_there():
    [plan] = seed_plans(paper((headline(),), *runs(0.30, 0.31, 0.32)))
    assert (plan.verdict_now, plan.expected) == ("below the claim", "below the claim")
    assert (plan.n_needed, plan.hours_needed) == (3, 0.0)


def test_shortened_runs_do_not_count():
    short = runs(0.60, 0.61, status="partial", epochs=2, overrides=Overrides(epochs=2))
    [plan] = seed_plans(paper((headline(epoch=1),), *short))
    assert (plan.n_now, plan.hours_needed, plan.device) == (0, None, "")


def test_plans_are_of_accuracies_that_can_be_measured():
    claims = (headline(), claim("loss", unit="nat"), claim("hours", unit="h"), claim("not", not_measured="lost"))
    assert [plan.claim for plan in seed_plans(paper(claims))] == ["main"]


def test_document_and_text_tell_the_same():
    claims = (headline(), claim("wide", variant="wide"), claim("loss", unit="nat"))
    both = paper(claims, *runs(0.58, 0.60, 0.62))
    document = json.loads(json.dumps(plan_document(both)))
    assert (document["paper"], document["level"]) == ("someone2020", 0.95)
    assert [plan["claim"] for plan in document["claims"]] == ["main", "wide"]
    text = plan_text(both)
    for plan in document["claims"]:
        assert plan["reason"] in text and plan["reported"] in text and plan["verdict_now"] in text
    assert "repro run papers/someone2020.toml --variant wide --seeds 3" in text
    assert "someone2020.toml --seeds" not in text  # no number of seeds would do for the headline


def test_commands_name_a_paper_of_the_suite_by_its_id_and_others_by_their_file():
    claims = (headline(),)
    assert "\nrepro run papers/someone2020.toml --seeds 3" in plan_text(paper(claims))
    known = PaperRuns("teta2022", find_paper("teta2022"), ())
    assert "\nrepro run teta2022 --seeds 3" in plan_text(known)


def test_paper_without_claims_says_so():
    assert "no accuracy" in plan_text(paper(()))


def test_a_results_folder_that_is_not_there_is_no_paper_without_runs(tmp_path):
    called = CliRunner().invoke(main, ["plan", "teta2022", "--results", str(tmp_path / "nowhere")])
    assert called.exit_code == 2 and "no such folder; `repro run` makes it" in called.stderr
