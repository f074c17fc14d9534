"""repro.cli.main: what scripts may rely on (standard output, exit codes), examples, and answers at once."""

from __future__ import annotations

import ast
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tiny_paper import write_tiny

from fer_jax.vocabulary.step_kinds import StepError
from repro.cli import main
from repro.runs.record_files import RecordError

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ["basani2017", "chavan2020", "onghena", "teta2022", "zhaqsylyq"]
MODELS = [
    *("arriaga2017", "atulapra2019", "fer_repro_small", "khaireddin2021", "lethesec2021", "resemotenet2024"),
    *("safreita2017", "serengil2018", "tang2013", "wujie2018"),
]
BUNDLED = [*PAPERS, *MODELS]
# Python's own modules, whose import is the same kind of work as a command's. Where an idle machine needs half a second
# of its processor for a command, it needs an eighth for them; the rest is for what machines differ in.
REFERENCE = (
    "import asyncio, concurrent.futures, ctypes, decimal, doctest, email.policy, http.server, logging.config, "
    "multiprocessing.pool, ssl, statistics, unittest.mock, urllib.request, xml.dom.minidom, xmlrpc.client, zipfile"
)
MOST_REFERENCES = 5.5


def call(*words: str) -> Result:
    return CliRunner().invoke(main.main, words)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path] if path else []
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command
        if command.hidden:  # the group's own help tells it
            continue
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


ALL_COMMANDS = commands(main.main)


def test_the_commands_are_all_there():
    expected = {
        "launch",
        "log",
        "leaderboard",
        "list",
        "show",
        "status",
        "sweep",
        "validate",
        "run",
        "run-all",
        "report",
        "bench",
        "compare",
        "plan",
        "forensics",
        "explain",
        "check",
        "new",
        "evaluate",
        "export",
        "predict",
        "serve",
        "webcam",
        "audit",
        "audit data",
        "data",
        "data status",
        "data import",
        "data get",
        "data export",
        "data synthesise",
    }
    assert {" ".join(path) for path in ALL_COMMANDS} == expected


@pytest.mark.parametrize("path", ALL_COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_can_be_typed(path):
    result = call(*path, "--help")
    assert result.exit_code == 0
    _, _, example = result.stdout.partition("Example:")
    lines = [line.strip() for line in example.splitlines() if line.strip()]
    assert lines and all(line.startswith(f"repro {' '.join(path)}") for line in lines)
    for line in lines:
        command: click.Command = main.main
        words = line.split()[1:]
        while isinstance(command, click.Group):
            _, found, words = command.resolve_command(click.Context(command), words)
            assert found
            command = found
        command.make_context("repro", words)  # raises where a flag or an argument is wrong


# --- list, show, validate -------------------------------------------------------------------------------------------


def test_list():
    result = call("list")
    assert result.exit_code == 0 and result.stderr == ""
    for paper in PAPERS:
        assert paper in result.stdout
    assert "551,687 parameters" in result.stdout


def test_list_for_scripts():
    result = call("list", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    assert [row["id"] for row in json.loads(result.stdout)] == BUNDLED


def test_show():
    result = call("show", "teta2022")
    assert result.exit_code == 0
    assert "551,687 parameters" in result.stdout and "Contradictions\n" in result.stdout


def test_show_for_scripts():
    result = call("show", "chavan2020", "--variant", "fig4", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    document = json.loads(result.stdout)
    assert document["variant"] == "fig4"
    assert document["spec"]["training"]["epochs"] == 3
    assert document["spec_sha256"] != json.loads(call("show", "chavan2020", "--json").stdout)["spec_sha256"]


def test_show_and_validate_a_file_anywhere(tmp_path):
    path = str(write_tiny(tmp_path))
    assert "One convolution and one dense layer." in call("show", path).stdout
    assert json.loads(call("show", path, "--variant", "tanh", "--json").stdout)["parameters"] == 531
    result = call("validate", path)
    assert (result.exit_code, result.stdout) == (
        0,
        "tiny: valid; 2 claims, 0 curves, 0 tables, 1 variant besides the default\n",
    )


def test_validate_all():
    result = call("validate")
    assert result.exit_code == 0
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == BUNDLED


def test_validate_goes_on_after_a_wrong_file(tmp_path):
    wrong = write_tiny(tmp_path, ("kernel = 3", "kernel = 30"))
    result = call("validate", str(wrong), str(tmp_path / "nowhere.toml"), "teta2022")
    assert result.exit_code == 2
    assert result.stdout.startswith("teta2022: valid")
    first, second = result.stderr.splitlines()
    assert first == f"error: {wrong}:20: model.layers[0] (conv1): a kernel of 30 is larger than its 8 x 8 map"
    assert second == f"error: {tmp_path / 'nowhere.toml'}: no such file"


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["run"], ["validate"]])
def test_an_unknown_paper_is_told_the_known_ones(command):
    result = call(*command, "teta2021")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith(f"error: no paper 'teta2021'; accepted: {', '.join(BUNDLED)};")
    assert result.stderr.endswith("./teta2021.toml; did you mean teta2022?\n")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_spec_is_not_looked_for_under_another_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "predictions.csv").write_text("happy\n")
    result = call("forensics", "predictions.csv")
    assert result.exit_code == 2 and "predictions.csv: a file whose name does not end in .toml" in result.stderr
    assert "no paper" not in result.stderr


