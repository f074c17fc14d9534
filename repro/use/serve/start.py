"""From the command's options to a running server."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from functools import partial
from pathlib import Path

import click
import numpy as np

from repro.report.page.document import render_page
from repro.specs.catalog import bundled_papers
from repro.use.opened import Keep
from repro.use.recognition.detection import MIN_SCORE, open_detector
from repro.use.serve.app import make_app
from repro.use.serve.limits import DEFAULT, Limits
from repro.use.serve.networks import Networks
from repro.use.serve.recognition import Recognition
from repro.use.serve.security import access_of
from repro.use.serve.server import listen, run_server
from repro.use.trained import find_trained


def start(
    host: str,
    port: int,
    *,
    results: Path,
    paper: str | None = None,
    run: str | None = None,
    token: str | None = None,
    allow_remote: bool = False,
    min_face: int | None = None,
    min_score: float = MIN_SCORE,
    unsure_below: float | None = None,
    keep: Keep | None = None,
    limits: Limits = DEFAULT,
) -> None:
    """Serve until Ctrl-C. The options are those of the command.

    Raises ServeError for an address that cannot be used, RecordError without a trained network, RecognitionError
    without a face detector.
    """
    # Otherwise JAX reserves GPU memory, which nothing here uses. It is imported later, if at all.
    os.environ["JAX_PLATFORMS"] = "cpu"
    with listen(host, port, allow_remote=allow_remote) as bound:  # first, because it fails at once or not at all
        address, port = bound.getsockname()[:2]
        remote = not ipaddress.ip_address(address).is_loopback
        shown = None  # a token that the user chose need not be on the screen
        if remote and token is None:
            token = shown = secrets.token_urlsafe(24)
        networks = open_networks(results, paper=paper, run=run, keep=keep, unsure_below=unsure_below)
        recognition = Recognition(networks, partial(open_detector, min_score=min_score), limits, min_face)
        access = access_of(address, token, host)
        app = make_app(
            recognition,
            results,
            lambda: render_page(results, bundled_papers(), base=f"{access.base}/results/"),
            access,
            limits,
            remote=remote,
        )
        click.echo(f"network: {networks.first.words}", err=True)
        click.echo(networks.first.certainty, err=True)
        click.echo(f"serving on {_url(host, port, shown)} (Ctrl-C ends it)")
        if remote:
            click.echo(_REMOTE.format(port=port), err=True)
        run_server(app, bound, limits)


_REMOTE = (
    "The connection is not encrypted, and browsers give a camera only to pages from the same computer. For both, leave "
    "--host away and connect with `ssh -L {port}:127.0.0.1:{port}`."
)


def open_networks(
    results: Path,
    *,
    paper: str | None = None,
    run: str | None = None,
    keep: Keep | None = None,
    unsure_below: float | None = None,
) -> Networks:
    """The networks to choose from. The first is loaded and compiled. keep: as in `repro.use.opened`."""
    networks = Networks(results, find_trained(results, run=run, paper=paper), keep, unsure_below)
    classifier = networks.first.classifier
    size = classifier.trained.size
    classifier(np.zeros((1, size, size), np.uint8))
    return networks


def _url(host: str, port: int, token: str | None) -> str:
    """The address to open in a browser. The token follows #, which browsers do not send and servers do not log."""
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"#token={token}" if token else "")
