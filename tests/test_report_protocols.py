"""The main table: reported beside published, official and clean, with inflation seed by seed and a verdict."""

from __future__ import annotations

import msgspec
from report_records import GPU, cells, data, headline, make_record, make_spec, placed

from repro.audit.leakage import LeakageAudit, Overlap
from repro.audit.records import AuditRecord
from repro.plan import settings_sha256
from repro.protocols import AS_PUBLISHED, CLEAN, OFFICIAL, under_protocol
from repro.report import render_results


def record(spec, protocol, seed, accuracy, **fields):
    """A full run under a protocol, as the runner would write it."""
    made = make_record(spec, seed=seed, accuracy=accuracy, **fields)
    settings = settings_sha256(under_protocol(spec.spec, protocol))
    return msgspec.structs.replace(made, protocol=protocol, spec_sha256=settings)


def rows(spec, records, audits=None):
    text = render_results([spec], placed(*records), audits or {})
    table = text.split("## The papers\n")[1].split("\n## ")[0]
    return [dict(zip(cells(table, holding="Reported")[0], row, strict=True)) for row in cells(table, holding=spec.id)]


def audit(spec, *, leaks):
    overlap = Overlap(
        split="test", kind="same row", cause="copy_split1", separated_by="copy_split1", rows=50, share=0.5
    )
    one = LeakageAudit(
        paper=spec.id,
        variant="default",
        protocol=AS_PUBLISHED,
        seed=0,
        steps=(),
        rows={"train": 100, "test": 100},
        overlaps=(overlap,) if leaks else (),
        selections=(),
    )
    kept = AuditRecord(
        format=1,
        paper=spec.id,
        variant="default",
        data="fer2013",
        fingerprint="ab",
        settings={},
        duplicates_version=1,
        audits=(one,),
    )
    return {spec.id: kept}


def three(spec, protocol, centre, **fields):
    return [record(spec, protocol, seed, centre + 0.002 * (seed - 1), **fields) for seed in range(3)]


def test_three_protocols_stand_side_by_side():
    spec = make_spec(claims=(headline(value=0.61),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, OFFICIAL, 0.58) + three(spec, CLEAN, 0.55)
    (row,) = rows(spec, runs)
    assert row["Reported"] == "61 %"
    assert row["As published"] == "61.0 ± 0.2 % (n = 3)"
    assert row["Official"] == "58.0 ± 0.2 % (n = 3)"
    assert row["Clean"] == "55.0 ± 0.2 % (n = 3)"
    assert row["Inflation"] == "+6.0 ± 0.0 points (n = 3)", "the seeds are alike under both, so their difference is too"


def test_the_inflation_is_of_the_seeds_that_ran_under_both():
    spec = make_spec(claims=(headline(value=0.61),))
    runs = [record(spec, AS_PUBLISHED, seed, a) for seed, a in enumerate((0.60, 0.62, 0.90))]
    runs += [record(spec, CLEAN, seed, a) for seed, a in ((1, 0.60), (0, 0.59), (7, 0.10))]
    assert rows(spec, runs)[0]["Inflation"] == "+1.5 ± 0.7 points (n = 2)"


def test_a_leaky_claim_that_honest_runs_miss_is_reproduced_only_as_published():
    spec = make_spec(claims=(headline(value=0.61),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.31)
    wide = {"tolerance": 0.2}
    spec_wide = make_spec(claims=(msgspec.structs.replace(headline(value=0.61), **wide),))
    assert rows(spec_wide, runs, audit(spec, leaks=True))[0]["Verdict"] == "only as published"
    assert rows(spec_wide, runs, audit(spec, leaks=False))[0]["Verdict"] == "reproduced"


def test_what_was_not_run_is_said():
    spec = make_spec(claims=(headline(),))
    (row,) = rows(spec, [])
    assert row["As published"] == "not run" and row["Verdict"] == "—"
    (row,) = rows(spec, three(spec, CLEAN, 0.5))
    assert (row["As published"], row["Official"], row["Inflation"], row["Verdict"]) == ("not run", "not run", "—", "—")


def test_devices_and_data_sets_stand_in_rows_of_their_own():
    spec = make_spec(claims=(headline(),))
    runs = three(spec, AS_PUBLISHED, 0.61) + three(spec, CLEAN, 0.5, device=GPU)
    runs += three(spec, CLEAN, 0.4, data=data(fingerprint="ffffffffff"))
    found = rows(spec, runs)
    assert [row["Clean"].split(" %")[0] for row in found] == ["not run", "40.0 ± 0.2", "50.0 ± 0.2"]
    assert [row["Inflation"] for row in found] == ["—"] * 3


def test_runs_of_other_settings_and_shortened_ones_do_not_count():
    spec = make_spec(claims=(headline(),))
    outdated = [msgspec.structs.replace(r, spec_sha256="other") for r in three(spec, CLEAN, 0.5)]
    partial = [msgspec.structs.replace(r, status="partial") for r in three(spec, OFFICIAL, 0.5)]
    (row,) = rows(spec, three(spec, AS_PUBLISHED, 0.6) + outdated + partial)
    assert (row["Official"], row["Clean"]) == ("not run", "not run")
