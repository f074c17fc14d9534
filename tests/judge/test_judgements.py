"""repro.judge.judgements: every claim is judged by the runs that measured it, and by corrected runs beside them."""

from __future__ import annotations

import msgspec
import pytest
from leakage_audits import audit, overlap
from report_records import CPU, EPOCHS, GPU, audited, claim, headline, make_record, make_spec, metrics, placed

from repro.judge.groups import PaperRuns, RecordedRun
from repro.judge.judged_facts import judge_fact, judge_rank
from repro.judge.judgements import evaluated_samples, judge_claims, judge_runs
from repro.judge.verdicts import holds, reproduces
from repro.runs.plan import settings_sha256
from repro.runs.records import Device, RunRecord
from repro.specs.protocols import CLEAN, OFFICIAL, under_protocol
from repro.specs.spec import Claim

SPEC = make_spec()
PUBLISHED, CORRECTED = (0.606, 0.610, 0.614), (0.40, 0.405, 0.41)
LEAK = audited(audit(overlap("same row", 900, "repeat_class1")))


def runs(*accuracies: float, n: int = 100_000, device: Device = CPU, **fields: object) -> list[RunRecord]:
    return [
        make_record(SPEC, seed=s, accuracy=a, device=device, **({"metrics": measured(a, n)} | fields))  # type: ignore[arg-type]
        for s, a in enumerate(accuracies)
    ]


def measured(accuracy: float, n: int) -> dict[str, object]:
    return {"test": type(metrics(0.5))(accuracy=accuracy, loss=1.0, n=n)}


def full_runs(protocol: str, *accuracies: float, device: Device = CPU) -> list[RunRecord]:
    settings = settings_sha256(under_protocol(SPEC.resolve("default"), protocol))
    return runs(*accuracies, device=device, protocol=protocol, spec_sha256=settings)


def paper(claims: tuple[Claim, ...], *records: RunRecord) -> PaperRuns:
    return PaperRuns(
        "someone2020", make_spec(claims=claims), tuple(RecordedRun(path, r) for path, r in placed(*records))
    )


def both(*accuracies: float) -> list[RunRecord]:
    return [*full_runs(CLEAN, *accuracies), *full_runs(OFFICIAL, *accuracies)]


def test_a_leaky_claim_is_only_as_published_if_official_and_clean_runs_miss_it():
    of = paper((headline(),), *runs(*PUBLISHED), *both(*CORRECTED))
    judged = judge_claims(of, [LEAK])["main"]
    assert judged.word == "only as published"
    assert judged.clean is not None and judged.clean.mean == pytest.approx(0.405)
    assert (reproduces(judged), holds(headline(), judged)) == ("yes", "no")
    assert judge_claims(of, [])["main"].word == "reproduced"


@pytest.mark.parametrize(
    ("others", "answer"),
    [
        ([], "open: not run"),
        (full_runs(CLEAN, *CORRECTED), "open: no official run"),
        (full_runs(OFFICIAL, *CORRECTED), "open: no clean run"),
        ([*full_runs(CLEAN, *CORRECTED), *full_runs(OFFICIAL, *PUBLISHED)], "only with the dataset's duplicates"),
        ([*full_runs(CLEAN, *PUBLISHED), *full_runs(OFFICIAL, *CORRECTED)], "yes"),
        (both(*PUBLISHED), "yes"),
        ([*full_runs(CLEAN, *CORRECTED[:2]), *full_runs(OFFICIAL, *CORRECTED)], "open: 1 more seed"),
        (
            [*full_runs(CLEAN, *CORRECTED), *full_runs(OFFICIAL, 0.55, 0.58, 0.61)],
            "open: official runs, single runs leave ±6.4 points",
        ),
    ],
)
def test_one_protocol_that_misses_a_claim_is_no_accusation(others, answer):
    judged = judge_claims(paper((headline(),), *runs(*PUBLISHED), *others), [LEAK])["main"]
    assert judged.word == "reproduced"
    assert holds(headline(), judged) == answer
    assert bool(judged.caveat) is (answer != "yes")
    if answer.startswith("only"):
        assert judged.caveat == answer, "the page gives one answer in both places"


def test_leak_counts_for_its_split_and_variant_alone():
    of = paper((headline(),), *runs(*PUBLISHED), *both(*CORRECTED))
    for other in (
        audited(audit(overlap("same row", 500, "copy_split1", split="validation"))),
        audited(audit()),
        audited(*LEAK.audits, fingerprint="another dataset"),
        audited(msgspec.structs.replace(LEAK.audits[0], variant="wide")),
        audited(msgspec.structs.replace(LEAK.audits[0], protocol=OFFICIAL)),
    ):
        assert judge_claims(of, [other])["main"].word == "reproduced"


def test_a_protocol_that_nobody_audited_is_not_taken_for_one_without_a_leak():
    of = paper((headline(), claim("batch", split="minibatch", tolerance=0.1, value=0.81)), *runs(*PUBLISHED))
    elsewhere = audited(audit(), fingerprint="another dataset")
    assert (
        judge_claims(of, [elsewhere])["main"].caveat == judge_claims(of, [])["main"].caveat == "not audited for leaks"
    )
    assert judge_claims(of, [audited(audit())])["main"].caveat == ""
    assert judge_claims(of, [])["batch"].caveat == "", "a figure of training samples has no leak"


def test_runs_without_overlap_are_of_the_same_device():
    of = paper((headline(),), *runs(*PUBLISHED), *full_runs(CLEAN, *CORRECTED, device=GPU))
    judged = judge_claims(of, [LEAK])["main"]
    assert (judged.word, judged.clean) == ("reproduced", None)


