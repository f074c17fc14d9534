"""The command-line interface of `repro serve`. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import face_options, network_options, unsure_option
from repro.cli.recogniser import kept_for_next_time
from repro.use.serve.errors import ServeError

EXAMPLE = """\
\b
Example:
  repro serve
  repro serve --paper teta2022 --port 9000
  repro serve --host 0.0.0.0 --allow-remote"""
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
@unsure_option
@face_options("default: a thirteenth of the longer side of a camera's frame, a twentieth of other pictures")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask for the token in this file, of 16 letters or more, before anything is shown. Without the option, that of "
    "the variable REPRO_SERVE_TOKEN.",
)
@click.option("--token", metavar="T", help="The token itself, which other users of this computer can read (`ps`).")
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen where other computers can connect. They need a token: yours, or a random one.",
)
def serve(
    host: str,
    port: int,
    paper: str | None,
    run: str | None,
    results: Path,
    unsure_below: float | None,
    min_face: int | None,
    min_score: float,
    token_file: Path | None,
    token: str | None,
    allow_remote: bool,
) -> None:
    """Serve a page for the browser, with the results and live recognition on the camera.

    The network is chosen on the page. Programs send pictures to `POST /predict` (docs/serve-api.md).

    Only this computer can reach it, unless --host says otherwise; all of its users can, unless there is a token.
    Images stay in memory; none is stored or logged.
    """
    try:
        from repro.use.serve.start import start
        from repro.use.serve.tokens import chosen_token
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        raise ServeError(f"`repro serve` needs {package}: pip install 'fer-repro[serve]'") from None
    start(
        host,
        port,
        paper=paper,
        run=run,
        results=results,
        token=chosen_token(token, token_file),
        allow_remote=allow_remote,
        min_face=min_face,
        min_score=min_score,
        unsure_below=unsure_below,
        keep=kept_for_next_time(),
    )
