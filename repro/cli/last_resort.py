"""An exception that no command expected, in one line: what the system or a device refused, or what is unexpected."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback

import click

from fer_jax.machine.faults import fault_text
from fer_jax.vocabulary.errors import HostLost, UserError
from repro.cli.options import EXIT_BAD_INPUT

EXIT_UNFORESEEN = 1
SHOW_TRACEBACK = "REPRO_TRACEBACK"  # environment variable; any value shows the traceback instead of the line
_OF_DEVICES = ("JaxRuntimeError", "XlaRuntimeError")  # by name: importing JAX takes longer than most commands


def show_error(error: Exception) -> int:
    """Print the line. Returns the exit code."""
    # here, because only a command that failed needs it
    from repro.text.terminal import printable_lines

    message, code = message_of(error)
    click.echo(printable_lines(f"error: {message}"), err=True)
    return code


def message_of(error: Exception) -> tuple[str, int]:
    """The message and the exit code."""
    if isinstance(error, UserError):
        return str(error), EXIT_BAD_INPUT
    if isinstance(error, OSError):
        return fault_text(error, _writes(error)), EXIT_BAD_INPUT
    if isinstance(error, HostLost):
        return str(error), EXIT_UNFORESEEN
    first = (str(error).strip() or type(error).__name__).partition("\n")[0]
    if isinstance(error, MemoryError):
        return f"not enough memory: {first}", EXIT_UNFORESEEN
    if type(error).__name__ in _OF_DEVICES:
        return f"the device failed: {first}", EXIT_UNFORESEEN
    return (
        f"unexpected, probably an error in this program: {type(error).__name__}: {first}; {_kept(error)}",
        EXIT_UNFORESEEN,
    )


def _writes(error: OSError) -> str:
    """ "standard output" if the error was raised in writing to it: such an error names no file. What is left of the
    output is dropped, or Python would complain again at its end."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_globals.get("__name__") not in ("click.utils", "repro.cli.main"):
        return ""
    with open(os.devnull, "w") as nowhere, contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return "standard output"


def _kept(error: Exception) -> str:
    """Where the traceback is, in words."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="repro-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return f"{SHOW_TRACEBACK}=1 in the environment shows where"
    return f"the traceback is in {file.name}"
