"""A whole evaluation: from a file or a function to a record, a page and a verdict; every mistake is one message."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from evaluated import FIRST_PRIVATE, SIZES, corner, dataset, known_pairs, three_splits, write_csv

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.cli.evaluate import evaluate as command
from repro.evaluation import evaluate as evaluation
from repro.evaluation.claim import answer_claim
from repro.evaluation.errors import EvaluationError
from repro.evaluation.evaluate import EvaluationRequest, evaluate_dataset
from repro.evaluation.models.function import open_function
from repro.evaluation.network_settings import network_settings
from repro.evaluation.record_folder import PAGE_NAME, write_folder
from repro.evaluation.records import (
    EVALUATION_NAME,
    ClaimedAccuracy,
    evaluation_folder,
    read_answers,
    read_evaluation,
    write_evaluation,
)
from repro.evaluation.search import search_preprocessing
from repro.evaluation.text import evaluation_document
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.record_files import RecordError, write_digested
from repro.text.terminal import terminal

FACES = three_splits()
CODE = """\
import numpy as np
from evaluated import corner
from fer_jax.vocabulary.fer2013 import EMOTIONS

def right(faces):
    return corner(faces)

def alphabetical(faces):
    return corner(faces)[:, np.argsort(EMOTIONS)]

def scaled(faces):
    assert faces.dtype == np.float32
    if faces.max() > 1.001 or faces.min() < 0 or faces.max() < 0.9:
        return np.zeros((len(faces), 7))
    return np.log(corner(np.rint(255 * faces)))

def happy(faces):
    return np.eye(7)[np.full(len(faces), 3)]

def nan(faces):
    return np.full((len(faces), 7), np.nan)

def eight(faces):
    return np.ones((len(faces), 8))
"""


@pytest.fixture(autouse=True)
def own_network(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(CODE)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_network", None)


def run(request: EvaluationRequest, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "copy_pairs", lambda faces, results: known_pairs())
        return evaluate_dataset(request, dataset(), tmp_path / "results", lambda words: None)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A record and its answers, from a file of predictions."""
    folder = tmp_path_factory.mktemp("kept")
    np.savez(folder / "own.npz", PublicTest=corner(FACES.images[60:90]), PrivateTest=corner(FACES.images[90:]))
    return run(EvaluationRequest(str(folder / "own.npz"), name="own"), folder)


def test_a_network_that_reads_the_label_is_wrong_where_a_copy_has_another(tmp_path):
    record, answers = run(EvaluationRequest("own_network:right", name="own"), tmp_path)
    score = record.splits["PrivateTest"]
    shown = {name: (one.hits, one.n, one.images) for name, one in score.subsets.items()}
    assert shown == {
        "official": (39, 40, 39),
        "without copies": (38, 38, 37),
        "copies only": (1, 2, 2),
        "clean": (36, 36, 36),
    }
    assert score.recall is not None
    assert (score.recall.samples, score.recall.as_copies, score.recall.as_labelled) == (1, 1, 0)
    assert record.training is not None and record.training.accuracy == 1
    assert set(answers) == {"PublicTest", "PrivateTest"} and record.settings.outputs == "probabilities"
    assert record.temperature is not None and record.temperature < 0.5, "it is more certain than it says"
    text = terminal(evaluation_document(record))
    assert "97.5 % of all 40 samples of PrivateTest" in text and "code of the user" in text


def test_the_folder_holds_a_record_that_reads_back_and_no_probabilities_of_training(tmp_path):
    record, answers = run(EvaluationRequest("own_network:right", name="own"), tmp_path)
    folder = evaluation_folder(tmp_path / "results", "own")
    written = write_folder(folder, record, answers)
    assert written == read_evaluation(folder) and written.predictions_sha256
    assert (read_answers(folder, written)["PrivateTest"].sample == answers["PrivateTest"].sample).all()
    assert "97.5 %" in (folder / PAGE_NAME).read_text()
    with np.load(folder / PREDICTIONS_NAME) as held:
        assert not any(name.startswith("Training") for name in held)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["splits"]["PrivateTest"]["subsets"]["official"].update(hits=40), "are not all samples"),
        (lambda d: d["splits"]["PrivateTest"]["subsets"]["clean"].update(hits=35), "does not give its accuracy"),
        (lambda d: d["splits"]["PrivateTest"]["subsets"]["clean"].update(low=0.9, high=0.1), "cannot be"),
        (lambda d: d["splits"]["PrivateTest"]["subsets"].pop("clean"), "a subset is missing"),
        (lambda d: d["splits"]["PrivateTest"]["confusion"].pop(), "not one number"),
        (lambda d: d["settings"]["labels"].reverse() or d["settings"]["labels"].pop(), "order of labels"),
        (lambda d: d.update(name="../x"), "is not a name"),
        (lambda d: d.update(format=9), "another version"),
        (lambda d: d.update(split="Training"), "its splits are"),
        (lambda d: d["data"].update(fingerprint="x"), "64 hexadecimal"),
    ],
)
def test_a_record_that_cannot_be_true_is_not_read(tmp_path, kept, change, words):
    folder = evaluation_folder(tmp_path / "results", "own")
    write_evaluation(folder, *kept)
    document = json.loads((folder / EVALUATION_NAME).read_text())
    change(document)
    (folder / EVALUATION_NAME).write_text(json.dumps(document))
    with pytest.raises(RecordError, match="was changed after it was written"):
        read_evaluation(folder)
    document.pop("sha256")
    write_digested(folder / EVALUATION_NAME, document)
    with pytest.raises(RecordError, match=words):
        read_evaluation(folder)


