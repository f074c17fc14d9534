"""Predictions from CSV and NPZ: matched to samples by order, number or pixels; every mismatch is one clear error."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import FIRST_PRIVATE, SIZES, corner, three_splits, write_csv

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.evaluation.errors import EvaluationError
from repro.evaluation.predictions_file import pixel_hash, read_predictions_file

FACES = three_splits()
PRIVATE = np.arange(FIRST_PRIVATE, FIRST_PRIVATE + SIZES[2])


def read(path, split="PrivateTest"):
    return read_predictions_file(path, FACES, split)


def refused(path, words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as found:
        read(path)
    assert str(found.value).startswith(str(path)) and "\n" not in str(found.value)


def lines_of(rows: np.ndarray) -> list[str]:
    return [",".join(f"{value:.4f}" for value in line) for line in corner(FACES.images[rows])]


@pytest.mark.parametrize(("start", "count"), [(FIRST_PRIVATE, 40), (60, 70), (0, 130)])
def test_lines_without_numbers_are_a_split_both_tests_or_all(tmp_path, start, count):
    path = write_csv(tmp_path / "p.csv", ",".join(EMOTIONS), lines_of(np.arange(start, start + count)))
    found = read(path)
    assert found.sample.tolist() == list(range(start, start + count)) and found.labels == EMOTIONS
    assert found.outputs is not None and found.outputs.shape == (count, 7)


@pytest.mark.parametrize(("split", "start"), [("PublicTest", 60), ("PrivateTest", 90)])
def test_of_two_splits_with_as_many_samples_it_is_the_evaluated_one(tmp_path, split, start):
    """In FER-2013, PublicTest and PrivateTest have 3,589 samples each."""
    faces = FACES.take(np.arange(120))
    found = read_predictions_file(write_csv(tmp_path / "p.csv", "", ["happy"] * 30), faces, split)
    assert found.sample.tolist() == list(range(start, start + 30))


def test_a_file_without_names_of_columns(tmp_path):
    found = read(write_csv(tmp_path / "p.csv", "", lines_of(PRIVATE)))
    assert found.labels is None and found.outputs is not None
    found = read(write_csv(tmp_path / "q.csv", "", ["happiness"] * 40))
    assert found.answered is not None and set(found.answered.tolist()) == {3}


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_may_be_separated_as_spreadsheets_do(tmp_path, mark):
    lines = [line.replace(",", mark) for line in lines_of(PRIVATE)]
    found = read(write_csv(tmp_path / "p.csv", mark.join(EMOTIONS), lines))
    assert found.labels == EMOTIONS and found.outputs is not None and len(found.outputs) == len(PRIVATE)


@pytest.mark.parametrize("name", ["row", "index", "Sample"])
def test_numbers_of_samples_put_any_order_right(tmp_path, name):
    shuffled = np.random.default_rng(0).permutation(PRIVATE)
    lines = [f"{row},{EMOTIONS[FACES.labels[row]]}" for row in shuffled]
    found = read(write_csv(tmp_path / "p.csv", f"{name},predicted", lines))
    assert found.answered is not None
    assert (found.answered == FACES.labels[found.sample]).all() and sorted(found.sample) == PRIVATE.tolist()


@pytest.mark.parametrize("digits", [64, 16, 8])
def test_pixels_name_all_samples_that_have_them(tmp_path, digits):
    once = {pixel_hash(FACES.images[row]): int(FACES.labels[row]) for row in PRIVATE}
    lines = [f"{one[:digits]},{label}" for one, label in once.items()]
    found = read(write_csv(tmp_path / "p.csv", "pixel_hash,predicted", lines))
    assert len(once) == 39 and set(PRIVATE) <= set(found.sample)
    copies = {0, 1, SIZES[0]}  # in Training and PublicTest, which have the same pixels as samples of PrivateTest
    assert set(found.sample) - set(PRIVATE) == copies


def test_digits_that_two_images_share_are_refused(tmp_path, monkeypatch):
    """As if the second image of PrivateTest had the first digits of the first one."""
    first, second = (pixel_hash(FACES.images[row]) for row in PRIVATE[:2])
    alike = {second: first[:10] + second[10:]}
    monkeypatch.setattr(
        "repro.evaluation.predictions_file.pixel_hash", lambda image: alike.get(pixel_hash(image), pixel_hash(image))
    )
    refused(write_csv(tmp_path / "p.csv", "hash,predicted", [f"{first[:8]},happy"]), "give more digits")
    refused(write_csv(tmp_path / "q.csv", "hash,predicted", [f"{first[:8]},happy"] * 2), "appears twice")
    refused(write_csv(tmp_path / "r.csv", "hash,predicted", [f"{first[:12]},happy"]), "PrivateTest")


def test_npz_by_split_or_with_numbers(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, PublicTest=corner(FACES.images[60:90]), PrivateTest=corner(FACES.images[90:]), labels=EMOTIONS)
    found = read(path)
    assert len(found.sample) == 70 and found.labels == EMOTIONS
    np.savez(path, predicted=FACES.labels[PRIVATE], row=PRIVATE)
    assert len(read(path).sample) == 40


def test_another_number_of_samples_says_which_split_has_how_many(tmp_path):
    refused(
        write_csv(tmp_path / "p.csv", "predicted", ["happy"] * 41),
        "41 predictions, but Training has 60 samples, PublicTest has 30 samples, PrivateTest has 40 samples, "
        "PublicTest and PrivateTest together 70, all 130",
    )
    refused(write_csv(tmp_path / "p.csv", "predicted", ["happy"] * 30), "40 of the 40 samples of PrivateTest have no")


@pytest.mark.parametrize(
    ("head", "lines", "words"),
    [
        ("row,predicted", ["90,happy", "90,sad"], "sample 90 is predicted twice"),
        ("row,predicted", ["130,happy"], "sample 130 is outside the dataset of 130"),
        ("row,predicted", ["1.5,happy"], "not whole"),
        ("row,predicted", ["x,happy"], "line 2: 'x' is not a number"),
        ("row;predicted", ["90,5;happy"], "line 2: '90,5' is not a number; decimals need a point"),
        ("row,predicted", ["90,happy", "91,hapy"], "line 3: did you mean 'happy'"),
        ("row,predicted", ["90,7"], "line 2: '7'"),
        ("", ["happy", "sad", "glad"], "line 3: 'glad'"),
        ("row,predicted", ["90"], "line 2 has 1 cell, the first line 2"),
        ("row,score", ["90,1"], "no prediction"),
        ("hash,predicted", ["abcd,happy"], "a hash of 4 digits"),
        ("hash,predicted", [f"{'a' * 64},happy"], "1 of 1 hashes are of no sample"),
        ("confidence,split", ["1,PrivateTest"], "expected `predicted`"),
        ("", [""], "is empty"),
    ],
)
def test_a_csv_that_cannot_be_matched(tmp_path, head, lines, words):
    refused(write_csv(tmp_path / "p.csv", head, lines), words)


def test_labels_in_the_file_must_be_those_of_the_dataset(tmp_path):
    lines = [f"{EMOTIONS[FACES.labels[row]]},{EMOTIONS[FACES.labels[row]]}" for row in PRIVATE]
    assert len(read(write_csv(tmp_path / "p.csv", "label,predicted", lines)).sample) == 40
    refused(write_csv(tmp_path / "p.csv", "label,predicted", lines[::-1]), "labels in it are not those of the dataset")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "holds nothing"),
        ({"x": np.zeros(3)}, "holds x; expected"),
        ({"PrivateTest": np.zeros((3, 7))}, "its array 'PrivateTest' has 3 predictions"),
        ({"predicted": np.zeros((40, 7, 1))}, "of shape"),
        ({"predicted": np.full(40, 9)}, "0 to 6 are the emotions"),
        ({"predicted": np.zeros(40)}, "names of emotions or whole numbers"),
        ({"predicted": np.zeros(40, int), "row": np.zeros(3, int)}, "3 numbers in row for 40"),
    ],
)
def test_an_npz_that_cannot_be_matched(tmp_path, arrays, words):
    np.savez(tmp_path / "p.npz", **arrays)
    refused(tmp_path / "p.npz", words)


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "p.npz", predicted=np.array([{"a": 1}] * 40, object))
    refused(tmp_path / "p.npz", "cannot be read as .npz")


def test_an_npz_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("repro.evaluation.predictions_file.LARGEST", 1 << 20)
    np.savez_compressed(tmp_path / "p.npz", predicted=np.zeros(1 << 20))
    assert (tmp_path / "p.npz").stat().st_size < 1 << 16
    refused(tmp_path / "p.npz", "it unpacks to 8,388,[0-9]+ bytes; at most 1,048,576 are read")
