"""FER-2013 is recognised by its counts, also where the classes are numbered in another order."""

from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.data.formats.official import in_official_order, likeness, usages_by_order, verdict
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, UNLABELLED

ALPHABETICAL = sorted(EMOTIONS)


def blank(labels: np.ndarray, usage: np.ndarray) -> Faces:
    n = len(labels)
    return Faces(np.zeros((n, 1, 1), np.uint8), labels, usage, np.arange(n, dtype=np.int32))


@pytest.fixture(scope="module")
def official() -> Faces:
    usage, labels = np.array(
        [(u, e) for u, counts in enumerate(OFFICIAL_COUNTS.values()) for e, n in enumerate(counts) for _ in range(n)],
        np.uint8,
    ).T.copy()
    return blank(labels, usage)


def test_all_merged_part_and_other(official: Faces) -> None:
    merged = official.changed(usage=np.minimum(official.usage, 1))
    train = official.take(official.usage == 0)
    unlabelled = official.changed(labels=np.where(official.usage == 2, UNLABELLED, official.labels).astype(np.uint8))
    cases = {"all": official, "merged": merged, "part": train, "other": official.take(np.arange(53))}
    assert {kind: likeness(faces).kind for kind, faces in cases.items()} == {kind: kind for kind in cases}
    assert likeness(unlabelled).kind == "part"
    assert likeness(official.take(np.arange(1, len(official)))).kind == "other"
    assert "not the FER-2013 of the papers" in verdict(cases["other"])


@pytest.mark.parametrize("part", ["all", "train"])
def test_numbers_in_alphabetical_order_are_renumbered(official: Faces, part: str) -> None:
    faces = official if part == "all" else official.take(official.usage == 0)
    number_of = np.array([ALPHABETICAL.index(name) for name in EMOTIONS], np.uint8)
    renumbered, notes = in_official_order(faces.changed(labels=number_of[faces.labels]), ("a note",))
    np.testing.assert_array_equal(renumbered.labels, faces.labels)
    assert notes[0] == "a note"
    assert "in the order angry, disgust, fear, happy, neutral, sad, surprise" in notes[1]
    assert in_official_order(faces, ("a note",)) == (faces, ("a note",))
    assert "in the order" in verdict(faces.changed(labels=number_of[faces.labels]))


def test_other_counts_are_left_alone(official: Faces) -> None:
    few = official.take(np.arange(1000))
    assert in_official_order(few, ()) == (few, ())


def test_the_parts_of_a_test_folder_in_the_order_of_the_csv(official: Faces) -> None:
    test = official.take(official.usage > 0)
    order = np.random.default_rng(0).permutation(len(test))
    mixed = np.concatenate([order[test.usage[order] == u] for u in (1, 2)])  # classes mixed, PublicTest first
    usage = usages_by_order(test.labels[mixed])
    assert usage is not None
    np.testing.assert_array_equal(usage, test.usage[mixed])
    assert usages_by_order(test.labels[mixed][1:]) is None


def test_a_numbered_test_folder_of_official_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from faces_of_strangers import write_images

    from fer_jax.data.formats import official, read_faces

    monkeypatch.setattr(official, "_OFFICIAL", np.array([[1] * 7, [2] * 7, [1] * 7]))
    names = {f"test/{name}/im{k}.png": 7 * k + e for e, name in enumerate(EMOTIONS) for k in range(3)}
    imported = read_faces(write_images(tmp_path, names | {f"train/{name}/im0.png": 99 for name in EMOTIONS}))
    assert imported.faces.usage.tolist() == [0] * 7 + [1] * 14 + [2] * 7
    assert any("the first files of each class" in note for note in imported.notes)