def test_predictions_of_another_evaluation_are_not_taken(tmp_path, kept):
    folder = evaluation_folder(tmp_path / "results", "own")
    record, answers = kept
    written = write_evaluation(folder, record, answers)
    other = {name: replace(one, predicted=(one.predicted + 1) % 7, probability=None) for name, one in answers.items()}
    with pytest.raises(RecordError, match="do not give the record's accuracy"):
        write_evaluation(folder, record, other)
    with pytest.raises(RecordError, match="SHA-256 differs"):
        read_answers(folder, written)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_a_wrong_order_of_labels_is_an_error_that_names_the_right_one(tmp_path):
    request = EvaluationRequest("own_network:alphabetical", name="own")
    with pytest.raises(
        EvaluationError, match=r"of Training with the order.*is assumed \(fer2013\).*--labels alphabetical"
    ):
        run(request, tmp_path)
    record, _ = run(replace(request, labels="alphabetical"), tmp_path)
    assert record.splits["PrivateTest"].official.hits == 39 and record.settings.sources["labels"] == "given"
    record, _ = run(replace(request, labels="fer2013"), tmp_path)
    assert record.splits["PrivateTest"].official.accuracy < 0.6, "the user insists"
    assert "the order of labels alphabetical would give 100.0%" in record.model.notes[-1]


def test_a_network_that_is_no_better_than_one_answer_gets_a_note(tmp_path):
    record, _ = run(EvaluationRequest("own_network:happy", name="own"), tmp_path)
    assert "is the preprocessing right?" in record.model.notes[-1]
    path = write_csv(tmp_path / "p.csv", "predicted", ["sad"] * SIZES[2])
    record, _ = run(EvaluationRequest(str(path)), tmp_path)
    assert "are these the samples of that split" in record.model.notes[-1], "a file has no preprocessing"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (EvaluationRequest("own_network:nan", name="a"), "30 of 30 outputs are not finite.*--scale"),
        (EvaluationRequest("own_network:eight", name="a"), "8 outputs; name their order by --labels"),
        (EvaluationRequest("own_network:right", name="a/../b!"), None),
        (EvaluationRequest("own_network:right", name="..."), "--name"),
        (EvaluationRequest("own_network:none", name="a"), "no attribute 'none'"),
        (EvaluationRequest("own_network:right", name="a", given={"height": 0}), "a size of 0"),
    ],
)
def test_mistakes_are_one_message(tmp_path, request_, words):
    if words is None:
        assert request_.record_name == "a-..-b"
        return
    with pytest.raises(EvaluationError, match=words) as found:
        run(request_, tmp_path)
    assert "\n" not in str(found.value)


# --- files of predictions ---------------------------------------------------------------------------------------------


def test_answers_alone_have_no_calibration_and_both_tests_give_both(tmp_path):
    lines = [EMOTIONS[label] for label in FACES.labels[SIZES[0] :]]
    path = write_csv(tmp_path / "p.csv", "predicted", lines)
    record, _ = run(EvaluationRequest(str(path)), tmp_path)
    assert set(record.splits) == {"PublicTest", "PrivateTest"} and record.name == "p.csv"
    assert record.splits["PrivateTest"].calibration is None and record.temperature is None
    assert record.settings.outputs == "labels" and record.settings.preprocessing is None
    with pytest.raises(EvaluationError, match="no preprocessing is left"):
        run(EvaluationRequest(str(path), find=True), tmp_path)


def test_columns_in_any_order_are_put_right_by_their_names(tmp_path):
    order = np.argsort(EMOTIONS)
    lines = [",".join(f"{one:.3f}" for one in line[order]) for line in corner(FACES.images[FIRST_PRIVATE:])]
    path = write_csv(tmp_path / "p.csv", ",".join(EMOTIONS[k] for k in order), lines)
    record, _ = run(EvaluationRequest(str(path)), tmp_path)
    assert record.splits["PrivateTest"].official.hits == 39 and record.settings.sources["labels"] == "metadata"


def test_percentages_are_divided_and_not_put_through_a_softmax(tmp_path):
    shares = corner(FACES.images[FIRST_PRIVATE:])
    shares = shares / shares.sum(1, keepdims=True)
    records = []
    for name, factor in (("fractions.csv", 1), ("percentages.csv", 100)):
        lines = [",".join(f"{factor * one:.4f}" for one in line) for line in shares]
        records.append(run(EvaluationRequest(str(write_csv(tmp_path / name, ",".join(EMOTIONS), lines))), tmp_path)[0])
    fractions, percentages = (one.splits["PrivateTest"].calibration for one in records)
    assert fractions is not None and percentages is not None
    assert percentages.confidence == pytest.approx(fractions.confidence, abs=1e-3)
    assert records[1].settings.outputs == "probabilities"
    shown = [terminal(evaluation_document(one)) for one in records]
    assert "percentages" in shown[1] and "They were divided by 100" in " ".join(shown[1].split())
    assert "divided by 100" not in shown[0]
    assert "temperature" not in shown[0], "PublicTest is not in the file, so that none was fitted"


