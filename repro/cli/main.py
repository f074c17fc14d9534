"""The command line. A thin layer: one function call per command. JAX is imported only by commands that compute."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import Any

import click

from fer_jax.vocabulary.errors import UserError
from repro import __version__
from repro.cli.colour import wants_colour
from repro.cli.last_resort import SHOW_TRACEBACK, show_error

# Each is in a file with its name in this folder, imported when it is called.
COMMANDS = (
    "audit",
    "bench",
    "compare",
    "check",
    "data",
    "evaluate",
    "explain",
    "export",
    "forensics",
    "launch",
    "leaderboard",
    "list",
    "log",
    "new",
    "plan",
    "predict",
    "report",
    "run",
    "run-all",
    "serve",
    "show",
    "status",
    "sweep",
    "validate",
    "webcam",
)


def _show_warning(message: Warning | str, *_: Any) -> None:
    """One line, without the place in the program that Python's own warnings begin with."""
    from repro.text.terminal import printable_lines

    click.echo(printable_lines(f"warning: {message}"), err=True)


class _Commands(click.Group):
    """Turns every error into one line. Exit code 2 for what the user can fix, what the system refused included; 1 for
    what is unexpected."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"repro.cli.{cmd_name.replace('-', '_')}")
        found = (value for value in vars(module).values() if isinstance(value, click.Command))
        return next(command for command in found if command.name == cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from repro.specs.nearest import hint

            said = error.format_message().removesuffix(".")
            raise click.UsageError(f"{said}{hint(args[0], COMMANDS)}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Whole sentences. Click would cut most of them to fit one line."""
        names = self.list_commands(ctx)
        commands = [(name, self.get_command(ctx, name)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(command)) for name, command in commands if command is not None])

    def invoke(self, ctx: click.Context) -> Any:
        ctx.color = wants_colour(os.environ)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get(SHOW_TRACEBACK) and not isinstance(error, UserError):
                raise
            ctx.exit(show_error(error))


def _sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=1_000).removesuffix(".")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="repro")
def main() -> None:
    """Reproduce the numbers of facial-expression-recognition papers on FER-2013."""
