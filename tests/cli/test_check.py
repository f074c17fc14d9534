"""`repro check`: as far as the file goes, from the claims to the verdict card; real training of the tiny paper."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import draw_tiny_faces
from tiny_paper import TINY, write_tiny

from fer_jax.data.faces import concatenate
from repro.cli.main import main

SHORT = ("epochs = 5", "epochs = 1")
HEAD = TINY[: TINY.index("[[data.steps]]")]
DATA = TINY[TINY.index("[[data.steps]]") : TINY.index("[[model.layers]]")]
CLAIMS = TINY[TINY.index("[[claims]]") : TINY.index("[[contradictions]]")]


@pytest.fixture
def check(tmp_path: Path):
    faces = concatenate([draw_tiny_faces(70, size=48, usage=usage) for usage in range(3)])
    data = tmp_path / "faces.npz"
    np.savez(data, images=faces.images, labels=faces.labels, usage=faces.usage)

    def call(paper: object, *words: str) -> Result:
        given = ["--results", str(tmp_path / "results"), "--device", "cpu", "--data", str(data), *words]
        return CliRunner().invoke(main, ["check", str(paper), *given], catch_exceptions=False)

    return call


def test_claims_alone_give_the_arithmetic_a_page_and_a_card(tmp_path, check):
    path = tmp_path / "tiny.toml"
    path.write_text(HEAD + CLAIMS)
    done = check(path, "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["runs"] == document["audit"] == [] and document["estimate"] is None
    assert document["card"]["claim"] == "60 % accuracy, test"
    assert document["card"]["printed_numbers"].startswith("Contradictions among the paper's own numbers: 0")
    assert document["card"]["next"] == [{"command": f"repro check {path}", "gives": "again, once the file has [data]"}]
    assert "# tiny" in Path(document["page"]).read_text()
    assert (tmp_path / "results/specs/tiny.toml").read_bytes() == path.read_bytes()


def test_claims_and_data_are_audited(tmp_path, check):
    path = tmp_path / "tiny.toml"
    path.write_text(HEAD + DATA + CLAIMS)
    document = json.loads(check(path, "--json").stdout)
    assert {one["protocol"] for one in document["audit"]} >= {"as-published", "official", "clean"}
    assert document["card"]["overlap"] == "0 of 70 evaluated images (0.0 %) are also in training, or copies of one are"
    assert document["runs"] == []


def test_without_a_terminal_nothing_is_trained_and_the_command_is_said(tmp_path, check):
    path = write_tiny(tmp_path, SHORT)
    done = check(path)
    assert done.exit_code == 0
    assert "9 of 9 runs are missing, about " in done.stderr and "from a trial of " in done.stderr
    assert f"`repro check {path} --yes` trains them" in done.stderr
    assert list((tmp_path / "results").rglob("run.json")) == []
    assert "60 % accuracy, test" in done.stdout and "not run" in done.stdout, "the card is what is printed"


def test_with_yes_the_runs_are_made_and_judged(tmp_path, check):
    path = write_tiny(tmp_path, SHORT)
    document = json.loads(check(path, "--yes", "--seeds", "1", "--json").stdout)
    assert [(one["protocol"], one["status"]) for one in document["runs"]] == [
        ("as-published", "done"),
        ("official", "done"),
        ("clean", "done"),
    ]
    kept = {path.parents[1] for path in (tmp_path / "results").rglob("network.onnx")}
    assert kept == {path.parent for path in (tmp_path / "results").rglob("run.json")}, "each is ready for its first use"
    again = check(path, "--seeds", "1")
    assert "0 of 3 runs are missing." in again.stderr and "`repro check" not in again.stderr
    page = (tmp_path / "results/tiny.md").read_text()
    assert "as-published" in page and "not-fer2013" in page


def test_mistakes_are_all_said_and_nothing_is_written(tmp_path, check):
    path = write_tiny(tmp_path, ("kernel = 3", "kernal = 3"), ("epochs = 5", 'epochs = "5"'))
    done = check(path)
    assert done.exit_code == 2
    assert "did you mean `kernel`?" in done.stderr and 'not "5"' in done.stderr
    assert not (tmp_path / "results").exists()
