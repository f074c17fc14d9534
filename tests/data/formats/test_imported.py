"""What is printed about an import."""

import json

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.formats.imported import Imported, describe, differences, summary
from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS, UNLABELLED, USAGES


def official() -> Faces:
    """Blank faces with exactly the official counts."""
    pairs = [(u, e) for u, name in enumerate(USAGES) for e, n in enumerate(OFFICIAL_COUNTS[name]) for _ in range(n)]
    usage, labels = np.array(pairs, np.uint8).T.copy()
    n = len(pairs)
    return Faces(np.zeros((n, 1, 1), np.uint8), labels, usage, np.arange(n, dtype=np.int32))


def test_the_official_set_has_no_differences() -> None:
    faces = official()
    assert len(faces) == 35_887
    assert differences(faces) == []
    assert any("equal the official" in line for line in describe(Imported(faces, "csv", "/a.csv")))


def test_one_row_less_and_one_without_label_are_two_differences_and_more() -> None:
    faces = official()
    labels = faces.labels.copy()
    labels[0] = UNLABELLED  # an angry Training row
    changed = Faces(faces.images, labels, faces.usage, faces.origin).take(np.arange(35_886))  # the last: neutral
    assert differences(changed) == [
        "Training angry: 3,994 samples, official 3,995 (-1)",
        "PrivateTest neutral: 625 samples, official 626 (-1)",
        "Training: 1 sample without a label",
    ]


def test_summary_is_json_with_the_fingerprint_and_the_counts() -> None:
    faces = official().take(np.arange(10))
    found = json.loads(json.dumps(summary(Imported(faces, "csv", "/a.csv", ("a note",)))))
    assert found["fingerprint"] == faces.fingerprint
    assert found["counts"]["Training"] == dict.fromkeys(EMOTIONS, 0) | {"angry": 10}
    assert (found["rows"], found["notes"], found["source"]) == (10, ["a note"], "/a.csv")


def test_lines_hold_every_count_and_note() -> None:
    lines = describe(Imported(official(), "csv", "/a.csv", ("a note",)))
    table = {line.split()[0]: line.split()[1:] for line in lines if line and line.split()[0] in USAGES}
    for usage in USAGES:
        expected = (*OFFICIAL_COUNTS[usage], 0, sum(OFFICIAL_COUNTS[usage]))
        assert [int(cell.replace(",", "")) for cell in table[usage]] == list(expected)
    assert "note: a note" in lines
