"""repro.report.run_card: the card says what was trained, how much of the test set was trained on, and what to type
next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import make_record
from tiny_paper import load_tiny

from fer_jax.data.synthetic import draw_faces
from repro.report.run_card import run_card, run_cards
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan
from repro.runs.records import Overrides
from repro.specs.protocols import CLEAN


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    counts = {usage: (6,) * 7 for usage in ("Training", "PublicTest", "PrivateTest")}
    return Dataset(draw_faces(seed=1, counts=counts), "synthetic")


def card(loaded, dataset, *, seeds=1, protocol="as-published", overrides=None, status="done") -> str:
    plans = [
        make_plan(loaded, variant="default", seed=seed, overrides=overrides or Overrides(), protocol=protocol)
        for seed in range(seeds)
    ]
    records = [make_record(loaded, seed=seed, accuracy=0.5, status=status, protocol=protocol) for seed in range(seeds)]
    return run_card(plans, records, dataset)


COPIED = (
    """, test = ["PrivateTest"] }
""",
    """ }
provenance = [{ kind = "assumed", reason = "invented" }]

[[data.steps]]
step = "copy_split"
from_split = "train"
into = "test"
""",
)


def test_it_says_what_was_trained_and_checked_and_what_comes_next(tmp_path, dataset):
    loaded = load_tiny(tmp_path)
    lines = card(loaded, dataset).splitlines()
    assert lines[0] == "tiny, 1 seed."
    assert "on synthetic faces: a smoke test, no evidence about the paper" in lines[1]
    assert lines[2].strip().startswith("checked   accuracy 50.0 % on ") and lines[2].endswith("the paper reports 60 %")
    assert lines[3].strip() == "none of them is also a training image, pixel for pixel"
    path = tmp_path / "tiny.toml"
    assert f"repro run {path} --protocol clean   the same network" in lines[4]
    assert "repro data get" in lines[-1]


def test_leaked_test_images_are_counted(tmp_path, dataset):
    text = card(load_tiny(tmp_path, COPIED), dataset)
    assert "LEAKAGE: 42 of them (100.0 %) are also training images, most as the same sample by step copy_split" in text


def test_identical_images_of_the_dataset_are_found(tmp_path, dataset):
    faces = dataset.faces
    images = faces.images.copy()
    images[faces.usage == 2] = images[faces.usage == 0]
    twice = Dataset(replace(faces, images=images, _fingerprint=[]), "synthetic")
    text = card(load_tiny(tmp_path), twice)
    assert "LEAKAGE: 42 of them (100.0 %) are also training images, most as a duplicate in the dataset" in text


def test_a_shortened_run_is_no_reproduction(tmp_path, dataset):
    text = card(load_tiny(tmp_path), dataset, overrides=Overrides(epochs=1), status="partial")
    assert text.splitlines()[0] == "tiny, 1 seed. SHORTENED by your options: no reproduction."


def test_real_data_without_a_verdict_ask_for_seeds(tmp_path, dataset):
    real = Dataset(replace(dataset.faces, synthetic=False), "fer2013")
    loaded = load_tiny(tmp_path)
    assert "--until-decided   adds seeds until there is a verdict" in card(loaded, real)
    assert "--until-decided" not in card(loaded, real, seeds=3)
    clean = card(loaded, real, protocol=CLEAN)
    assert "tiny, protocol clean, 1 seed." in clean and "--protocol clean   the same" not in clean
    assert "--protocol clean --until-decided   adds seeds" in clean, "to the question that was just run"


def test_a_failed_run_has_no_card(tmp_path, dataset):
    loaded = load_tiny(tmp_path)
    assert card(loaded, dataset, status="failed") == ""
    plan = make_plan(loaded, variant="default", seed=0, overrides=Overrides())
    other = make_plan(loaded, variant="tanh", seed=0, overrides=Overrides())
    records = [make_record(loaded, accuracy=0.5, status="failed"), make_record(loaded, accuracy=0.5)]
    (only,) = run_cards([plan, other], records, dataset)
    assert only.startswith("tiny tanh, 1 seed.")
