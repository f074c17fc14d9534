"""repro.runs.preparation: the votes of FER+ reach the training samples that they belong to, or the run says why not."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from tiny_paper import load_tiny

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.ferplus import CHOICES
from fer_jax.data.steps import Prepared
from fer_jax.data.synthetic import draw_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.preparation import prepare
from repro.runs.records import Overrides
from repro.specs.decode import SpecError
from repro.specs.protocols import AS_PUBLISHED, OFFICIAL

FACES = draw_faces(seed=1, counts={"Training": (4,) * 7, "PublicTest": (2,) * 7, "PrivateTest": (2,) * 7})
WORDS = dict(zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"), strict=True))
RESIZE = 'size = 8\nprovenance = [{ kind = "assumed", reason = "invented" }]\n'
STEP = """
[[data.steps]]
step = "vote_targets"
file = "votes.csv"
sha256 = "{}"
provenance = [{{ kind = "assumed", reason = "invented" }}]

[[data.steps]]
step = "shuffle"
split = "train"
provenance = [{{ kind = "assumed", reason = "invented" }}]
"""


def write_votes(path: Path, faces: Faces = FACES) -> Path:
    """Six votes for the label, two for the next emotion, two for contempt; the first training sample has contempt
    alone, which is none of the seven."""
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, ["Usage", "Image name", *CHOICES])
        out.writeheader()
        for row, (label, usage) in enumerate(zip(faces.labels.tolist(), faces.usage.tolist(), strict=True)):
            votes = {WORDS[EMOTIONS[label]]: 6, WORDS[EMOTIONS[(label + 1) % 7]]: 2, "contempt": 2}
            votes = {"contempt": 10} if row == 0 else votes
            out.writerow({"Usage": USAGES[usage], "Image name": f"{row}.png"} | dict.fromkeys(CHOICES, 0) | votes)
    return path


def prepared(folder: Path, sha256: str, protocol: str = AS_PUBLISHED) -> Prepared:
    loaded = load_tiny(folder, (RESIZE, RESIZE + STEP.format(sha256)))
    plan = make_plan(loaded, variant="default", protocol=protocol, seed=0, overrides=Overrides())
    return prepare(plan, Dataset(FACES, "synthetic"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("protocol", [AS_PUBLISHED, OFFICIAL])
def test_each_training_sample_has_its_own_votes_in_any_order(tmp_path, protocol):
    found = prepared(tmp_path, digest(write_votes(tmp_path / "votes.csv")), protocol)
    train = found.splits["train"]
    assert found.targets is not None and found.targets.shape == (len(train), 7)
    expected = 0.75 * np.eye(7)[train.labels] + 0.25 * np.eye(7)[(train.labels + 1) % 7]
    first = train.origin == 0
    expected[first] = np.eye(7)[train.labels[first]]
    np.testing.assert_allclose(found.targets, expected)
    assert first.sum() == 1 and not (np.diff(train.origin) > 0).all(), "the order must differ for this to mean anything"


def test_another_file_and_no_file_are_named(tmp_path):
    with pytest.raises(DataError, match=r"votes\.csv: no such file here or beside .*tiny\.toml"):
        prepared(tmp_path, "0" * 64)
    path = write_votes(tmp_path / "votes.csv")
    with pytest.raises(DataError, match=digest(path)):
        prepared(tmp_path, "0" * 64)


def test_votes_that_do_not_fit_the_faces_are_refused(tmp_path):
    path = write_votes(tmp_path / "votes.csv", FACES.take(np.arange(len(FACES) - 1)))
    with pytest.raises(DataError, match="rows of votes for"):
        prepared(tmp_path, digest(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "cross_entropy"', 'kind = "mean_squared_error"', "has no form for votes"),
        ('kind = "cross_entropy"', 'kind = "cross_entropy"\nclass_weights = "balanced"', "no single class"),
        (RESIZE, RESIZE + STEP.format("0" * 64), "`vote_targets` may be used only once"),
    ],
    ids=["another loss", "class weights", "twice"],
)
def test_what_votes_cannot_be_combined_with(tmp_path, old, new, message):
    with pytest.raises(SpecError, match=message):
        load_tiny(tmp_path, (RESIZE, RESIZE + STEP.format("0" * 64)), (old, new))
