"""`repro explain` from training to the conclusion: planted protocol errors, each in a paper of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from report_records import headline, make_spec

from repro.cli.main import main
from repro.explain.records import Explanation, read_explanation
from repro.explain.search import Search, explained_claim
from repro.explain.stated import CLASS_SUBSET, DUPLICATES
from repro.specs.decode import SpecError, load_spec
from repro.specs.protocols import BEST_EPOCH_ON_TEST, EVALUATED_ON_TRAINING, TRAINED_ON_ALL

EPOCHS = 12
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
ASSUMED = 'provenance = [{ kind = "assumed", reason = "a test" }]'
STATED = 'provenance = [{ kind = "stated", quote = "so many", place = "Sec. 1" }]'
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
        data, layers, rest = settings.partition("[[model.layers]]")
        network, training, rest = rest.partition("[training]")
        settings = data + layers + network.replace(ASSUMED, STATED) + training + rest
        settings = settings.replace('report = "best"', "").replace("momentum = 0.9", "").replace('"sgd"', '"adam"')
        text = settings + SCHEDULE + CLAIM.format(value=value) + (STEPS.format(steps=steps) if steps else "")
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Shared, so that a protocol is trained once for all tests."""
    return tmp_path_factory.mktemp("results")


def explain(path, data, results, *, train=True, seeds=3):
    return Search(load_spec(path), data=str(data), device="cpu", results=results, seeds=seeds, train=train).explain()


def standings(found):
    return {one.suspect: one.standing for one in found.suspects}


def test_the_cause_is_proven_where_the_paper_prints_the_steps(paper, data, results):
    """21 steps of 10 are 201 to 210 samples: the training split, not the 63 of a test split."""
    found = explain(paper(1.0, steps=21), data, results)
    assert (found.conclusion, found.cause) == ("proven", EVALUATED_ON_TRAINING)
    assert len(found.clean) == 3 and min(found.clean) > 0.4 and max(found.clean) < 0.7
    assert [name for name, one in standings(found).items() if one != "excluded"] == [EVALUATED_ON_TRAINING]
    by_name = {one.suspect: one for one in found.suspects}
    all_parts = by_name[TRAINED_ON_ALL]
    assert {"steps": False} | {e.kind: e.fits for e in all_parts.evidence} == {
        "steps": False,
        "paper": None,
        "estimate": None,
    }
    assert all_parts.accuracies == by_name[TRAINED_ON_ALL].accuracies and all_parts.how == "estimated", "not trained"
    assert by_name["suspect-oversampled-before-split"].how == "not applicable"
    assert by_name[BEST_EPOCH_ON_TEST].how == "estimated", "too far off to be trained"
    assert CLASS_SUBSET in by_name and DUPLICATES in by_name


@pytest.mark.slow
def test_errors_that_the_paper_does_not_tell_apart_are_all_named(paper, data, results):
    found = explain(paper(1.0), data, results)
    assert found.conclusion == "several hypotheses" and found.cause == ""
    assert [name for name, one in standings(found).items() if one == "credited"] == [
        EVALUATED_ON_TRAINING,
        TRAINED_ON_ALL,
    ]
    assert found.next_steps


def test_one_seed_credits_nothing(paper, data, tmp_path):
    found = explain(paper(1.0, steps=21), data, tmp_path, seeds=1)
    assert found.conclusion == "not known" and found.cause == "" and found.suspects == ()
    assert len(list(tmp_path.rglob("run.json"))) == 1


@pytest.mark.slow
def test_an_error_that_one_run_shows_to_be_far_is_trained_once(paper, data, results):
    """Duplicates raise the accuracy a little; the claim is 100 %."""
    found = explain(paper(1.0), data, results)
    far = {one.suspect: one for one in found.suspects}[DUPLICATES]
    assert far.standing == "excluded" and len(far.accuracies) == 1 and "too far" in far.reason


def test_a_claim_below_the_clean_accuracy_is_no_matter_of_overlap(paper, data, results):
    below = explain(paper(0.01), data, results)
    assert below.conclusion == "not known" and below.suspects == () and "above the claim" in below.why[0]


def test_the_command_keeps_what_it_finds_and_trains_nothing_twice(paper, data, results):
    path = paper(1.0, steps=21)
    explain(path, data, results)
    call = ["explain", str(path), "--data", str(data), "--results", str(results), "--device", "cpu"]
    before = {p: p.stat().st_mtime_ns for p in results.rglob("run.json")}
    for more in ([], ["--no-train"]):
        done = CliRunner().invoke(main, [*call, *more], catch_exceptions=False)
        assert done.exit_code == 0
        assert "Proven: the evaluated samples are the training samples" in done.stdout
        assert f"{EVALUATED_ON_TRAINING}: credited." in done.stdout
        assert "take 21 steps; the paper prints 21" in done.stdout
    kept = read_explanation(results, "tiny")
    assert isinstance(kept, Explanation) and kept.cause == EVALUATED_ON_TRAINING
    as_json = json.loads(CliRunner().invoke(main, [*call, "--json"]).stdout)
    assert as_json["conclusion"] == "proven" and as_json["format"] == 2
    assert {p: p.stat().st_mtime_ns for p in results.rglob("run.json")} == before


def test_no_train_makes_no_run(paper, data, tmp_path):
    found = explain(paper(1.0), data, tmp_path, train=False)
    assert found.conclusion == "not known" and found.next_steps == ("protocol clean: 3 more runs",)
    assert not list(tmp_path.rglob("run.json"))


def test_a_failed_run_is_no_mistake_of_the_users(tiny_paper, data, tmp_path):
    """Exit code 1, as of any command whose run fails; 2 would say that the input is wrong."""
    path = tiny_paper(learning_rate=1e38)
    path.write_text(path.read_text() + CLAIM.format(value=0.5))
    words = ["explain", str(path), "--data", str(data), "--results", str(tmp_path / "results"), "--device", "cpu"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "the run of protocol clean, seed 0, failed: the loss of step" in done.stderr
    assert "- the run of protocol clean, seed 0" in done.stdout


def test_a_paper_without_a_main_accuracy_is_refused(tiny_paper, data, results):
    with pytest.raises(SpecError, match="nothing to explain"):
        explain(tiny_paper(), data, results)


def test_an_accuracy_of_training_samples_by_the_papers_own_words_is_refused():
    for fields in ({"split": "train"}, {"split": "minibatch", "step": 9}, {"emotion": "happy"}):
        with pytest.raises(SpecError, match="nothing to explain"):
            explained_claim(make_spec(claims=(headline(**fields),)))


def test_every_module_can_be_imported_first():
    for module in ("repro.explain.text", "repro.explain.search", "repro.report"):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
