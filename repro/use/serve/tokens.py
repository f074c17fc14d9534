"""The token of `repro serve`: from a file, from the environment or, visible to other users, from the command line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import click

from repro.use.serve.errors import ServeError

VARIABLE = "REPRO_SERVE_TOKEN"
LEAST_LETTERS = 16  # of 26 letters at random: more than 10^11 years at 5,000 guesses a second
LEAST_DIFFERENT = 6
_FILE_BYTES = 4096


def chosen_token(token: str | None, file: Path | None) -> str | None:
    """The token that the user chose; None without one.

    An option has precedence over the variable. Raises ServeError if the file cannot be read or the token is too easy.
    """
    if token is not None and file is not None:
        raise click.UsageError("--token and --token-file exclude each other")
    if token is not None:
        click.echo(
            f"warning: --token: other users of this computer see the command line; use --token-file or {VARIABLE}",
            err=True,
        )
        return _strong(token, "--token")
    if file is not None:
        return _strong(_read(file), f"--token-file {file}")
    if (value := os.environ.get(VARIABLE)) is not None:
        return _strong(value.strip(), VARIABLE)
    return None


def _strong(token: str, source: str) -> str:
    if len(token) < LEAST_LETTERS or len(set(token)) < LEAST_DIFFERENT:
        raise ServeError(
            f"{source}: give a token of {LEAST_LETTERS} letters or more, {LEAST_DIFFERENT} of them different, "
            "or none for a random one"
        )
    if not token.isprintable():
        raise ServeError(f"{source}: the token holds characters that cannot be typed")
    return token


def _read(file: Path) -> str:
    """The first line, without blanks around it."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ServeError(f"--token-file {file}: not a file")
        if os.name == "posix" and found.st_mode & 0o044:
            click.echo(f"warning: --token-file {file}: other users can read it (chmod 600 {file})", err=True)
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_FILE_BYTES)
    except OSError as error:
        raise ServeError(f"--token-file {file}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise ServeError(f"--token-file {file}: not text") from None
    return text.partition("\n")[0].strip()
