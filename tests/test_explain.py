"""The fault behind a reported number is found by training the suspects: planted ones, each in a paper of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from report_records import claim, headline, make_record, make_spec

from repro.cli import main
from repro.decode import SpecError, load_spec
from repro.explain.evidence import best_class_subsets, curve_evidence, rows_evidence
from repro.explain.records import Evidence, SuspectResult, read_explanation
from repro.explain.search import CLASS_SUBSET, DUPLICATES, Search, explained_claim

EPOCHS = 20
PARTS = {"Training": 210, "PrivateTest": 63, "": 63}
# A point above what `make_record` gives at 50 %: 47, 48 and 49 % after epochs 1, 2 and 3, of 100 updates each.
CURVES = {"epoch": {1: 0.48, 2: 0.49, 3: 0.50}, "step": {99: 0.48, 199: 0.49, 299: 0.50}}
CLAIM = """
[[claims]]
id = "main"
quantity = "accuracy"
value = {value}
unit = "fraction"
resolution = 0.01
split = "test"
quote = "so much"
place = "Table 1"
tolerance = 0.04
headline = true
"""
SCHEDULE = """
[training.schedule]
schedule = "constant"
provenance = [{ kind = "assumed", reason = "a test" }]
"""
STEPS = """
[[claims]]
id = "steps"
quantity = "steps"
value = {steps}
unit = "step"
split = "test"
quote = "{steps} steps"
place = "log"
not_measured = "printed by the progress line"
"""


def pictures(rows, labels, seed):
    """A pattern of cells of 4 x 4 pixels per emotion, under noise."""
    random = np.random.default_rng(seed)
    patterns = random.integers(0, 255, (7, 12, 12)).repeat(4, 1).repeat(4, 2)
    return np.clip(0.6 * patterns[labels] + random.normal(40, 40, (rows, 48, 48)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """210 rows to train on, and 126 of which every second has another pattern: a network that was not trained on those
    can only guess them."""
    labels = (np.arange(336) % 7).astype(np.uint8)
    usage = np.repeat([0, 1, 2], (210, 63, 63)).astype(np.uint8)
    known, others = pictures(336, labels, seed=1), pictures(336, labels, seed=2)
    is_other = (np.arange(336) >= 210) & (np.arange(336) % 2 == 1)
    images = np.where(is_other[:, None, None], others, known)
    images[274:294:2] = images[1:21:2]  # ten pictures of both sides: `clean` trains on 200 rows, which are 20 steps
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    np.savez(path, images=images, labels=labels, usage=usage)
    return path


@pytest.fixture
def paper(tiny_paper):
    def write(value, steps=None):
        path = tiny_paper(units=64, batch_size=10, epochs=EPOCHS, learning_rate=0.003)
        settings, _, _ = path.read_text().partition("[training.schedule]")
        settings = settings.replace('report = "best"', "").replace("momentum = 0.9", "").replace('"sgd"', '"adam"')
        text = settings + SCHEDULE + CLAIM.format(value=value) + (STEPS.format(steps=steps) if steps else "")
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Shared, so that a protocol is trained once for all tests."""
    return tmp_path_factory.mktemp("results")


def explain(path, data, results):
    return Search(load_spec(path), data=str(data), device="cpu", results=results, seeds=1).explain()


def test_the_cause_is_named_where_the_document_prints_the_steps(paper, data, results):
    """22 steps of 10 are 211 to 220 rows: the training rows, not the 63 of a test part."""
    found = explain(paper(1.0, steps=21), data, results)
    assert found.conclusion == "explained" and found.cause == "suspect-evaluated-on-training-rows"
    assert found.suspects[0].suspect == found.cause and 0.4 < found.honest[0] < 0.7
    by_name = {one.suspect: one for one in found.suspects}
    all_parts = by_name["suspect-trained-on-all-parts"]
    assert {e.kind: e.fits for e in all_parts.evidence} == {"accuracy": True, "rows": False, "curve": None}
    assert by_name["suspect-oversampled-before-split"].status == "not applicable"
    assert by_name["suspect-augmented-before-split"].status == "not applicable"
    assert by_name["suspect-best-epoch-on-test"].status == "estimated", "too far off to be trained"
    assert not by_name[DUPLICATES].fits and not by_name[CLASS_SUBSET].fits


def test_suspects_that_the_document_does_not_tell_apart_are_all_named(paper, data, results):
    found = explain(paper(1.0), data, results)
    assert found.conclusion == "several fit" and found.cause == ""
    assert {one.suspect for one in found.suspects if one.fits} == {
        "suspect-evaluated-on-training-rows",
        "suspect-trained-on-all-parts",
    }


def test_an_honest_claim_needs_no_explanation_and_one_below_is_no_leak(paper, data, results):
    (honest,) = explain(paper(1.0), data, results).honest
    assert explain(paper(round(honest, 2)), data, results).conclusion == "nothing to explain"
    below = explain(paper(0.01), data, results)
    assert below.conclusion == "not a matter of leakage" and below.suspects == ()