def test_columns_in_another_language_can_be_named_in_their_order(tmp_path):
    lines = [",".join(f"{one:.4f}" for one in line) for line in corner(FACES.images[FIRST_PRIVATE:])]
    path = write_csv(tmp_path / "p.csv", "wut,ekel,angst,freude,trauer,staunen,neutral", lines)
    with pytest.raises(EvaluationError, match=r"'wut' is none of the seven.*name their order with --labels"):
        run(EvaluationRequest(str(path)), tmp_path)
    record, _ = run(EvaluationRequest(str(path), labels="fer2013"), tmp_path)
    assert record.splits["PrivateTest"].official.hits == 39


def test_the_preprocessing_is_found_on_samples_that_are_given():
    opened = replace(open_function("own_network:scaled"), dtype="float32")
    start = network_settings(opened, {}, None, "own")
    rows = FACES.usage == 0
    found, search = search_preprocessing(opened, start, FACES.images[rows], FACES.labels[rows], "own")
    assert (found.preprocessing.scale, found.preprocessing.mean) == (1 / 255, (0.0,))
    assert search.samples == SIZES[0] and search.tried[0].accuracy == 1.0
    assert [one.accuracy for one in search.tried] == sorted((one.accuracy for one in search.tried), reverse=True)


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "resolution", "word", "holds"),
    [
        (0.975, 0.001, "reproduced", "yes"),  # 39 of 40; 36 of 36 clean ones are above it
        (0.98, 0.01, "reproduced", "yes"),
        (0.95, 0.01, "higher", "yes"),
        (0.995, 0.001, "lower", "yes"),
    ],
)
def test_a_claim_about_the_very_samples_is_a_fact(tmp_path, value, resolution, word, holds):
    claim = ClaimedAccuracy(value=value, resolution=resolution, split="PrivateTest")
    record, _ = run(EvaluationRequest("own_network:right", name="own", training=False, claim=claim), tmp_path)
    found = answer_claim(record)
    assert found is not None and (found.judgement.word, found.holds) == (word, holds)
    assert bool(found.impossible) == (value == 0.995)


def test_a_claim_that_only_the_copies_reach_does_not_hold(tmp_path):
    claim = ClaimedAccuracy(value=0.97, resolution=0.01, split="PrivateTest")
    record, _ = run(EvaluationRequest("own_network:right", name="own", training=False, claim=claim), tmp_path)
    score = record.splits["PrivateTest"]
    clean = msgspec.structs.replace(score.clean, hits=18, low=0.33, high=0.67)
    changed = msgspec.structs.replace(score, subsets={**score.subsets, "clean": clean})
    found = answer_claim(msgspec.structs.replace(record, splits={"PrivateTest": changed}))
    assert found is not None and found.holds == "no" and "The claim is above it." in found.words


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """The command on the drawn faces."""
    monkeypatch.setattr("repro.runs.dataset.open_dataset", lambda source: dataset())
    monkeypatch.setattr(evaluation, "copy_pairs", lambda faces, results: known_pairs())


def test_the_command_writes_a_record_and_prints_json(tmp_path, drawn):
    words = ["own_network:right", "--results", str(tmp_path / "r"), "--claim", "98%", "--json", "--name", "own"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["record"]["name"] == "own" and found["document"]["title"] == "own on PrivateTest"
    assert read_evaluation(tmp_path / "r" / "evaluations" / "own").claim is not None
    assert "which is your own code" in done.stderr


def test_an_empty_claim_is_no_request_without_a_claim(tmp_path, drawn):
    done = CliRunner().invoke(command, ["own_network:right", "--results", str(tmp_path / "r"), "--claim", ""])
    assert isinstance(done.exception, EvaluationError) and "--claim ''" in str(done.exception)


@pytest.mark.parametrize("record", [True, False])
def test_the_html_page_says_what_the_terminal_says_with_its_plot_inside(tmp_path, drawn, record):
    words = ["own_network:right", "--results", str(tmp_path / "r"), "--html", "page.html", "--claim", "98%"]
    words += ["--name", "own"] if record else ["--no-record"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0 and "wrote page.html" in done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for said in (
        "This network gives the claimed value",
        "with a copy in training",
        "balanced accuracy",
        "Preprocessing",
        "Content-Security-Policy",
    ):
        assert said in page
    assert "data:image/svg+xml,<" in page
    assert (tmp_path / "r").exists() == record
    assert (f"wrote {tmp_path / 'r' / 'evaluations' / 'own'}" in done.stderr) == record
    again = CliRunner().invoke(command, words, catch_exceptions=False)
    assert (f"replaced {tmp_path / 'r' / 'evaluations' / 'own'}" in again.stderr) == record
