"""Accuracy against the votes of FER+: majorities alone count, and what is left out is counted."""

from __future__ import annotations

import numpy as np
from evaluated import known_pairs, three_splits

from fer_jax.data.ferplus import CHOICES
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.evaluation.ferplus import score_ferplus
from repro.evaluation.scores import Answers
from repro.evaluation.subsets import evaluated_samples

FACES = three_splits()
WORDS = dict(zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"), strict=True))


def votes_file(path, changed: dict[int, dict[str, int]]):
    """Ten votes for the label of each face, but for the rows that are `changed`."""
    lines = [",".join(("Usage", "Image name", *CHOICES))]
    for row, (label, usage) in enumerate(zip(FACES.labels, FACES.usage, strict=True)):
        votes = changed.get(row, {WORDS[EMOTIONS[label]]: 10})
        lines.append(",".join((USAGES[usage], f"fer{row}.png", *(str(votes.get(choice, 0)) for choice in CHOICES))))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_majority_for_one_emotion_counts_and_ties_contempt_and_no_face_do_not(tmp_path):
    sample = np.flatnonzero(FACES.usage == 2)
    label = FACES.labels[sample].astype(np.int64)
    assert EMOTIONS[label[10]] != "happy"
    changed = {
        int(sample[10]): {"happiness": 10},  # another label
        int(sample[11]): {"fear": 5, "anger": 5},
        int(sample[12]): {"contempt": 6, "neutral": 4},
        int(sample[13]): {"NF": 10},
        int(sample[14]): {"unknown": 6, "sadness": 4},
    }
    answers = Answers(sample, label, label, None)
    seen = evaluated_samples(sample, label, "PrivateTest", known_pairs(), ("Training",))
    path = votes_file(tmp_path / "fer2013new.csv", changed)
    found = score_ferplus(path, FACES, {"PrivateTest": answers}, {"PrivateTest": seen})["PrivateTest"]
    assert (found.score.n, found.score.hits, found.left_out, found.agreement) == (36, 35, 4, 35)
    assert found.clean.n == 32 and found.clean.hits == 31
