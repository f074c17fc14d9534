"""What a record says about where it was made."""

import subprocess
from pathlib import Path

import pytest

from repro.runs import environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout of which repro/runs/environment.py seems to be a part."""
    (tmp_path / "repro" / "runs").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    for name in ("repro/runs/environment.py", "results/RESULTS.md"):
        (tmp_path / name).write_text("old\n")
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "repro/runs/environment.py"))
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    state = environment.git_state()
    assert len(state.commit) == 40
    assert not state.dirty


def test_changed_code_is_dirty_and_changed_results_are_not(checkout: Path) -> None:
    (checkout / "results/RESULTS.md").write_text("new\n")
    assert not environment.git_state().dirty
    (checkout / "repro/runs/environment.py").write_text("new\n")
    assert environment.git_state().dirty


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repro").mkdir()
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "repro/runs/environment.py"))
    assert environment.git_state().commit == ""


def test_versions_name_what_decides_the_numbers() -> None:
    assert {"python", "fer-repro", "jax", "jaxlib", "flax", "optax", "numpy"} <= set(environment.versions())


def test_the_command_keeps_no_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    data = str(Path.home() / "private" / "fer2013.csv")
    monkeypatch.setattr(
        "sys.argv", ["/somewhere/repro", "run", "teta2022", "--data", data, f"--results={data}", "--seeds=3"]
    )
    assert environment.command_line() == "repro run teta2022 --data fer2013.csv --results=fer2013.csv --seeds=3"
