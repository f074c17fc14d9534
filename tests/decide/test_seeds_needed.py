"""repro.decide.seeds_needed: the number of seeds agrees with the verdict there, and plans come from the right runs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from report_records import CPU, GPU, claim, data, headline, make_record, make_spec, placed

from repro.cli.main import main
from repro.decide.seeds_needed import plan_document, plan_to_show, seed_plans
from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.judgements import judge_claims
from repro.runs.records import Overrides, RunRecord
from repro.specs.catalog import find_paper
from repro.specs.protocols import CLEAN
from repro.specs.spec import Claim
from repro.text.terminal import terminal

# --- plans from records -----------------------------------------------------------------------------------------------


def paper(claims: tuple[Claim, ...], *records: RunRecord) -> PaperRuns:
    return PaperRuns(
        "someone2020", make_spec(claims=claims), tuple(RecordedRun(path, r) for path, r in placed(*records))
    )


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
    assert (plan.verdict_now, plan.n_needed, plan.hours_needed) == ("lower", 3, 0.0)


def test_hours_are_those_of_the_missing_seeds():
    [plan] = seed_plans(paper((headline(),), *runs(0.60, epoch_s=899.0)))
    assert (plan.n_now, plan.n_needed) == (1, 3)
    assert plan.hours_needed == pytest.approx(2.0)  # 4 epochs of 900 s, two seeds to come


def test_nothing_is_missing_once_the_verdict_is_there():
    [plan] = seed_plans(paper((headline(),), *runs(0.30, 0.31, 0.32)))
    assert (plan.verdict_now, plan.expected, plan.decided) == ("lower", "lower", True)
    assert (plan.n_needed, plan.hours_needed) == (3, 0.0)


def test_shortened_runs_do_not_count():
    short = runs(0.60, 0.61, status="partial", epochs=2, overrides=Overrides(epochs=2))
    [plan] = seed_plans(paper((headline(epoch=1),), *short))
    assert (plan.n_now, plan.hours_needed, plan.device) == (0, None, "")


def test_plans_are_of_accuracies_that_can_be_measured():
    claims = (headline(), claim("loss", unit="nat"), claim("hours", unit="h"), claim("not", not_measured="lost"))
    assert [plan.claim for plan in seed_plans(paper(claims))] == ["main"]


def words(of: PaperRuns) -> str:
    """What the terminal shows, on one line."""
    return " ".join(terminal(plan_to_show(of)).split())


def test_document_and_text_tell_the_same():
    claims = (headline(), claim("wide", variant="wide"), claim("loss", unit="nat"))
    both = paper(claims, *runs(0.58, 0.60, 0.62))
    document = json.loads(json.dumps(plan_document(both)))
    assert (document["paper"], document["level"]) == ("someone2020", 0.05)
    assert [plan["claim"] for plan in document["claims"]] == ["main", "wide"]
    text = words(both)
    for plan in document["claims"]:
        assert plan["reason"] in text and plan["reported"] in text and plan["verdict_now"] in text
    assert "repro run papers/someone2020.toml --variant wide --seeds 3" in text
    assert document["claims"][0]["n_needed"] is None
    assert "someone2020.toml --seeds" not in text, "no number of seeds would do for the headline"


@pytest.mark.parametrize("values", [(0.60,), (0.58, 0.60, 0.62), (0.57, 0.58, 0.61), (0.606, 0.61, 0.614)])
@pytest.mark.parametrize("tolerance", [0.012, 0.03])
def test_plan_and_page_never_contradict_each_other(values, tolerance):
    both = paper((headline(), claim("end", epoch=4, value=0.60, tolerance=tolerance)), *runs(*values))
    judged = judge_claims(both, [])
    for plan in seed_plans(both):
        page = judged[plan.claim]
        assert (plan.verdict_now, plan.reason) == (page.verdict, page.reason)
        assert plan.decided is (page.word != "open")
        if page.published and page.published.seeds_needed:
            assert plan.n_needed == page.published.seeds_needed > plan.n_now
            assert plan.expected is None or plan.expected != "open"
        if not plan.decided and plan.n_needed is None:
            assert "no number of seeds" in page.reason


def test_commands_name_a_paper_of_the_suite_by_its_id_and_others_by_their_file():
    claims = (headline(),)
    assert "- repro run papers/someone2020.toml --seeds 3" in words(paper(claims))
    known = PaperRuns("teta2022", find_paper("teta2022"), ())
    assert "- repro run teta2022 --seeds 3" in words(known)


def test_paper_without_claims_says_so():
    assert "no accuracy" in words(paper(()))


def test_a_results_folder_that_is_not_there_is_no_paper_without_runs(tmp_path):
    called = CliRunner().invoke(main, ["plan", "teta2022", "--results", str(tmp_path / "nowhere")])
    assert called.exit_code == 2 and "no such folder; `repro run` makes it" in called.stderr