def test_a_claim_that_nothing_reaches_is_said_to_be_unexplained(paper, data, results):
    found = explain(paper(0.8), data, results)
    assert found.conclusion == "not explained"
    assert not any(one.fits for one in found.suspects)


def test_the_command_keeps_what_it_finds_and_runs_nothing_twice(paper, data, results):
    path = str(paper(1.0, steps=21))
    call = ["explain", path, "--data", str(data), "--results", str(results), "--device", "cpu"]
    before = {p: p.stat().st_mtime_ns for p in results.rglob("run.json")}
    done = CliRunner().invoke(main, call, catch_exceptions=False)
    assert done.exit_code == 0
    assert "[fits] suspect-evaluated-on-training-rows" in done.stdout
    assert "take 21 steps; the document prints 21" in done.stdout
    kept = read_explanation(results, "tiny")
    assert kept is not None and kept.cause == "suspect-evaluated-on-training-rows"
    as_json = json.loads(CliRunner().invoke(main, [*call, "--json"]).stdout)
    assert as_json["conclusion"] == "explained"
    assert {p: p.stat().st_mtime_ns for p in results.rglob("run.json")} == before


def test_a_paper_without_a_main_accuracy_is_refused(tiny_paper, data, results):
    with pytest.raises(SpecError, match="nothing to explain"):
        Search(load_spec(tiny_paper()), data=str(data), device="cpu", results=results, seeds=1)


def test_the_best_subset_of_classes_is_found():
    """Classes 0 and 1 are told apart, the others are guessed as class 6, and class 6 as 5."""
    labels = np.repeat(np.arange(7), 20)
    probability = np.zeros((140, 7), np.float32)
    probability[:, 6] = 1.0
    probability[labels == 6] = np.eye(7)[5]
    probability[labels < 2] = np.eye(7)[labels[labels < 2]]
    two = best_class_subsets(probability, labels)[-1]
    assert two == (2, ("angry", "disgust"), 1.0)
    sizes = [size for size, _, _ in best_class_subsets(probability, labels)]
    assert sizes == [6, 5, 4, 3, 2]


def test_curve_and_rows_say_nothing_where_the_document_prints_nothing(paper):
    loaded = load_spec(paper(0.9))
    main_claim = loaded.spec.claims[0]
    assert rows_evidence(loaded, main_claim, "PrivateTest", 63).fits is None
    assert curve_evidence(loaded, main_claim, []).fits is None


def test_rows_of_a_part_that_may_have_any_size_say_nothing(paper):
    loaded = load_spec(paper(0.9, steps=7))
    fits = {part: rows_evidence(loaded, loaded.spec.claims[0], part, rows).fits for part, rows in PARTS.items()}
    assert fits == {"Training": False, "PrivateTest": True, "": None}


def test_a_curve_may_be_printed_by_steps_or_by_epochs():
    def errors(place):
        points = [
            claim(f"at{at}", split="validation", value=value, **{place: at}) for at, value in CURVES[place].items()
        ]
        spec = make_spec(claims=(headline(), *points, claim("train", split="train", value=0.1, **{place: 1})))
        record = make_record(spec, accuracy=0.5)
        history = [msgspec.structs.replace(e, splits={"validation": e.splits["test"]}) for e in record.history]
        return curve_evidence(spec, headline(), [msgspec.structs.replace(record, history=tuple(history))])

    for place in CURVES:
        found = errors(place)
        assert found.fits is True and found.text.startswith("1.0 points") and "over 3 of its points" in found.text


def test_a_figure_of_training_rows_by_the_documents_own_words_is_refused():
    for fields in ({"split": "train"}, {"split": "minibatch", "step": 9}, {"emotion": "happy"}):
        with pytest.raises(SpecError, match="nothing to explain"):
            explained_claim(make_spec(claims=(headline(**fields),)))


def test_every_module_can_be_imported_first():
    for module in ("repro.explain.text", "repro.explain.search", "repro.report"):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)


def test_one_piece_of_evidence_against_is_enough():
    def result(*fits):
        kinds = ("accuracy", "rows", "curve")[: len(fits)]
        evidence = [Evidence(kind=kind, fits=fit, text="") for kind, fit in zip(kinds, fits, strict=True)]
        return SuspectResult(
            suspect="x", about="", status="measured", accuracies=(0.9,), evidence=tuple(evidence), reason=""
        )

    assert result(True, None, None).fits and result(True, True, True).fits
    assert not result(True, False, True).fits and not result(False, True, True).fits and not result(None).fits


def test_runs_of_further_seeds_that_stand_there_count_too(paper, data, tmp_path):
    path = paper(1.0, steps=21)
    call = ["run", str(path), "--data", str(data), "--results", str(tmp_path), "--device", "cpu", "--protocol", "clean"]
    assert CliRunner().invoke(main, [*call, "--seeds", "2"]).exit_code == 0
    search = Search(load_spec(path), data=str(data), device="cpu", results=tmp_path, seeds=1)
    assert [plan.seed for plan in search._plans("clean")] == [0, 1]
    assert [plan.seed for plan in search._plans("official")] == [0]
