"""docs/lessons: the notebook runs from top to bottom, with the exercises as students get them and with solutions."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path

import matplotlib
import pytest

LESSONS = Path(__file__).resolve().parents[1] / "docs" / "lessons"
NOTEBOOK = json.loads((LESSONS / "leakage.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
# In place of an eighth of FER-2013 and all epochs.
QUICK = {"SAMPLES": 700, "EPOCHS": 2}


def source(cell: dict) -> str:
    return "".join(cell["source"])


def is_a(tag: str, cell: dict) -> bool:
    return tag in cell["metadata"].get("tags", [])


def run_notebook(*, solved: bool) -> dict:
    """All cells in one namespace, as a kernel runs them; returns the namespace."""
    names: dict = {"__name__": "__main__"}
    for cell in CODE:
        exec(compile(source(cell), f"leakage.ipynb, cell {cell['id']}", "exec"), names)
        if is_a("parameters", cell):
            assert QUICK.keys() <= names.keys()
            names |= QUICK
        if is_a("exercise", cell) and solved:
            exec("from leakage_solutions import *", names)
    return names


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """A folder as a student has it, in which both runs of the notebook train once."""
    folder = tmp_path_factory.mktemp("lesson")
    for name in ("leakage.toml", "leakage_solutions.py"):
        shutil.copy(LESSONS / name, folder)
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        # Compiling C++ takes longer than the lesson.
        patch.setattr("fer_jax.network.native.calls.available", lambda: False)
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(LESSONS.parents[1]))
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("leakage_solutions", None)


@pytest.mark.slow
def test_without_answers_it_runs_and_gives_no_marks(lesson, capsys):
    names = run_notebook(solved=False)
    assert [passed for passed in names["marks"].values()] == [False] * 5
    told = capsys.readouterr().out
    assert "0 of 5" in told and "exact copies: precision 100.0%, recall 0.0%" in told


def test_the_solutions_get_all_marks(lesson, capsys):
    names = run_notebook(solved=True)
    assert all(names["marks"].values()) and len(names["marks"]) == 5, names["marks"]
    assert "5 of 5" in capsys.readouterr().out
    assert names["record"].data.name == "not-fer2013" and names["is_copy"].sum() == 21
    missed = names["mark_2"].missed
    assert missed and not missed.get("same"), "there is something left to think about"


def test_the_committed_notebook_is_as_students_should_get_it():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["metadata"]["kernelspec"]["language"]) == (4, "python")
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE), "no output, no answer"
    assert all(len(line.rstrip("\n")) <= 125 for cell in NOTEBOOK["cells"] for line in cell["source"])
    exercises = [source(cell) for cell in CODE if is_a("exercise", cell)]
    solved = {node.name: node for node in ast.parse((LESSONS / "leakage_solutions.py").read_text()).body
              if isinstance(node, ast.FunctionDef)}  # fmt: skip
    for text in exercises:
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
        assert [a.arg for a in function.args.args] == [a.arg for a in solved.pop(function.name).args.args]
    assert not solved, "a solution without an exercise"
