"""docs/: command pages that follow from the commands, files and commands that exist, an example that runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from docs_scripts import load_script

from fer_jax.vocabulary.settings import AdamW, Cosine
from repro.cli.main import main
from repro.forensics import examine
from repro.runs.stored_records import read_record
from repro.specs.catalog import find_paper
from repro.text.document import Column, chip, link, table

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = sorted((ROOT / "docs").glob("*.md"))  # by hand; the others are generated
GENERATED = sorted((ROOT / "docs" / "commands").glob("*.md"))
LONGEST_LINE = 120


generate = load_script("generate")


def all_commands() -> list[tuple[str, click.Command]]:
    """Hidden ones too: a group's page tells them."""
    found: list[tuple[str, click.Command]] = []
    waiting: list[tuple[str, click.Command]] = [("repro", main)]
    while waiting:
        words, command = waiting.pop()
        found.append((words, command))
        if isinstance(command, click.Group):
            waiting += [(f"{words} {name}", one) for name, one in generate.subcommands(command)]
    return sorted(found[1:], key=lambda item: item[0])


COMMANDS = all_commands()


# --- the pages of the commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_pages_of_the_commands_are_current_on_any_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert generate.stale() == [], "run `python docs/generate.py`"


def test_the_readme_has_some_columns_of_the_main_table_with_links_into_the_results():
    columns = [Column(name) for name in ("Device", *generate.RESULT_COLUMNS)]
    cells = [
        "cpu",
        link("a", "a.md"),
        "98.0 %",
        "97.0 %",
        "50.0 %",
        "40.0 %",
        chip("yes", "yes"),
        (chip("no", "no"), " *"),
    ]
    shown = generate.narrowed(table(columns, [cells]))
    assert shown.splitlines()[0] == f"| {' | '.join(generate.RESULT_COLUMNS)} |"
    assert shown.splitlines()[2] == (r"| [a](results/a.md) | 98.0 % | 97.0 % | 50.0 % | 40.0 % | **yes** | **no** \* |")
    text = f"before\n{generate.BEGIN}old\n{generate.END}\nafter\n"
    assert generate.readme(text, shown) == f"before\n{generate.BEGIN}{shown}\n{generate.END}\nafter\n"


def test_a_page_that_is_edited_missing_or_of_no_command_is_found_and_mended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    for name, text in generate.pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert generate.stale() == []
    with (tmp_path / "run.md").open("a") as page:
        page.write("one word more\n")
    (tmp_path / "data-import.md").unlink()
    (tmp_path / "train.md").write_text("# repro train\n")
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match="1"):
        generate.main()
    wrong = ["data-import.md", "run.md", "train.md"]
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        f"docs/commands/{n}" for n in wrong
    ]
    monkeypatch.setattr("sys.argv", ["generate.py"])
    generate.main()
    assert generate.stale() == [] and not (tmp_path / "train.md").exists()


