"""`repro check`: as far as the file goes, from the claims to the verdict card; real training of the tiny paper."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import draw_tiny_faces
from tiny_paper import TINY, write_tiny

from fer_jax.data.faces import concatenate
from repro.cli import check as command
from repro.cli.main import main
from repro.runs.batch import open_context
from repro.runs.plan import RunPlan
from repro.specs.catalog import find_paper

SHORT = ("epochs = 5", "epochs = 1")
HEAD = TINY[: TINY.index("[[data.steps]]")]
DATA = TINY[TINY.index("[[data.steps]]") : TINY.index("[[model.layers]]")]
CLAIMS = TINY[TINY.index("[[claims]]") : TINY.index("[[contradictions]]")]


@pytest.fixture
def check_data(tmp_path: Path) -> Path:
    faces = concatenate([draw_tiny_faces(70, size=48, usage=usage) for usage in range(3)])
    data = tmp_path / "faces.npz"
    np.savez(data, images=faces.images, labels=faces.labels, usage=faces.usage)
    return data


@pytest.fixture
def check(tmp_path: Path, check_data: Path):
    def call(paper: object, *words: str) -> Result:
        given = ["--results", str(tmp_path / "results"), "--device", "cpu", "--data", str(check_data), *words]
        return CliRunner().invoke(main, ["check", str(paper), *given], catch_exceptions=False)

    return call


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: bytes, do: Callable[[], object]) -> str:
    """What the terminal showed while a person typed at it."""
    person, program = pty.openpty()
    os.write(person, typed)
    with open(program, "rb+", buffering=0) as device, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(device))
        patch.setattr(sys, "stderr", io.TextIOWrapper(device, write_through=True))
        with contextlib.suppress(click.Abort):
            do()
        sys.stdin.detach()  # pyright: ignore[reportAttributeAccessIssue]
        sys.stderr.detach()  # pyright: ignore[reportAttributeAccessIssue]
    shown = b""
    with contextlib.suppress(OSError):  # its end, as Linux says it
        while part := os.read(person, 4096):
            shown += part
    os.close(person)
    return shown.decode()


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


@pytest.mark.parametrize(
    ("typed", "trains"), [(b"y\n", True), (b"n\n", False), (b"\n", False), (b"what?\nyes\n", True), (b"\x04", None)]
)
def test_at_a_terminal_it_says_the_time_and_asks(tmp_path, check_data, monkeypatch, typed, trains):
    """No is the default; Ctrl-D (\\x04) aborts. The training itself is that of `--yes`."""
    loaded = find_paper(str(write_tiny(tmp_path, SHORT)))
    context = open_context({None}, device="cpu", data=str(check_data), results=tmp_path / "results", fresh=False)
    trained: list[RunPlan] = []
    monkeypatch.setattr(command, "_estimate", lambda missing, context: (90.0, "as measured"))
    monkeypatch.setattr("repro.runs.batch.run_in", lambda context, plans, alone: trained.extend(plans))
    shown = at_a_terminal(monkeypatch, typed, lambda: command._runs(loaded, "default", context, seeds=1, yes=False))
    assert "3 of 3 runs are missing, about 90s (as measured)." in shown and "Train them now? [y/N]:" in shown
    assert [plan.protocol for plan in trained] == (["as-published", "official", "clean"] if trains else [])
    assert (f"Not trained: `repro check {loaded.path} --yes` trains them." in shown) == (trains is False)


def test_mistakes_are_all_said_and_nothing_is_written(tmp_path, check):
    path = write_tiny(tmp_path, ("kernel = 3", "kernal = 3"), ("epochs = 5", 'epochs = "5"'))
    done = check(path)
    assert done.exit_code == 2
    assert "did you mean `kernel`?" in done.stderr and 'not "5"' in done.stderr
    assert not (tmp_path / "results").exists()
