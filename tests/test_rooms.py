"""Rooms, and imports in one direction: papers are inert, fer_jax never imports repro, no room imports one above it."""

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
        "fer_jax.vocabulary.errors",
        "fer_jax.vocabulary.layers",
        "fer_jax.vocabulary.settings",
        "fer_jax.vocabulary.step_kinds",
        "fer_jax.data.faces",
    ),
    *("fer_jax.data.steps", "fer_jax.machine.atomic_write", "fer_jax.network.native.library"),
)
MAX_LINES = 350

# Every room, from the bottom to the top, and the rooms that it imports: each is further up in this table. A room is
# a package with all that is in it, unless a package inside is a room itself.
_IMPORTS = {
    "fer_jax": "",
    "fer_jax.vocabulary": "",
    "fer_jax.machine": "vocabulary",
    "fer_jax.data": "vocabulary machine",
    "fer_jax.duplicates": "machine data",
    "fer_jax.network": "vocabulary machine",
    "fer_jax.train": "vocabulary machine data network",
    "repro": "",
    "repro.specs": "vocabulary",
    "repro.text": "vocabulary specs",
    "repro.draft": "vocabulary specs",
    "repro.runs": "fer_jax repro vocabulary machine data duplicates train specs",
    "repro.splits": "vocabulary machine data duplicates specs runs",
    "repro.statistics": "",
    "repro.audit": "vocabulary machine data duplicates specs runs",
    "repro.forensics": "vocabulary data specs",
    "repro.judge": "fer_jax vocabulary duplicates train specs text runs statistics audit",
    "repro.decide": "vocabulary data train specs text runs statistics audit judge",
    "repro.sweep": "fer_jax vocabulary machine specs text runs statistics judge decide",
    "repro.explain": "fer_jax vocabulary machine duplicates specs text runs statistics judge",
    "repro.bench": "fer_jax vocabulary machine data duplicates train specs text runs",
    "repro.report.figures": "vocabulary specs text runs statistics audit judge",
    "repro.evaluation": "vocabulary machine data duplicates specs text runs statistics audit judge report.figures",
    "repro.report": (
        "vocabulary duplicates specs text runs statistics audit forensics judge sweep explain bench report.figures"
    ),
    "repro.report.page": "vocabulary specs text runs judge bench report.figures report",
    "repro.launch": "vocabulary",
    "repro.trackers": "vocabulary runs",
    "repro.use": "repro vocabulary machine data train specs runs statistics",
    "repro.use.recognition": "vocabulary machine data text use",
    "repro.use.export": "repro vocabulary data network specs runs use",
    "repro.api": (
        "vocabulary machine data duplicates specs text runs statistics audit forensics judge report.figures report "
        "report.page evaluation use use.export"
    ),
    "repro.use.serve": "vocabulary data specs runs report.page use use.recognition",
    "repro.cli": (
        "repro vocabulary machine data network specs text draft runs splits audit forensics decide explain bench "
        "evaluation report.figures report report.page launch sweep trackers use use.recognition use.export use.serve"
    ),
    "repro.measurements": "vocabulary machine data specs text runs statistics use use.recognition cli",
    "repro.gpu": "fer_jax vocabulary machine duplicates network train specs text runs bench",
}
_FULL = {room.partition(".")[2] or room: room for room in _IMPORTS}
IMPORTS = {room: {_FULL[name] for name in names.split()} for room, names in _IMPORTS.items()}
COMMAND_LINE = "repro.cli"  # imports what a command needs when the command is called
# Other modules that import modules of the project inside functions, and what they save by it.
IMPORTS_LATER = {
    "fer_jax.duplicates.search": "JAX: its version number is asked for by reports",
    "repro.api.data": "JAX: most calls of the interface need none",
    "repro.api.models": "onnx: a network that is not exported needs none",
    "repro.api.shown": "matplotlib: an object that is not drawn needs none",
    "repro.bench.audit": "JAX: a rival's process must not hold it",
    "repro.bench.command": "JAX: it takes its threads from the environment, which is set before",
    "repro.bench.workload": "JAX: a rival's process must not hold it",
    "repro.explain.search": "JAX: without training none is needed",
    "repro.report.figures.folder": "matplotlib: the check needs none",
    "repro.use.classifier": "JAX: a network that ONNX Runtime opens needs none",
    "repro.use.trained": "JAX: a run is looked for without it",
}


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


