"""repro.report.judgements: every claim is judged by the runs that measured it, and by honest ones beside them."""

from __future__ import annotations

import msgspec
import pytest
from report_records import CPU, EPOCHS, GPU, audited, claim, headline, make_record, make_spec, metrics, placed
from test_report_taxonomy import audit, overlap

from repro.plan import settings_sha256
from repro.protocols import CLEAN, OFFICIAL, under_protocol
from repro.records import Device, RunRecord
from repro.report.groups import PaperRuns, Run
from repro.report.judgements import judge_claims, rows_behind
from repro.spec import Claim

SPEC = make_spec()
PUBLISHED, HONEST = (0.606, 0.610, 0.614), (0.40, 0.405, 0.41)
LEAK = audited(audit(overlap("same row", 900, "repeat_class1")))


def runs(*accuracies: float, n: int = 100_000, device: Device = CPU, **fields: object) -> list[RunRecord]:
    return [
        make_record(SPEC, seed=s, accuracy=a, device=device, **({"metrics": measured(a, n)} | fields))  # type: ignore[arg-type]
        for s, a in enumerate(accuracies)
    ]


def measured(accuracy: float, n: int) -> dict[str, object]:
    return {"test": type(metrics(0.5))(accuracy=accuracy, loss=1.0, n=n)}


def honest(protocol: str, *accuracies: float, device: Device = CPU) -> list[RunRecord]:
    settings = settings_sha256(under_protocol(SPEC.spec, protocol))
    return runs(*accuracies, device=device, protocol=protocol, spec_sha256=settings)


def paper(claims: tuple[Claim, ...], *records: RunRecord) -> PaperRuns:
    return PaperRuns("someone2020", make_spec(claims=claims), tuple(Run(path, r) for path, r in placed(*records)))


def test_leaky_claim_is_only_as_published_where_the_clean_runs_miss_it():
    of = paper((headline(),), *runs(*PUBLISHED), *honest(CLEAN, *HONEST))
    judged = judge_claims(of, [LEAK])["main"]
    assert judged.verdict == "only as published"
    assert judged.honest_interval is not None and judged.honest_interval.centre == pytest.approx(0.405)
    assert judge_claims(of, [])["main"].verdict == "reproduced"


def test_leak_counts_for_its_split_and_variant_alone():
    of = paper((headline(),), *runs(*PUBLISHED), *honest(CLEAN, *HONEST))
    for other in (
        audited(audit(overlap("same row", 500, "copy_split1", split="validation"))),
        audited(audit()),
        audited(*LEAK.audits, fingerprint="another data set"),
        audited(msgspec.structs.replace(LEAK.audits[0], variant="wide")),
        audited(msgspec.structs.replace(LEAK.audits[0], protocol=OFFICIAL)),
    ):
        assert judge_claims(of, [other])["main"].verdict == "reproduced"


def test_a_protocol_that_nobody_audited_is_not_taken_for_one_without_a_leak():
    of = paper((headline(), claim("batch", split="minibatch", tolerance=0.1, value=0.81)), *runs(*PUBLISHED))
    elsewhere = audited(audit(), fingerprint="another data set")
    assert (
        judge_claims(of, [elsewhere])["main"].caveat == judge_claims(of, [])["main"].caveat == "not audited for leaks"
    )
    assert judge_claims(of, [audited(audit())])["main"].caveat == ""
    batch = judge_claims(of, [])["batch"]
    assert (batch.verdict, batch.caveat) == ("reproduced", ""), "a figure of training rows has no leak"


def test_clean_runs_go_before_official_ones_and_official_ones_before_none():
    everything = [*runs(*PUBLISHED), *honest(OFFICIAL, *HONEST)]
    judged = judge_claims(paper((headline(),), *everything), [LEAK])["main"]
    assert judged.verdict == "only as published"
    everything += honest(CLEAN, 0.60, 0.61, 0.62)
    assert judge_claims(paper((headline(),), *everything), [LEAK])["main"].verdict == "reproduced"


def test_honest_runs_are_of_the_same_device():
    of = paper((headline(),), *runs(*PUBLISHED), *honest(CLEAN, *HONEST, device=GPU))
    judged = judge_claims(of, [LEAK])["main"]
    assert judged.verdict == "reproduced" and "no run without the leak" in judged.reason


def test_honest_runs_speak_of_the_end_of_a_run_alone():
    claims = (headline(), claim("end", epoch=EPOCHS), claim("middle", epoch=2), claim("rows", unit="rows", value=3589))
    judged = judge_claims(paper(claims, *runs(*PUBLISHED), *honest(CLEAN, *HONEST)), [LEAK])
    assert {id for id, one in judged.items() if one.honest_interval} == {"main", "end"}


def test_claims_without_runs_and_times_are_left_out():
    claims = (headline(), claim("wide", variant="wide"), claim("hours", unit="h"), claim("not", not_measured="lost"))
    assert set(judge_claims(paper(claims, *runs(*PUBLISHED)), [])) == {"main"}
    assert judge_claims(paper(claims), []) == {}


def test_rows_are_those_of_the_records():
    wide, narrow = (
        judge_claims(paper((headline(),), *runs(*PUBLISHED, n=n)), [])["main"].interval for n in (100, 10_000)
    )
    assert wide is not None and narrow is not None
    assert wide.binomial == pytest.approx(10 * narrow.binomial) and narrow.binomial > 0


def test_rows_behind_a_claim_are_those_that_its_figure_counted():
    record = make_record(make_spec(), metrics={"test": metrics(0.5)})
    assert rows_behind(claim(), [record]) == 100
    assert rows_behind(claim(split="minibatch", step=99), [record]) == 100
    assert rows_behind(claim(split="validation"), [record]) is None
    assert rows_behind(claim(), []) is None
