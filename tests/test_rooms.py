"""Three rooms, one direction: papers (inert) and fer_jax (arrays in, parameters out) never lean on repro."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("fer_jax", "repro", "tests")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
# What a spec is made of: read by commands that must answer at once.
WITHOUT_JAX = (
    *(
        "fer_jax",
        "fer_jax.errors",
        "fer_jax.vocabulary.layers",
        "fer_jax.vocabulary.settings",
        "fer_jax.vocabulary.step_kinds",
        "fer_jax.data.faces",
    ),
    *("fer_jax.data.steps", "fer_jax.machine.atomic_write"),
)
MAX_LINES = 350


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, at any depth, also under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return names


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def module_file(name: str) -> Path:
    path = ROOT / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_walk_finds_imports(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("import a.b\nfrom c import d\ndef f():\n    import e\n    importlib.import_module('g')\n")
    assert imported(path) == {"a.b", "c", "c.d", "e", "g"}


@pytest.mark.parametrize("path", sorted((ROOT / "fer_jax").rglob("*.py")), ids=lambda p: p.name)
def test_fer_jax_never_imports_repro(path):
    assert "repro" not in tops(path)
    assert not tops(path) & {"click", "rich"}, "the command line belongs to repro"


def test_papers_are_inert():
    assert {path.suffix for path in (ROOT / "papers").rglob("*") if path.is_file()} == {".toml"}


def test_the_package_never_imports_its_tests():
    for path in SOURCES:
        if "tests" not in path.relative_to(ROOT).parts:
            assert not tops(path) & {"tests", "pytest", "hypothesis"}, path


def test_opencv_serves_pictures_of_users_alone():
    """What trains and judges computes with its own routines, which tests compare with OpenCV's."""
    for path in SOURCES:
        if not {"tests", "recognition", "serve", "measurements"} & set(path.relative_to(ROOT).parts):
            assert "cv2" not in tops(path), path


@pytest.mark.parametrize("name", WITHOUT_JAX)
def test_modules_of_the_vocabulary_do_not_name_jax(name):
    assert not tops(module_file(name)) & {"jax", "jaxlib", "flax", "optax", "orbax"}


def test_modules_of_the_vocabulary_do_not_load_jax_by_way_of_others():
    heavy = "('jax', 'flax', 'optax', 'orbax')"
    code = f"import sys, {', '.join(WITHOUT_JAX)}\nprint(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_named_after_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}
