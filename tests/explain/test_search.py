"""repro.explain.search without training: what is concluded from the runs of a results folder."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from explain_runs import explained, paper, run_of, standings, write_runs
from report_records import claim, data

from repro.explain.stated import CLASS_SUBSET, DUPLICATES
from repro.runs.folders import record_folder
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.records import Overrides
from repro.runs.stored_records import write_record
from repro.specs.protocols import (
    AS_PUBLISHED,
    BEST_EPOCH_ON_TEST,
    CLEAN,
    EVALUATED_ON_TRAINING,
    OFFICIAL,
    TRAINED_ON_ALL,
)
from repro.specs.spec import Curve, Provenance

LOW = (0.445, 0.450, 0.455)  # clean runs, 15 points below the claim of 60 %
HIGH = (0.595, 0.600, 0.605)
SEVEN = {"model.layers[1]": (Provenance(kind="stated", quote="seven classes", place="Sec. 1"),)}


def seven_classes(spec, **more):
    return dataclasses.replace(spec, provenance=SEVEN | more)


@pytest.fixture
def spec():
    return seven_classes(paper())


def test_the_one_error_that_moves_the_runs_to_the_claim_is_proven(tmp_path, spec):
    """The other errors are excluded by their runs: two that evaluate what was trained on cannot be told apart unless
    one of them was trained and missed."""
    runs = {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, TRAINED_ON_ALL: (0.52, 0.53, 0.525), OFFICIAL: LOW}
    write_runs(tmp_path, spec, runs | {BEST_EPOCH_ON_TEST: (0.46, 0.465, 0.455)})
    found = explained(tmp_path, spec)
    assert (found.conclusion, found.cause) == ("proven", EVALUATED_ON_TRAINING)
    assert standings(found) == {
        EVALUATED_ON_TRAINING: "credited",
        DUPLICATES: "excluded",
        TRAINED_ON_ALL: "excluded",
        BEST_EPOCH_ON_TEST: "excluded",
        "suspect-oversampled-before-split": "excluded",
        "suspect-augmented-before-split": "excluded",
        CLASS_SUBSET: "excluded",
    }
    assert set(found.settings) == {CLEAN, *runs, BEST_EPOCH_ON_TEST} and found.next_steps == ()


def test_two_errors_that_reach_the_claim_are_both_named(tmp_path, spec):
    write_runs(tmp_path, spec, {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, TRAINED_ON_ALL: HIGH, OFFICIAL: LOW})
    found = explained(tmp_path, spec)
    assert found.conclusion == "several hypotheses" and found.cause == ""
    assert [name for name, one in standings(found).items() if one == "credited"] == [
        EVALUATED_ON_TRAINING,
        TRAINED_ON_ALL,
    ]


def test_seeds_that_are_missing_leave_a_hypothesis_open_with_its_price(tmp_path, spec):
    write_runs(tmp_path, spec, {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, TRAINED_ON_ALL: HIGH[:2], OFFICIAL: LOW})
    found = explained(tmp_path, spec)
    by_name = {one.suspect: one for one in found.suspects}
    missing = by_name[TRAINED_ON_ALL]
    assert found.conclusion == "several hypotheses" and missing.standing == "open"
    assert missing.missing_runs == 1 and missing.minutes == pytest.approx(0.7), "a run takes 44 s"
    assert any("1 more run, about 1 minute" in step for step in found.next_steps)


def test_a_far_run_or_a_far_estimate_excludes_without_three_seeds(tmp_path):
    spec = seven_classes(paper(0.95))
    write_runs(tmp_path, spec, {CLEAN: LOW, OFFICIAL: (0.5,)})
    found = explained(tmp_path, spec)
    by_name = {one.suspect: one for one in found.suspects}
    assert by_name[DUPLICATES].standing == "excluded" and by_name[DUPLICATES].how == "measured"
    assert by_name[TRAINED_ON_ALL].how == "estimated", "training accuracy is 65 %"
    assert set(standings(found).values()) == {"excluded"} and found.conclusion == "not known"
    assert "No error that was considered gives the claim" in found.why[-1]


def test_a_contradiction_with_the_paper_outweighs_runs_that_fit(tmp_path, spec):
    stated = {"data.steps[0]": (Provenance(kind="stated", quote="a separate test set", place="Sec. 2"),)}
    spec = seven_classes(spec, **stated)
    write_runs(tmp_path, spec, {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, TRAINED_ON_ALL: HIGH, OFFICIAL: LOW})
    found = explained(tmp_path, spec)
    assert standings(found)[EVALUATED_ON_TRAINING] == standings(found)[TRAINED_ON_ALL] == "excluded"
    assert found.conclusion != "proven"
    reason = next(one.reason for one in found.suspects if one.suspect == EVALUATED_ON_TRAINING)
    assert "contradicts the paper" in reason and "a separate test set" in reason


def test_printed_sample_counts_that_do_not_arise_here_forbid_a_conclusion(tmp_path):
    rows = claim("rows", unit="rows", value=25_000, resolution=1, split="train", tolerance=0)
    spec = seven_classes(paper(claims=(rows,)))
    runs = {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, TRAINED_ON_ALL: (0.52, 0.53, 0.525), OFFICIAL: LOW}
    write_runs(tmp_path, spec, runs | {AS_PUBLISHED: LOW, BEST_EPOCH_ON_TEST: LOW})
    found = explained(tmp_path, spec)
    assert standings(found)[EVALUATED_ON_TRAINING] == "credited"
    assert found.conclusion == "not known" and found.cause == ""
    assert found.other_reasons == ("the paper prints 25,000 samples in split train; its data steps give 28,709 here",)


def test_a_clean_accuracy_that_is_the_claim_needs_no_cause(tmp_path):
    spec = paper(0.45)
    write_runs(tmp_path, spec, {CLEAN: LOW})
    found = explained(tmp_path, spec)
    assert found.conclusion == "nothing to explain" and found.suspects == ()


def test_an_open_verdict_is_not_nothing_to_explain(tmp_path):
    """The clean runs hold the claim, but with so much spread that it could be more than three points off."""
    spec = paper(0.45)
    write_runs(tmp_path, spec, {CLEAN: (0.440, 0.450, 0.460)})
    found = explained(tmp_path, spec)
    assert found.conclusion == "not known" and "open whether there is a gap" in found.why[0]
    assert found.next_steps and "clean runs in all would decide it" in found.next_steps[0]


def test_a_claim_below_the_clean_accuracy_is_no_matter_of_overlap(tmp_path):
    spec = paper(0.30)
    write_runs(tmp_path, spec, {CLEAN: LOW})
    found = explained(tmp_path, spec)
    assert found.conclusion == "not known" and "above the claim" in found.why[0]


def test_without_three_clean_runs_nothing_is_known(tmp_path, spec):
    write_runs(tmp_path, spec, {CLEAN: LOW[:2], EVALUATED_ON_TRAINING: HIGH})
    old = run_of(spec, CLEAN, 2, 0.45, paper=spec.id)
    old = msgspec.structs.replace(old, spec_sha256="0" * 64)
    write_record(record_folder(tmp_path, old), old)
    found = explained(tmp_path, spec)
    assert found.conclusion == "not known" and found.suspects == ()
    assert "2 of at least 3 clean runs" in found.why[0] and "1 run of an older definition" in found.why[1]
    assert found.next_steps == ("protocol clean: 1 more run, about 1 minute",)


def selected(value, tries):
    spec = paper(value)
    main = msgspec.structs.replace(spec.spec.claims[0], selected_from="a sweep", tries=tries)
    return dataclasses.replace(spec, spec=msgspec.structs.replace(spec.spec, claims=(main,)))


def test_an_unknown_number_of_tries_is_another_reason_for_a_gap(tmp_path):
    spec = selected(0.485, None)
    write_runs(tmp_path, spec, {CLEAN: (0.4475, 0.45, 0.4525), EVALUATED_ON_TRAINING: HIGH})
    found = explained(tmp_path, spec)
    assert found.conclusion == "not known" and found.cause == ""
    (reason,) = found.other_reasons
    assert reason.startswith("the claim is the best of an unknown number of tries (a sweep); the best of ")
    assert reason.endswith("clean runs reaches it with even chance")


def test_no_hundred_tries_reach_a_claim_that_is_far(tmp_path):
    spec = selected(0.98, None)
    write_runs(tmp_path, spec, {CLEAN: (0.4475, 0.45, 0.4525), EVALUATED_ON_TRAINING: HIGH})
    assert explained(tmp_path, spec).other_reasons == ()


def test_a_known_number_of_tries_is_counted(tmp_path):
    """The best of 500 may be 48.5 %, so that there may be no gap."""
    spec = selected(0.485, 500)
    write_runs(tmp_path, spec, {CLEAN: (0.4475, 0.45, 0.4525), EVALUATED_ON_TRAINING: HIGH})
    found = explained(tmp_path, spec)
    assert "open whether there is a gap" in found.why[0] and not found.other_reasons


def test_runs_of_the_same_settings_are_the_same_runs(tmp_path):
    steps = [
        {"step": "split_by_usage", "into": {"train": ["Training"]}},
        {"step": "copy_split", "from_split": "train", "into": "validation"},
        {"step": "copy_split", "from_split": "train", "into": "test"},
    ]
    training = paper().raw["training"] | {"evaluate": ["validation"], "report_split": "validation"}
    spec = seven_classes(paper(data={"steps": steps}, training=training))
    write_runs(tmp_path, spec, {CLEAN: LOW, AS_PUBLISHED: HIGH, OFFICIAL: LOW, TRAINED_ON_ALL: (0.5, 0.51, 0.505)})
    found = explained(tmp_path, spec)
    credited = found.suspects[0]
    assert (credited.suspect, credited.standing, credited.same_runs_as) == (
        EVALUATED_ON_TRAINING,
        "credited",
        AS_PUBLISHED,
    )
    assert credited.accuracies == HIGH
    assert not list(tmp_path.glob(f"runs/*/default/cpu/{EVALUATED_ON_TRAINING}")), "nothing is written"


def test_shortened_failed_and_synthetic_runs_do_not_count(tmp_path, spec):
    write_runs(tmp_path, spec, {CLEAN: LOW[:2]})
    for seed, fields in (
        (2, {"status": "failed"}),
        (3, {"overrides": Overrides(epochs=1), "status": "partial"}),
        (4, {"training_version": 0}),
    ):
        record = msgspec.structs.replace(run_of(spec, CLEAN, seed, 0.45), **fields)
        write_record(record_folder(tmp_path, record), record)
    synthetic = run_of(spec, CLEAN, 5, 0.45)
    synthetic = msgspec.structs.replace(synthetic, data=data(synthetic=True))
    write_record(record_folder(tmp_path, synthetic), synthetic)
    assert explained(tmp_path, spec).clean == LOW[:2]


def test_probabilities_of_a_clean_run_tell_of_fewer_classes(tmp_path):
    """The paper does not say how many classes there are, and three of them would give the claim."""
    spec = paper()
    write_runs(tmp_path, spec, {CLEAN: LOW})
    labels = np.arange(700) % 7
    random = np.random.default_rng(0)
    guess = np.where(random.random(700) < 0.45, labels, random.integers(0, 7, 700))
    folder = record_folder(tmp_path, run_of(spec, CLEAN, 0, 0.45))
    np.savez(folder / PREDICTIONS_NAME, **{"test.probability": np.eye(7)[guess] + 0.01, "test.label": labels})
    found = next(one for one in explained(tmp_path, spec).suspects if one.suspect == CLASS_SUBSET)
    assert found.standing == "open" and "classes" in found.evidence[0].text and found.missing_runs == 0


def test_the_papers_curve_tells_two_errors_apart(tmp_path):
    """Both end at the claim; one rises as the paper's curve does, the other is 20 points lower in its first epochs."""
    curve = Curve(
        id="curve",
        quantity="accuracy",
        unit="fraction",
        resolution=0.001,
        split="test",
        epochs=(1, 2, 3, 4),
        values=(0.570, 0.580, 0.590, 0.600),
        quote="a curve",
        place="Figure 1",
    )
    spec = seven_classes(paper())
    spec = dataclasses.replace(spec, spec=msgspec.structs.replace(spec.spec, curves=(curve,)))
    runs = {CLEAN: LOW, EVALUATED_ON_TRAINING: HIGH, OFFICIAL: LOW, BEST_EPOCH_ON_TEST: LOW}
    write_runs(tmp_path, spec, runs)
    for seed, value in enumerate(HIGH):
        record = run_of(spec, TRAINED_ON_ALL, seed, value)
        history = tuple(
            msgspec.structs.replace(
                entry,
                splits={
                    "validation": msgspec.structs.replace(
                        entry.splits["validation"], accuracy=value - 0.2 * (entry.epoch < 4)
                    )
                },
            )
            for entry in record.history
        )
        record = msgspec.structs.replace(record, history=history)
        write_record(record_folder(tmp_path, record), record)
    found = explained(tmp_path, spec)
    assert (found.conclusion, found.cause) == ("proven", EVALUATED_ON_TRAINING)
    told = {one.suspect: {e.kind: e.fits for e in one.evidence} for one in found.suspects}
    assert told[EVALUATED_ON_TRAINING]["curve"] is True and told[DUPLICATES]["curve"] is False
    assert told[TRAINED_ON_ALL] | {"paper": None} == {
        "seeds": True,
        "effect": True,
        "claim": True,
        "paper": None,
        "curve": False,
    }, "all rules but the curve speak for it"
