"""The README's commands and links are real."""

import re
import shlex
from pathlib import Path

import click
import pytest

from repro.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _marked_command(name: str) -> str:
    found = re.search(rf"<!-- command: {name} -->\s*```sh\n(.+?)\n```", README, re.DOTALL)
    assert found, f"the README marks no command {name!r}"
    return found.group(1)


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_marked_command_is_one_line_that_does_its_own_set_up(name: str) -> None:
    command = _marked_command(name)
    assert "\n" not in command
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and what is left of them."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found, f"no such command: {words}"
        command = found
    return command, words


def test_every_command_of_the_readme_exists_with_its_flags() -> None:
    lines = [line for block in re.findall(r"```sh\n(.+?)\n```", README, re.DOTALL) for line in block.splitlines()]
    calls = [re.split(r"(?:^|/)repro ", line, maxsplit=1)[1] for line in lines if re.search(r"(^|/)repro ", line)]
    assert calls
    for call in calls:
        command, rest = _command(shlex.split(call, comments=True))
        flags = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= flags, call


def test_every_command_stands_in_the_readme() -> None:
    named = set(re.findall(r"`repro ([a-z-]+)", README))
    assert set(main.list_commands(click.Context(main))) <= named


def test_every_relative_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_and_the_results_can_be_read_in_minutes() -> None:
    results = (ROOT / "results" / "RESULTS.md").read_text(encoding="utf-8")
    assert len(README.split()) <= 1_200
    assert len(results.split()) <= 2_500


def test_the_readme_begins_with_what_was_found() -> None:
    first, figure = README.split("\n\n")[1:3]
    found = (ROOT / "results" / "RESULTS.md").read_text(encoding="utf-8").split("## ")[0]
    figures = re.findall(r"\d+(?:\.\d+)?(?= %)", first)
    assert len(figures) >= 3 and [one for one in figures if one not in found] == [], "the records say otherwise by now"
    assert "results/figures/teta2022-learning.svg" in figure
