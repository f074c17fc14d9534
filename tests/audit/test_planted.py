"""A synthesised dataset: what is written can be read, the audit finds what was planted, and lists are marked."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from fer_jax.data.faces import DataError
from fer_jax.data.formats.reader import read_faces
from fer_jax.duplicates.search import find_duplicates
from repro.audit.data import audit_data, write_pairs_csv
from repro.audit.planted import read_planted, score_pairs, synthesise
from repro.cli.data import data
from repro.runs.dataset import Dataset

SAMPLES = 1200


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted") / "lesson.npz"
    return path, synthesise(path, samples=SAMPLES, duplicates=0.3, conflicts=0.1, seed=3)


def test_the_audit_finds_what_was_planted(written, tmp_path):
    path, told = written
    faces = read_faces(path).faces
    assert faces.fingerprint == told["fingerprint"] and abs(len(faces) - SAMPLES) < 20
    pairs = find_duplicates(faces.images)
    planted = read_planted(path)
    score = score_pairs(zip(pairs.row_a, pairs.row_b, strict=True), planted)
    assert score.planted == sum(told["copies"].values()) == round(0.3 * told["samples"]["PublicTest"]) * 2
    assert score.recall >= 0.97 and score.precision >= 0.95, str(score)
    exact = {pair for pair, change in planted.items() if change == "same"}
    found = set(zip(pairs.row_a[pairs.exact].tolist(), pairs.row_b[pairs.exact].tolist(), strict=True))
    assert found == exact and len(exact) == told["exact"]
    audit = audit_data(Dataset(faces, "x"), pairs)
    for split in audit.copies_in_training:
        assert split.exact_or_near >= 0.95 * told["copies"][split.split]
    assert audit.conflicts.rows >= 2 * 0.9 * told["conflicts"], "each with its original"
    write_pairs_csv(tmp_path / "duplicates.csv", faces, pairs)
    header = (tmp_path / "duplicates.csv").read_text().splitlines()[0].split(",")
    listed = path.with_name("lesson.npz.planted.csv").read_text().splitlines()[0].split(",")
    assert set(listed) - {"change"} <= set(header), "the two lists can be compared"


def test_a_list_is_marked_by_precision_and_recall():
    planted = {(1, 9): "same", (2, 8): "flipped", (3, 7): "same", (4, 6): "cropped"}
    score = score_pairs([(9, 1), (1, 9), (2, 8), (5, 6)], planted)
    assert (score.right, score.found, score.planted) == (2, 3, 4)
    assert (score.precision, score.recall) == (2 / 3, 0.5)
    assert str(score).endswith("in a list of 3; missed: 1 cropped, 1 same")
    assert (score_pairs([], planted).precision, score_pairs([], planted).recall) == (1.0, 0.0)


def test_both_forms_hold_the_same_faces_and_nothing_is_overwritten(tmp_path):
    call = ["synthesise", "--samples", "120", "--duplicates", "0.5", "--conflicts", "10%"]
    for name in ("a.npz", "b.csv"):
        done = CliRunner().invoke(data, [*call, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "are copies of Training images" in done.output
    first, second = (read_faces(tmp_path / name).faces for name in ("a.npz", "b.csv"))
    assert first.fingerprint == second.fingerprint
    assert read_planted(tmp_path / "a.npz") == read_planted(tmp_path / "b.csv.planted.csv") != {}
    again = CliRunner().invoke(data, [*call, str(tmp_path / "a.npz")])
    assert isinstance(again.exception, DataError) and "exists already" in str(again.exception)
    np.testing.assert_array_equal(first.images, read_faces(tmp_path / "a.npz").faces.images)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--duplicates", "8 percent"], "write a share such as 8% or 0.08"),
        (["--duplicates", "120%"], "write a share"),
        (["--duplicates", "5%", "--conflicts", "6%"], "cannot be larger"),
        (["--samples", "10"], "100"),
    ],
)
def test_wrong_words_are_told_before_anything_is_drawn(tmp_path, options, told):
    done = CliRunner().invoke(data, ["synthesise", str(tmp_path / "x.npz"), *options])
    assert done.exit_code == 2 and told in done.output and not list(tmp_path.iterdir())


def test_what_is_no_list_or_no_place_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no list of planted copies"):
        read_planted(tmp_path / "none.npz")
    (tmp_path / "x.planted.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no list of planted copies"):
        read_planted(tmp_path / "x.planted.csv")
    for path, why in (
        (tmp_path / "x.png", "names no format"),
        (tmp_path / "x.planted.csv" / "x.npz", "cannot be written"),
    ):
        with pytest.raises(DataError, match=why):
            synthesise(path, samples=100, duplicates=0.0, conflicts=0.0)