@pytest.mark.parametrize(("word", "hint"), [("forensic", "; did you mean forensics?"), ("train", "")])
def test_an_unknown_command_is_told_the_nearest(word, hint):
    result = call(word)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: No such command '{word}'{hint}"


def test_the_list_of_commands_has_whole_sentences():
    _, _, text = call("--help").stdout.partition("Commands:")
    assert "..." not in text
    assert "explains a reported accuracy, by retraining with each plausible error" in " ".join(text.split())
    assert all(f"\n  {name} " in text for name in main.COMMANDS)


@pytest.mark.parametrize("command", ["show", "run"])
def test_an_unknown_variant_is_told_the_known_ones(command):
    result = call(command, "zhaqsylyq", "--variant", "elu")
    assert result.exit_code == 2 and result.stdout == ""
    assert "no variant 'elu'; this paper has: default, dropout_30, no_dropout_30" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["run", "teta2022", "--device", "tpu"],
        ["run", "teta2022", "--epochs", "0"],
        ["run-all", "--seeds", "0"],
        ["run"],
        ["train"],
        ["list", "--xml"],
    ],
)
def test_wrong_usage_exits_2_and_leaves_standard_output_alone(words):
    result = call(*words)
    assert result.exit_code == 2 and result.stdout == ""
    assert "Usage: " in result.stderr


# --- report ---------------------------------------------------------------------------------------------------------


def test_report_writes_and_check_tells_whether_it_still_holds(tmp_path):
    results = str(tmp_path)
    assert call("report", "--results", results, "--check").exit_code == 1
    assert call("report", "--results", results).exit_code == 0
    assert "teta2022" in (tmp_path / "RESULTS.md").read_text()
    assert call("report", "--results", results, "--check").exit_code == 0
    (tmp_path / "RESULTS.md").write_text("edited by hand\n")
    result = call("report", "--results", results, "--check")
    assert result.exit_code == 1 and "does not match the records" in result.stderr
    assert (tmp_path / "RESULTS.md").read_text() == "edited by hand\n"


# --- errors ---------------------------------------------------------------------------------------------------------

# Never reach the command line: another error takes their place on the way, a run records them, or another way is taken.
INNER_ERRORS = {"LayerError", "ShapeError", "SplitsDiffer", "NativeError", "WorkerError", "WorkerDied", "ArchiveError"}
INNER_ERRORS |= {"UnsafeFolder", "WrongSetting", "HostLost", "Abandoned", "Ended", "RunPruned"}


def error_classes() -> dict[str, set[str]]:
    """The exceptions that the two packages define, with the names of all their bases."""
    found: dict[str, set[str]] = {}
    for path in [*(ROOT / "repro").rglob("*.py"), *(ROOT / "fer_jax").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {getattr(base, "id", "") for base in node.bases}
                if bases & {"Exception", "ValueError", "RuntimeError", "OSError", "UserError"}:
                    found[node.name] = bases
    return found


def test_every_error_that_the_user_can_mend_has_the_base_that_commands_catch() -> None:
    classes = error_classes()
    assert {"SpecError", "DataError", "StepError"} <= set(classes)
    users = {name for name, bases in classes.items() if "UserError" in bases}
    assert users | INNER_ERRORS | {"UserError"} == set(classes) and not users & INNER_ERRORS


@pytest.mark.parametrize("kind", [RecordError, StepError])
def test_an_error_that_the_user_can_mend_is_one_message_and_exit_code_2(kind, monkeypatch) -> None:
    def fail(*_: str) -> None:
        raise StepError(0, "it does not fit") if kind is StepError else kind("it does not fit")

    monkeypatch.setattr("repro.cli.list.bundled_papers", fail)
    result = call("list")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "error: it does not fit\n")


# --- at once --------------------------------------------------------------------------------------------------------

READING = [["list"], ["list", "--json"], ["show", "basani2017"], ["show", "teta2022", "--json"], ["validate"]]


def test_reading_specs_loads_no_jax():
    code = f"""
import sys
from repro.cli.main import main
for words in {READING!r}:
    main(words, standalone_mode=False)
    found = [m for m in ("jax", "flax", "optax", "orbax", "pandas", "rich") if m in sys.modules]
    assert not found, (words, found)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def cpu_seconds(*arguments: str) -> float:
    """Of a process of Python: what other processes leave it does not count, as it would on the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, cwd=ROOT, timeout=300, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_reading_specs_takes_less_than_half_a_second():
    """Beside the reference in the same seconds: a core that others share computes less in a second."""
    called = {"reference": ("-c", REFERENCE)}
    called |= {words: ("-m", "repro", *words.split()) for words in ("list", "show basani2017", "validate")}
    least = dict.fromkeys(called, math.inf)
    for _ in range(3):
        least = {words: min(least[words], cpu_seconds(*arguments)) for words, arguments in called.items()}
    reference = least.pop("reference")
    assert max(least.values()) < MOST_REFERENCES * reference, (least, reference)