def test_runs_without_overlap_speak_of_the_end_of_a_run_alone():
    claims = (headline(), claim("end", epoch=EPOCHS), claim("middle", epoch=2), claim("rows", unit="rows", value=3589))
    judged = judge_claims(paper(claims, *runs(*PUBLISHED), *both(*CORRECTED)), [LEAK])
    assert {id for id, one in judged.items() if one.clean} == {"main", "end"}


def test_claims_without_runs_and_times_are_left_out():
    claims = (headline(), claim("wide", variant="wide"), claim("hours", unit="h"), claim("not", not_measured="lost"))
    assert set(judge_claims(paper(claims, *runs(*PUBLISHED)), [])) == {"main"}
    assert judge_claims(paper(claims), []) == {}


def test_an_accuracy_without_a_tolerance_takes_that_of_the_headline():
    claims = (headline(), claim("end", epoch=EPOCHS), claim("loss", unit="nat", value=1.0, resolution=0.01))
    spread = [
        make_record(SPEC, seed=s, accuracy=a, metrics={"test": metrics(a, loss=1 + 0.001 * s)})
        for s, a in enumerate(PUBLISHED)
    ]
    judged = judge_claims(paper(claims, *spread), [])
    assert (judged["end"].word, judged["loss"].word) == ("reproduced", "consistent")
    none = judge_claims(paper((claim("alone"),), *runs(*PUBLISHED)), [])
    assert none["alone"].word == "consistent" and "no tolerance" in none["alone"].reason


def test_the_same_runs_under_two_names_count_once():
    same = [msgspec.structs.replace(r, protocol=OFFICIAL, same_run_as="as-published") for r in runs(*PUBLISHED)]
    settings = settings_sha256(under_protocol(SPEC.resolve("default"), OFFICIAL))
    of = paper((headline(),), *[msgspec.structs.replace(r, spec_sha256=settings) for r in (*runs(*PUBLISHED), *same)])
    published, official = ([r.record for r in of.runs if r.record.protocol == p] for p in ("as-published", OFFICIAL))
    judged = judge_runs(headline(), {"as-published": published, OFFICIAL: official}, of, leaky=False)
    assert judged is not None and judged.same_runs
    assert judged.official is judged.published


def test_a_family_of_claims_is_corrected_and_the_headline_is_not():
    many = tuple(claim(f"c{k}", value=0.64, resolution=0.001, tolerance=0.001) for k in range(12))
    main = headline(value=0.64, resolution=0.001)
    judged = judge_claims(paper((main, *many), *runs(*PUBLISHED)), [])
    assert judged["main"].word == "lower" and judged["main"].p_family is None
    assert {judged[c.id].word for c in many} == {"open"}
    assert judged["c0"].published is not None and judged["c0"].p_family == pytest.approx(
        min(1.0, 12 * judged["main"].published.p_differs)  # type: ignore[union-attr]
    )
    assert "corrected for 12 claims" in judged["c0"].reason


def test_seeds_added_until_decided_are_judged_at_the_levels_of_their_looks():
    plain = judge_claims(paper((headline(),), *runs(*PUBLISHED)), [])["main"].published
    added = judge_claims(paper((headline(),), *runs(*PUBLISHED, command="repro run x --until-decided")), [])["main"]
    assert plain is not None and plain.look is None
    assert added.published is not None and added.published.look == 3


def test_a_rank_is_counted_and_differs_only_with_many_runs():
    place = claim(quantity="rank", unit="rank", value=7, resolution=0, emotion="disgust", by="recall")
    assert judge_rank(place, [7, 7, 6]).word == "reproduced"
    assert judge_rank(place, [7, 6]).verdict == "open: 1 more seed"
    assert judge_rank(place, [6] * 18).word == "open" and judge_rank(place, [6] * 20).word == "lower"


@pytest.mark.parametrize(("value", "expected"), [(28_709, "reproduced"), (28_710, "higher"), (28_708, "lower")])
def test_facts_are_compared_exactly_with_one_run(value, expected):
    judged = judge_fact(claim(unit="rows", value=28_709, resolution=1), [value])
    assert (judged.word, judged.published) == (expected, None)


def test_rounded_fact_and_fact_with_a_tolerance():
    rounded = claim(unit="rows", value=36_000, resolution=1000)
    assert [judge_fact(rounded, [v]).word for v in (35_887, 35_400)] == ["reproduced", "lower"]
    pixels = claim(quantity="pixel_mean", unit="1", value=0.49, resolution=1e-6, tolerance=0.005)
    assert [judge_fact(pixels, [v]).word for v in (0.4949, 0.4951)] == ["reproduced", "higher"]


def test_rows_behind_a_claim_are_those_that_its_figure_counted():
    record = make_record(make_spec(), metrics={"test": metrics(0.5)})
    assert evaluated_samples(claim(), [record]) == 100
    assert evaluated_samples(claim(split="minibatch", step=99), [record]) == 100
    assert evaluated_samples(claim(split="validation"), [record]) is None
    assert evaluated_samples(claim(), []) is None


def test_the_best_of_several_tries_has_two_limits_and_the_sentence_names_both():
    values = (0.548, 0.55, 0.552)
    for tries, words in ((None, "the best of up to 100 below "), (6, "the best of 6 below ")):
        selected = msgspec.structs.replace(headline(value=0.58), selected_from="seeds", tries=tries)
        made = judge_claims(paper((selected,), *runs(*values)), [])["main"]
        single = judge_claims(paper((headline(value=0.58),), *runs(*values)), [])["main"]
        expected, _, rest = made.reason.partition(", the best of ")
        assert single.reason.startswith(f"{expected}. "), "what one run gives does not depend on the number of tries"
        assert made.published and made.published.high and single.published and single.published.high
        assert made.published.high > single.published.high
        assert f"the best of {rest}".startswith(f"{words}{100 * made.published.high:.1f} %. ")