def imported_modules(tree: ast.AST) -> set[str]:
    """The modules of the project that are imported anywhere in a tree, as far as files tell them from names."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{a.name}" if is_module(f"{node.module}.{a.name}") else node.module for a in node.names
            }
    return {name for name in found if name.partition(".")[0] in ("fer_jax", "repro")}


def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    if module == "repro.__main__":
        return COMMAND_LINE
    while module not in IMPORTS:
        module = module.rpartition(".")[0]
    return module


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def module_file(name: str) -> Path:
    path = ROOT / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_walk_finds_imports(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("import a.b\nfrom c import d\ndef f():\n    import e\n    importlib.import_module('g')\n")
    assert imported(path) == {"a.b", "c", "c.d", "e", "g"}


def test_fer_jax_never_imports_repro():
    """Nor click and rich: the command line belongs to repro."""
    above = {"repro", "click", "rich"}
    found = {path.name: tops(path) & above for path in sorted((ROOT / "fer_jax").rglob("*.py"))}
    assert len(found) > 50 and {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_table_of_rooms_goes_from_the_bottom_to_the_top():
    rooms = list(IMPORTS)
    for place, (room, below) in enumerate(IMPORTS.items()):
        assert below <= set(rooms[:place]), room


@pytest.mark.parametrize("room", IMPORTS)
def test_a_room_imports_what_the_table_says(room):
    found: dict[str, str] = {}
    for path in (path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"):
        if room_of(module_name(path)) == room:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= {room_of(name): f"{module_name(path)} imports {name}" for name in imported_modules(tree)}
    found.pop(room, None)
    assert [found[other] for other in found.keys() - IMPORTS[room]] == []
    assert IMPORTS[room] - found.keys() == set(), "no longer imported: take it out of the table"


def test_a_package_of_the_project_is_a_room_or_in_one():
    loose = [path for path in SOURCES if path.parent in (ROOT / "fer_jax", ROOT / "repro")]
    assert {path.stem for path in loose} == {"__init__", "__main__"}
    packages = {module_name(path) for path in SOURCES if path.name == "__init__.py"}
    assert {name for name in packages if name.count(".") == 1} == {room for room in IMPORTS if room.count(".") == 1}


def test_imports_stand_at_the_top_of_a_file():
    """But for those of commands, and a few that save the time that JAX or matplotlib takes."""
    later = set()
    for path in (path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"):
        name = module_name(path)
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, functions))
        if room_of(name) != COMMAND_LINE and any(imported_modules(node) for node in nodes):
            later.add(name)
    assert later == IMPORTS_LATER.keys()


def test_no_two_classes_have_one_name():
    found: dict[str, list[str]] = {}
    for path in (path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module_name(path))
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


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


def test_no_modules_import_each_other_in_a_circle():
    """Neither for types alone. What is imported inside functions is listed in IMPORTS_LATER."""
    imports = {}
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] != "tests":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            above: list[ast.stmt] = [
                node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.If)
            ]
            imports[module_name(path)] = imported_modules(ast.Module(above, []))
    known: set[str] = set()

    def follow(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module not in known:
            for other in sorted(imports.get(module, ())):
                follow(other, (*way, module))
            known.add(module)

    for module in sorted(imports):
        follow(module, ())


def test_files_are_short_and_named_after_what_they_hold():
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    empty_names = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [name for name in lines if Path(name).stem in empty_names] == []