def test_the_picture_of_the_rooms_is_current_and_leaves_out_what_follows():
    text = generate.HOW_IT_WORKS.read_text(encoding="utf-8")
    assert generate.how_it_works(text) == text, "run `python docs/generate.py`"
    from docs.rooms import from_top, shown

    assert shown({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
    with pytest.raises(ValueError, match="in a circle: a, b"):
        from_top({"a": {"b"}, "b": {"a"}, "c": {"a"}})


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_explains_itself(words, command):
    first = (command.help or "").split("\n\n")[0]
    assert first.endswith(".") and "\n" not in first and len(first) <= LONGEST_LINE, "one line that says what it does"
    assert "Example:\n" in (command.epilog or ""), "an example"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert [option.opts[0] for option in options if not option.help] == [], "options without help"


def test_every_command_has_a_page_that_names_its_options_and_the_index_names_it():
    pages = generate.pages()
    for words, command in COMMANDS:
        if command.hidden:
            continue
        name = "-".join(words.split()[1:]) + ".md"
        assert f"]({name}) | " in pages["README.md"]
        options = [p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.hidden]
        assert [option for option in options if f"- `{option}" not in pages[name]] == []


def test_what_a_page_says_of_an_option_and_of_the_exit_codes():
    run = generate.pages()["run.md"]
    assert "\nrepro run PAPER [OPTIONS]\n" in run
    assert "- `--seeds N|LIST` (default `1`): N: seeds 0 to N-1. " in run
    assert "- `--device auto|cpu|gpu` (default `auto`): " in run
    assert "```sh\nrepro run chavan2020\n" in run and "\b" not in run
    assert "repro export RUN --onnx PATH [OPTIONS]" in generate.pages()["export.md"], "what must be given stands there"
    codes = {words: sorted(generate.exit_codes(one)) for words, one in COMMANDS if not isinstance(one, click.Group)}
    assert codes["repro list"] == [0, 2]
    for failing in ("repro run", "repro run-all", "repro report", "repro bench"):
        assert codes[failing] == [0, 1, 2], failing


# --- what is written by hand ------------------------------------------------------------------------------------------


def test_every_link_leads_somewhere():
    links = [
        (page, link)
        for page in (*WRITTEN, *GENERATED)
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 100
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_every_file_that_is_named_exists_and_holds_what_is_said_to_be_in_it():
    rooms = "papers|fer_jax|repro|tests|docs|results"
    named = set()
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        found = re.findall(rf"(?<![\w/.-])((?:{rooms})/[\w./-]*(?:\.(?:py|toml|md|cc|csv)|/))(?![\w-])", text)
        missing = [path for path in found if not (ROOT / path).exists() and path not in OF_THE_READER]
        assert missing == [], page
        named |= set(found)
        for name, path in re.findall(r"`(\w+)` (?:of|in)\s+`([\w/]+\.py)`", text):
            assert re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8")), (name, path)
    assert {"fer_jax/train/engine.py", "repro/report/folder.py", "fer_jax/network/native/convolution.cc"} <= named


OF_THE_READER = {
    "papers/my-paper.toml",
    "results/my-paper.md",
    "results/specs/my-paper.toml",
    "results/runs/.../run.json",
    "results/runs/",
    "results/runs/PAPER/VARIANT/gpu/",
    "results/specs/ID.toml",
    "results/gpu/logs/",
}


def calls() -> list[str]:
    """The lines of shell blocks that call the suite."""
    blocks = [b for page in WRITTEN for b in re.findall(r"```sh\n(.+?)\n```", page.read_text(encoding="utf-8"), re.S)]
    return [line.removeprefix("repro ") for block in blocks for line in block.splitlines() if line.startswith("repro ")]


@pytest.mark.parametrize("line", calls())
def test_every_call_can_be_typed(line):
    words = shlex.split(re.split(" > | && ", line)[0], comments=True)
    command: click.Command = main
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found
        command = found
    command.make_context("repro", words)  # raises where a flag or an argument is wrong


# --- the worked example -----------------------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path):
    text = (ROOT / "docs" / "add-a-paper.md").read_text(encoding="utf-8")
    block, further, *_ = re.findall(r"```toml\n(.+?)\n```", text, re.S)
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) < 40 and max(map(len, lines)) <= 120
    path = tmp_path / "my-paper.toml"
    path.write_text(f"{block}\n{further}", encoding="utf-8")
    return path


def test_the_curve_and_the_matrix_of_the_page_fit_its_example(example):
    blocks = re.findall(r"```toml\n(.+?)\n```", (ROOT / "docs" / "add-a-paper.md").read_text(encoding="utf-8"), re.S)
    example.write_text("\n\n".join(blocks), encoding="utf-8")
    loaded = find_paper(str(example))
    assert (len(blocks), len(loaded.spec.curves), len(loaded.spec.tables)) == (4, 1, 1)
    checks = {f.check: f.outcome for f in examine(loaded) if "confusion" in f.claims}
    assert "which samples a confusion matrix is of" in checks and "impossible" not in checks.values()


def test_the_example_quotes_its_document(example):
    page = (ROOT / "docs" / "add-a-paper.md").read_text(encoding="utf-8")
    document = " ".join(line.removeprefix("> ") for line in page.splitlines() if line.startswith("> "))
    quotes = re.findall(r'quote = "([^"]+)"', example.read_text(encoding="utf-8"))
    assert len(quotes) >= 7
    assert [quote for quote in quotes if quote not in document] == []


def test_the_numbers_of_the_example_agree_as_the_page_says(example):
    findings = {f.check: f.outcome for f in examine(find_paper(str(example))) if "test-rows" in f.claims}
    assert findings and set(findings.values()) == {"consistent"}


def test_the_example_is_the_network_that_the_page_names(example):
    loaded = find_paper(str(example))
    training, model = loaded.resolve("default").training, loaded.spec.model
    assert (training.optimizer.learning_rate, training.loss.label_smoothing) == (0.003, 0.1)
    assert isinstance(training.optimizer, AdamW) and isinstance(training.schedule, Cosine)
    assert model is not None
    assert [layer.__struct_config__.tag for layer in model.layers].count("residual") == 2


@pytest.mark.slow
def test_the_example_trains(example, tmp_path, monkeypatch):
    monkeypatch.setattr("repro.runs.dataset.SYNTHETIC_SHARE", 200)
    monkeypatch.setattr(
        "fer_jax.network.native.calls.available", lambda: False
    )  # compiling C++ takes longer than all of this
    results = tmp_path / "results"
    words = ["run", str(example), "--epochs", "1", "--data", "synthetic", "--device", "cpu", "--results", str(results)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (path,) = results.rglob("run.json")
    record = read_record(path)
    assert (record.paper, record.status, record.parameters) == ("my-paper", "partial", 18_647)
    assert record.data.steps[1][0] == "random_crop1"
