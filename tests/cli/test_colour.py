"""NO_COLOR, CLICOLOR and dumb terminals, alone and in a command."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from repro.cli.colour import wants_colour
from repro.cli.main import _Commands


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"TERM": "xterm"}, None),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "1"}, None),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"CLICOLOR_FORCE": "0"}, None),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_wants_colour(environment, wanted):
    assert wants_colour(environment) is wanted


class Loud(_Commands):
    def get_command(self, ctx, cmd_name):
        return click.Command(cmd_name, callback=lambda: click.secho("a warning", fg="yellow", err=True))


@pytest.mark.parametrize("quiet", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CLICOLOR": "0"}])
def test_a_warning_on_a_terminal_is_coloured_unless_the_environment_objects(quiet):
    """The runner's `color` makes its stream pass for a terminal."""
    usual = {"NO_COLOR": None, "TERM": "xterm", "CLICOLOR": None, "CLICOLOR_FORCE": None}
    for environment, shown in ((usual, "\x1b[33ma warning\x1b[0m\n"), ({**usual, **quiet}, "a warning\n")):
        assert CliRunner().invoke(Loud("repro"), ["x"], color=True, env=environment).stderr == shown
