"""The leaderboard: entries strictly read, figures computed again, ranks, selection, pages that follow from records."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from evaluated import FIRST_PRIVATE, corner, dataset, known_pairs, three_splits

from repro.cli.leaderboard import leaderboard as command
from repro.evaluation import evaluate as evaluation
from repro.evaluation import leaderboard as board
from repro.evaluation.entries import read_entries, read_entry
from repro.evaluation.errors import EvaluationError
from repro.evaluation.evaluate import EvaluationRequest, evaluate_dataset
from repro.evaluation.leaderboard import SelectedEpoch, leaderboard
from repro.evaluation.leaderboard_page import (
    check_leaderboard,
    leaderboard_files,
    write_leaderboard,
)
from repro.evaluation.record_folder import write_folder
from repro.evaluation.records import EVALUATION_NAME, evaluation_folder, read_evaluation, write_digested
from repro.specs.catalog import all_papers

ROOT = Path(__file__).resolve().parents[2]
FACES = three_splits()
ENTRY = """\
format = 1
name = "{name}"
licence = "MIT"
link = "https://example.org/net"
evaluation = "{name}"
sha256 = "{sha256}"
weights = "on request"
how = "repro evaluate {name}"
selection = "unknown"
selection_source = "nothing is said"
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two evaluated networks: `good` reads the corner, `copied` only where a copy is in training."""
    folder = tmp_path_factory.mktemp("leaderboard")
    results, entries = folder / "results", folder / "leaderboard"
    results.mkdir()
    entries.mkdir()
    answers = corner(FACES.images)
    copied = answers.copy()
    copied[FIRST_PRIVATE + 2 :] = copied[FIRST_PRIVATE + 2 :, ::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "copy_pairs", lambda faces, results: known_pairs())
        for name, one in (("good", answers), ("copied", copied)):
            np.savez(folder / f"{name}.npz", probabilities=one, labels=evaluation_labels())
            request = EvaluationRequest(str(folder / f"{name}.npz"), name=name, labels="fer2013")
            record, found = evaluate_dataset(request, dataset(), results, lambda words: None)
            record = write_folder(evaluation_folder(results, name), record, found)
            (entries / f"{name}.toml").write_text(ENTRY.format(name=name, sha256=record.model.sha256))
    return results, entries


def evaluation_labels():
    from fer_jax.vocabulary.fer2013 import EMOTIONS

    return EMOTIONS


@pytest.fixture
def known(monkeypatch):
    """The copies, as the audit of the dataset would give them."""
    monkeypatch.setattr(board, "_pairs", lambda results: (known_pairs(), dataset().faces.fingerprint))


def test_rows_are_in_the_order_of_the_clean_accuracy_with_both_ranks(two, known):
    results, entries = two
    found, mistakes = leaderboard(read_entries(entries), results, [])
    assert mistakes == [] and [row.id for row in found.rows] == ["good", "copied"]
    assert [(found.rank(row, clean=False), found.rank(row, clean=True)) for row in found.rows] == [(1, 1), (2, 2)]
    files = leaderboard_files(found)
    assert "| 1 | [good]" in files["LEADERBOARD.md"] and "97.5 %" in files["LEADERBOARD.md"]
    assert json.loads(files["LEADERBOARD.json"])["title"] == "Leaderboard"
    assert files["LEADERBOARD.csv"].startswith("Rank,Network,Official,Clean")


def test_equal_accuracies_share_a_rank(two, known):
    results, entries = two
    described = read_entries(entries)
    found, _ = leaderboard({"a": described["good"], "b": described["good"]}, results, [])
    assert [found.rank(row, clean=True) for row in found.rows] == [1, 1]


def test_the_check_finds_a_changed_page_and_a_record_without_an_entry(two, known):
    results, entries = two
    described = read_entries(entries)
    found, _ = leaderboard(described, results, [])
    write_leaderboard(results, found)
    assert check_leaderboard(results, found) == []
    page = results / "LEADERBOARD.md"
    page.write_text(page.read_text().replace("97.5", "99.5"))
    assert any("97.5" in line for line in check_leaderboard(results, found))
    write_leaderboard(results, found)
    fewer, _ = leaderboard({"good": described["good"]}, results, [])
    assert "evaluations/copied: no entry in leaderboard/ names it" in check_leaderboard(results, fewer)
    page = results / "evaluations" / "good" / "evaluation.md"
    page.write_text("")
    assert check_leaderboard(results, found)
    assert write_leaderboard(results, found) == [page] and check_leaderboard(results, found) == []


def test_a_record_with_better_figures_than_its_predictions_is_found(two, known):
    results, entries = two
    folder = evaluation_folder(results, "copied")
    before = (folder / EVALUATION_NAME).read_bytes()
    record = read_evaluation(folder)
    score = record.splits["PrivateTest"]
    clean = msgspec.structs.replace(score.clean, low=0.9, high=0.99)
    other = msgspec.structs.replace(score, subsets={**score.subsets, "clean": clean})
    write_digested(
        folder / EVALUATION_NAME, msgspec.structs.replace(record, splits={**record.splits, "PrivateTest": other})
    )
    found, mistakes = leaderboard(read_entries(entries), results, [])
    (folder / EVALUATION_NAME).write_bytes(before)
    assert ["subsets of PrivateTest do not follow from its predictions" in one for one in mistakes] == [True]
    assert found.rows[-1].missing == "its record cannot be used"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('sha256 = "', 'sha256 = "0', "64 hexadecimal"),
        ("format = 1", "format = 2", "format"),
        ('licence = "MIT"', "", "licence"),
        ('selection = "unknown"', 'selection = "luck"', "selection"),
        ("https://example", "javascript:", "https://"),
        ('weights = "on request"', "", "`weights` are needed"),
        ('how = "', 'paper = "x"\nhow = "', "one of `evaluation` and `paper`"),
        ('evaluation = "good"', 'evaluation = "../good"', "is not a name"),
        ("format = 1", "format = 1\nstars = 5", "stars"),
        ("format = 1", "format =", "good.toml"),
    ],
)
def test_an_entry_with_a_mistake(tmp_path, old, new, words):
    text = ENTRY.format(name="good", sha256="0" * 64)
    assert old in text
    (tmp_path / "good.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(EvaluationError, match=words) as found:
        read_entry(tmp_path / "good.toml")
    assert str(found.value).startswith(str(tmp_path / "good.toml"))


def test_a_link_leads_to_the_origin_or_to_a_page_of_the_results(tmp_path):
    path = tmp_path / "net.toml"
    written = ENTRY.format(name="net", sha256=64 * "0")
    path.write_text(written.replace("https://example.org/net", "teta2022.md"))
    assert read_entry(path).link == "teta2022.md"
    for other in ("../teta2022.md", "http://example.org/net", "javascript:alert(1)//.md"):
        path.write_text(written.replace("https://example.org/net", other))
        with pytest.raises(EvaluationError, match=r"net\.toml: `link` begins with https://, or is a page"):
            read_entry(path)


def test_an_entry_of_another_file_and_one_without_a_record(two, known, tmp_path):
    results, _ = two
    for name, sha256 in (("good", "1" * 64), ("gone", "2" * 64)):
        (tmp_path / f"{name}.toml").write_text(ENTRY.format(name=name, sha256=sha256))
    _, mistakes = leaderboard(read_entries(tmp_path), results, [])
    assert ["another SHA-256" in mistakes[1], "is missing; evaluate it" in mistakes[0]] == [True, True]


def test_the_command_exits_with_1_if_the_page_is_stale(two, known):
    results, entries = two
    words = ["--results", str(results), "--entries", str(entries)]
    assert CliRunner().invoke(command, words).exit_code == 0
    assert CliRunner().invoke(command, [*words, "--check"]).exit_code == 0
    (results / "LEADERBOARD.csv").write_text("")
    assert CliRunner().invoke(command, [*words, "--check"]).exit_code == 1


def test_every_committed_entry_is_of_a_paper_or_of_a_record_that_is_there():
    entries = read_entries(ROOT / "leaderboard")
    found, mistakes = leaderboard(entries, ROOT / "results", all_papers())
    assert mistakes == [] and len(found.rows) == len(entries) >= 8
    ours = [row for row in found.rows if row.entry.paper and row.official]
    assert all((row.official_accuracy or 0) > 0.4 for row in ours)
    assert all(isinstance(one, SelectedEpoch) and run.gain >= 0 for one in found.selections for run in one.runs)
