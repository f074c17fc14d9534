"""repro.report.verdict_card: the claim, what was measured, how much of the test set was trained on, the verdict, and
what to type next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import make_record
from results_folders import write_results
from tiny_paper import TINY, load_tiny

from fer_jax.data.synthetic import draw_faces
from repro.report.verdict_card import VerdictCard, card_builtins, card_document, run_cards, verdict_card
from repro.runs.dataset import Dataset
from repro.runs.plan import make_plan, settings_sha256
from repro.runs.records import Overrides
from repro.specs.decode import load_spec
from repro.specs.protocols import AS_PUBLISHED, CLEAN, under_protocol
from repro.text.markdown import markdown
from repro.text.terminal import terminal


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    counts = {usage: (6,) * 7 for usage in ("Training", "PublicTest", "PrivateTest")}
    return Dataset(draw_faces(seed=1, counts=counts), "synthetic")


def card(loaded, dataset, results, *, seeds=1, protocol="as-published", overrides=None, status="done") -> VerdictCard:
    plans = [
        make_plan(loaded, variant="default", seed=seed, overrides=overrides or Overrides(), protocol=protocol)
        for seed in range(seeds)
    ]
    records = [make_record(loaded, seed=seed, accuracy=0.5, status=status, protocol=protocol) for seed in range(seeds)]
    (found,) = run_cards({loaded.id: loaded}, plans, records, dataset, results)
    return found


def commands(found: VerdictCard) -> list[str]:
    return [step.command for step in found.next]


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
    found = card(load_tiny(tmp_path), dataset, tmp_path)
    assert found.title == "tiny, 1 seed."
    assert found.claim == "60 % accuracy, test"
    assert found.trained.endswith("on synthetic faces: a smoke test, no evidence about the paper")
    assert found.checked.startswith("accuracy 50.0 % on ") and found.checked.endswith("; the paper reports 60 %")
    assert found.overlap == "no evaluated image is also a training image, pixel for pixel"
    assert (found.as_published, found.reproduces) == ("not run", "open: not run")
    path = tmp_path / "tiny.toml"
    assert commands(found)[:2] == [f"repro run {path} --protocol clean", f"repro forensics {path}"]
    assert "repro data get --from kaggle" in commands(found)


def test_leaked_test_images_are_counted(tmp_path, dataset):
    found = card(load_tiny(tmp_path, COPIED), dataset, tmp_path)
    assert found.overlap == (
        "LEAKAGE: 42 of 42 (100.0 %) are also training images, most as the same sample by step copy_split1"
    )


def test_identical_images_of_the_dataset_are_found(tmp_path, dataset):
    faces = dataset.faces
    images = faces.images.copy()
    images[faces.usage == 2] = images[faces.usage == 0]
    twice = Dataset(replace(faces, images=images, _fingerprint=[]), "synthetic")
    assert card(load_tiny(tmp_path), twice, tmp_path).overlap.endswith("most as a duplicate in the dataset")


def test_a_shortened_run_is_no_reproduction(tmp_path, dataset):
    found = card(load_tiny(tmp_path), dataset, tmp_path, overrides=Overrides(epochs=1), status="partial")
    assert found.title == "tiny, 1 seed. SHORTENED by your options: no reproduction."


def test_what_is_open_says_the_command_that_closes_it(tmp_path, dataset):
    real = Dataset(replace(dataset.faces, synthetic=False), "fer2013")
    loaded = load_tiny(tmp_path)
    run = f"repro run {tmp_path / 'tiny.toml'}"
    assert commands(card(loaded, real, tmp_path)) == [
        f"{run} --until-decided",
        f"{run} --protocol clean --seeds 3",
        "repro report",
    ]
    clean = card(loaded, real, tmp_path, protocol=CLEAN)
    assert clean.title == "tiny, protocol clean, 1 seed."
    assert commands(clean)[0] == f"{run} --protocol clean --until-decided", "to the question that was just run"


def test_without_a_claim_there_is_nothing_to_decide(tmp_path, dataset):
    real = Dataset(replace(dataset.faces, synthetic=False), "fer2013")
    loaded = load_tiny(tmp_path, (TINY[TINY.index("[[claims]]") : TINY.index("[[contradictions]]")], ""))
    for protocol in (AS_PUBLISHED, CLEAN):
        shown = commands(card(loaded, real, tmp_path, protocol=protocol))
        assert shown and not any("--until-decided" in command for command in shown)


def test_a_failed_run_has_no_card(tmp_path, dataset):
    loaded = load_tiny(tmp_path)
    plan = make_plan(loaded, variant="default", seed=0, overrides=Overrides())
    other = make_plan(loaded, variant="tanh", seed=0, overrides=Overrides())
    records = [make_record(loaded, accuracy=0.5, status="failed"), make_record(loaded, accuracy=0.5)]
    (only,) = run_cards({"tiny": loaded}, [plan, other], records, dataset, tmp_path)
    assert only.title == "tiny tanh, 1 seed."


def folder_with(loaded, results, **accuracies):
    """Three runs by protocol, about the given accuracy."""
    records = []
    for name, accuracy in accuracies.items():
        protocol = name.replace("_", "-")
        settings = settings_sha256(under_protocol(loaded.resolve("default"), protocol))
        records += [
            make_record(loaded, seed=k, accuracy=accuracy + 0.001 * k, protocol=protocol, spec_sha256=settings)
            for k in range(3)
        ]
    return write_results(results, *records)


def test_the_verdict_is_of_all_runs_in_the_folder(tmp_path):
    loaded = load_tiny(tmp_path)
    folder_with(loaded, tmp_path / "results", as_published=0.60, official=0.40, clean=0.38)
    found = verdict_card(loaded, "default", tmp_path / "results")
    assert found.as_published.startswith("60.1 ") and found.as_published.endswith("(n = 3)")
    assert found.official.startswith("40.1 ") and found.clean.startswith("38.1 ")
    assert found.reproduces.startswith("yes") and found.holds.startswith("no")
    assert f"repro explain {tmp_path / 'tiny.toml'}" in commands(found)


def test_terminal_markdown_and_json_say_the_same(tmp_path):
    loaded = load_tiny(tmp_path, ('id = "tiny"', 'id = "tiny"\nyear = 2020'))
    folder_with(loaded, tmp_path / "results", as_published=0.60)
    found = verdict_card(loaded, "default", tmp_path / "results")
    document, builtins = card_document(found), card_builtins(found)
    assert builtins["verdict"] == found.verdict
    for shown in (terminal(document), markdown(document)):
        assert found.claim in shown and found.as_published in shown and "Without" not in shown
        assert all(step.command in " ".join(shown.split()) for step in found.next), "wrapped between words"


def test_a_paper_without_a_network_is_told_what_it_needs(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY[: TINY.index("[[data.steps]]")] + TINY[TINY.index("[[claims]]") : TINY.index("[[contra")])
    (step,) = verdict_card(load_spec(path), "default", tmp_path).next
    assert (step.command, step.gives) == (f"repro check {path}", "again, once the file has [data]")
