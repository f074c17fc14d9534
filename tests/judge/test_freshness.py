"""repro.judge.freshness: audits and explanations of another spec are said to be outdated, never shown as current."""

from __future__ import annotations

import msgspec
import pytest
from leakage_audits import audit, overlap
from report_records import audited, headline, make_record, make_spec, placed

from fer_jax.duplicates.search import DUPLICATES_VERSION
from repro.audit.records import write_audit
from repro.explain.freshness import is_current
from repro.explain.records import EXPLANATION_FORMAT, Explanation, OlderExplanation, read_explanation, write_explanation
from repro.judge.freshness import current_audit
from repro.judge.groups import settings_now
from repro.report.folder import render_input
from repro.report.inputs import read_input
from repro.runs.plan import settings_sha256
from repro.runs.record_files import RecordError
from repro.runs.stored_records import write_record
from repro.specs.protocols import AS_PUBLISHED, CLEAN, under_protocol

SPEC = make_spec(claims=(headline(value=0.61),))
NOW = {protocol: settings_now(SPEC, "default", protocol) for protocol in (AS_PUBLISHED, CLEAN)}
LEAKY = audit(overlap("same row", 500, "copy_split1"))
FOUND = audited(LEAKY, msgspec.structs.replace(LEAKY, protocol=CLEAN, overlaps=()), settings=NOW)
EXPLANATION = Explanation(
    format=EXPLANATION_FORMAT,
    paper=SPEC.id,
    variant="default",
    claim="main",
    reported=0.61,
    settings={CLEAN: NOW[CLEAN]},
    duplicates_version=DUPLICATES_VERSION,
    data="fer2013",
    fingerprint="ab12cd34ef",
    device="Test CPU",
    clean=(0.5,),
    conclusion="not known",
    cause="",
    why=("No error that was considered gives the claim.",),
)


def test_settings_now_are_those_of_a_run():
    assert NOW[CLEAN] == settings_sha256(under_protocol(SPEC.resolve("default"), CLEAN)) != NOW[AS_PUBLISHED]
    for variant, protocol in (("gone", CLEAN), ("default", "gone"), ("default", "suspect-oversampled-before-split")):
        assert settings_now(SPEC, variant, protocol) == ""


def test_an_audit_keeps_the_protocols_whose_settings_the_spec_still_has():
    assert current_audit(SPEC, FOUND) == FOUND
    changed = msgspec.structs.replace(FOUND, settings=NOW | {AS_PUBLISHED: "older"})
    assert [one.protocol for one in current_audit(SPEC, changed).audits] == [CLEAN]
    searched = msgspec.structs.replace(FOUND, duplicates_version=DUPLICATES_VERSION - 1)
    assert current_audit(SPEC, searched).audits == ()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {CLEAN: "older"}},
        {"settings": {CLEAN: NOW[CLEAN], "suspect-that-is-gone": "older"}},
        {"reported": 0.62},
        {"claim": "another"},
        {"variant": "wide"},
        {"duplicates_version": DUPLICATES_VERSION - 1},
    ],
)
def test_an_explanation_is_of_the_claim_and_of_the_settings(change):
    assert is_current(SPEC, EXPLANATION)
    assert not is_current(SPEC, msgspec.structs.replace(EXPLANATION, **change))


def pages(folder, found, explanation, spec=SPEC):
    records = [make_record(spec, seed=s, accuracy=0.61 + 0.002 * (s - 1)) for s in range(3)]
    clean = [msgspec.structs.replace(r, protocol=CLEAN, spec_sha256=NOW[CLEAN]) for r in records]
    for path, record in placed(*records, *clean):
        write_record(folder / path.parent, record)
    write_audit(folder, found)
    write_explanation(folder, explanation)
    return render_input(read_input(folder, [spec]))["someone2020.md"]


def test_the_page_shows_what_is_current(tmp_path):
    page = pages(tmp_path, FOUND, EXPLANATION)
    assert "Outdated" not in page and "Audited: fer2013 (ab12cd34), variant `default`." in page
    assert "500 of 1,000 test samples" in page and "No error that was considered gives the claim." in page
    assert "On Test CPU, fer2013 (ab12cd34)." in page, "no figure without its device and data"


def test_the_page_says_what_is_outdated(tmp_path):
    old = msgspec.structs.replace(FOUND, settings=dict.fromkeys(NOW, "older"))
    page = pages(tmp_path, old, msgspec.structs.replace(EXPLANATION, reported=0.98))
    assert page.count("**Outdated**") == 2
    assert "test samples (" not in page and "No error that was considered gives the claim." not in page


def test_an_explanation_by_older_rules_is_outdated(tmp_path):
    """Format 1: a suspect counted with one run, whether or not it moved anything."""
    pages(tmp_path, FOUND, EXPLANATION)
    path = tmp_path / "explain" / f"{SPEC.id}.json"
    path.write_text('{"format": 1, "paper": "someone2020", "conclusion": "explained", "cause": "suspect-x"}')
    assert read_explanation(tmp_path, SPEC.id) == OlderExplanation(format=1, paper=SPEC.id)
    page = render_input(read_input(tmp_path, [SPEC]))["someone2020.md"]
    assert "**Outdated**" in page and "suspect-x" not in page
    path.write_text('{"format": 99, "paper": "someone2020"}')
    with pytest.raises(RecordError, match="format 99 is of a newer version"):
        read_explanation(tmp_path, SPEC.id)


def test_an_audit_of_another_variant_is_not_shown_for_the_main_figure(tmp_path):
    wide = msgspec.structs.replace(LEAKY, variant="wide")
    settings = {AS_PUBLISHED: settings_now(SPEC, "wide", AS_PUBLISHED)}
    page = pages(tmp_path, audited(wide, settings=settings), EXPLANATION)
    assert "Not audited yet: `repro audit someone2020`" in page
    spec = make_spec(claims=(headline(value=0.61, variant="wide"),))
    assert "--variant wide" in pages(tmp_path / "other", FOUND, EXPLANATION, spec)
