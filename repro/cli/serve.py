"""The command-line interface of `repro serve`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import network_options
from repro.use.serve.errors import ServeError

EXAMPLE = """\
\b
Example:
  repro serve
  repro serve --paper teta2022 --port 9000
  repro serve --host 0.0.0.0 --allow-remote"""
MIN_TOKEN = 16
OURS = ("repro", "fer_jax")


@click.command(epilog=EXAMPLE)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@network_options
@click.option(
    "--token", metavar="T", help=f"Ask for this word, of {MIN_TOKEN} letters or more, before anything is shown."
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen where other computers can connect. They need a token: that of --token, or a random one.",
)
def serve(
    host: str, port: int, paper: str | None, run: str | None, results: Path, token: str | None, allow_remote: bool
) -> None:
    """A page in the browser: the results, and live recognition on the camera.

    Only this computer can reach it, unless --host says otherwise. Images stay in memory; none is stored or logged.
    """
    if token is not None and len(token) < MIN_TOKEN:
        raise click.UsageError(f"--token: give {MIN_TOKEN} letters or more, or leave it away for a random one")
    try:
        from repro.use.serve.start import start
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        raise ServeError(f"`repro serve` needs {package}: pip install 'fer-repro[serve]'") from None
    start(host, port, paper=paper, run=run, results=results, token=token, allow_remote=allow_remote)
