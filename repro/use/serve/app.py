"""The web application: the live page, the results, signing in, and the static files of the pages."""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from repro.runs.record_files import RecordError
from repro.use.serve.door import client_of
from repro.use.serve.limits import ClientBuckets, Limits
from repro.use.serve.live import LiveEndpoint
from repro.use.serve.networks import Networks
from repro.use.serve.predict import PATH, PredictEndpoint
from repro.use.serve.recognition import Recognition
from repro.use.serve.sample import sample_jpeg
from repro.use.serve.security import FORM_HEADERS, Access, Guard

STATIC = files("repro.use.serve") / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SIGN_IN_BYTES = 4096
RECORD_SUFFIXES = (".json", ".csv", ".npz")
RESULTS_S = 10.0  # a rendered page is reused for this long

PRIVACY_LOCAL = (
    "Nothing leaves this computer: pictures go to the program that you started here with <code>repro serve</code>, "
    "which looks at them in memory and keeps none."
)
PRIVACY_REMOTE = (
    "Pictures go to the computer that runs <code>repro serve</code>, over a connection that is not encrypted. It looks "
    "at them in memory and keeps none."
)
SYNTHETIC = (
    '<p class="notice" role="note"><strong>This network was trained on synthetic faces.</strong> What it says about '
    "the faces of people means nothing.</p>"
)


def make_app(
    recognition: Recognition, results: Path, render: Callable[[], str], access: Access, limits: Limits, *, remote: bool
) -> Starlette:
    """An ASGI application.

    results: the folder of records. render: gives its page, self-contained HTML whose links to records begin with
    `/results/` after the access's base; runs in a thread. remote: other computers can reach the server.
    """
    live, predict = LiveEndpoint(recognition, limits), PredictEndpoint(recognition, limits)
    wrong = ClientBuckets(limits.wrong_per_s, limits.wrong_at_once)
    first = recognition.networks.first
    page = Template(_text("live.html")).substitute(
        networks=_options(recognition.networks),
        network=html.escape(first.words),
        certainty=html.escape(first.certainty),
        synthetic=SYNTHETIC,
        no_synthetic="" if first.synthetic else "hidden",
        privacy=PRIVACY_REMOTE if remote else PRIVACY_LOCAL,
        base=access.base,
    )
    static = {
        f"/static/{entry.name}": Response(entry.read_bytes(), media_type=MEDIA_TYPES[suffix])
        for entry in STATIC.iterdir()
        if (suffix := entry.name[entry.name.rfind(".") :]) in MEDIA_TYPES
    }
    return Starlette(
        routes=[
            Route("/", partial(_fixed, HTMLResponse(page))),
            Route("/results", Results(render, access.base).answer),
            Mount("/results", RecordFiles(directory=results, page=f"{access.base}/results")),
            Route("/session", SignIn(access, wrong).answer, methods=["POST"]),
            Route(PATH, predict.answer, methods=["POST"]),
            Route("/networks", predict.networks),
            Route("/sample.jpg", partial(_fixed, Response(sample_jpeg(), media_type="image/jpeg"))),
            Route("/favicon.ico", partial(_fixed, static["/static/icon.svg"])),
            *(Route(path, partial(_fixed, response)) for path, response in static.items()),
            WebSocketRoute("/live", live.converse),
        ],
        middleware=[
            Middleware(
                Guard,
                access=access,
                sign_in_page=_text("sign_in.html").replace("$wrong", ""),
                open_paths=frozenset({"/session", "/favicon.ico", *static}),
                program_paths=frozenset({PATH, "/networks"}),
                wrong=wrong,
            )
        ],
    )


def _options(networks: Networks) -> str:
    """Of the list of networks on the page."""
    return "".join(
        f'<option value="{html.escape(one.key)}"{" selected" if one.key == networks.first.key else ""}>'
        f"{html.escape(one.words)}</option>"
        for one in networks.offered
    )


def _text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


async def _fixed(response: Response, request: Request) -> Response:
    return response


class SignIn:
    """Accept the token once, from a form, and set a cookie for it. So the token appears in no address and no log."""

    def __init__(self, access: Access, wrong: ClientBuckets) -> None:
        """wrong: permits for wrong tokens."""
        self._access, self._wrong = access, wrong
        self._again = _text("sign_in.html").replace("$wrong", '<p role="alert">That is not the token.</p>')

    async def answer(self, request: Request) -> Response:
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > SIGN_IN_BYTES:
                    raise HTTPException(413, "too large")
        except ClientDisconnect:
            return Response(status_code=400)
        words = parse_qs(body.decode("latin-1")).get("token", [""])
        if self._access.is_token(words[0].strip()):
            return self._access.sign_in()  # before any limit: who guesses must not keep the owner out
        if not self._wrong.of(client_of(request.client.host if request.client else "")).take():
            raise HTTPException(429, "too many wrong tokens; wait a few seconds")
        return HTMLResponse(self._again, 401, FORM_HEADERS)


class Results:
    """The current report: rendered on request, once for all concurrent requests."""

    def __init__(self, render: Callable[[], str], base: str) -> None:
        self._render = render
        self._base = base
        self._one_at_a_time = asyncio.Lock()
        self._response: Response | None = None
        self._at = 0.0

    async def answer(self, request: Request) -> Response:
        async with self._one_at_a_time:
            if self._response is None or time.monotonic() - self._at > RESULTS_S:
                try:
                    page = await asyncio.to_thread(self._render)
                except RecordError as error:
                    raise HTTPException(500, str(error)) from None
                headers = {"Content-Security-Policy": policy_of(page)}
                self._response = HTMLResponse(with_way_back(page, self._base), headers=headers)
                self._at = time.monotonic()
            return self._response


def with_way_back(page: str, base: str) -> str:
    return re.sub(r"<main[^>]*>", rf'\g<0><p><a href="{base}/">Live recognition</a></p>', page, count=1)


class RecordFiles(StaticFiles):
    """The files linked from the results page, and no others of that folder (checkpoints, images of faces)."""

    def __init__(self, directory: Path, page: str) -> None:
        super().__init__(directory=directory)
        self._page = page

    async def get_response(self, path: str, scope: Scope) -> Response:
        if not Path(path).suffix:
            return RedirectResponse(self._page, 303)  # a folder: the page lists its content
        if not path.endswith(RECORD_SUFFIXES):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def policy_of(page: str) -> str:
    """The page's own policy, which allows its inline script and style by hash, plus what only a header can set."""
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    own = html.unescape(found.group(1)).rstrip("; ") if found else "default-src 'none'"
    return f"{own}; frame-ancestors 'none'"
