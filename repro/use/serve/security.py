"""Who may use the server: checks of Host, Origin and token before anything else runs, and headers on every answer.

A page of another site, open in the same browser, can send requests to this computer, but it cannot choose their Origin
and Host headers. A foreign Host means that the site's name was pointed at this computer (DNS rebinding). A foreign
Origin means a request from another page. No CORS header is ever sent, so no other page can read an answer.

Cookies ignore ports: a browser sends them to every server of a host, also to one of another user. So whoever signs in
gets an address of their session (a path that cannot be guessed) and a cookie for that path alone. Neither opens
anything without the other; the browser sends the cookie to no other path, and no header names the address (Referer).
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repro.use.serve.door import client_of
from repro.use.serve.limits import ClientBuckets

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# For the page with the form: under no-referrer browsers send a form's Origin as null, even to its own server.
FORM_HEADERS = {"Referrer-Policy": "same-origin"}
SAFE_METHODS = ("GET", "HEAD")
COOKIE = "repro-serve"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """The requirements for a request.

    names: of this server in a Host header, lower case. any_address: accept any IP address, for a server that listens on
    all addresses (rebinding needs a name). token: None if none is required. place and secret: of the session's
    address and the value of its cookie; both are of this process and expire with it.
    """

    names: frozenset[str]
    any_address: bool = False
    token: str | None = None
    place: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def base(self) -> str:
        """The path of the pages, without a slash at its end: empty if no token is required."""
        return "" if self.token is None else f"/{self.place}"

    def knows_host(self, host: str) -> bool:
        """Whether a Host header (name or address, perhaps with a port) names this server."""
        name = host_name(host)
        return name in self.names or (self.any_address and _is_address(name))

    def is_token(self, word: str) -> bool:
        """Compare in constant time, however much of the token is right."""
        return self.token is not None and hmac.compare_digest(word.encode(), self.token.encode())

    def signed_in(self, path: str, headers: Headers) -> bool:
        """Whether no token is required, or the request has both the session's address and its cookie."""
        if self.token is None:
            return True
        if not hmac.compare_digest(path.encode()[: len(self.base) + 1], f"{self.base}/".encode()):
            return False
        try:
            found = SimpleCookie("; ".join(headers.getlist("cookie"))).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self.secret.encode())

    def sign_in(self) -> Response:
        """Leads to the session's address, with its cookie."""
        response = RedirectResponse(f"{self.base}/", 303)
        response.set_cookie(COOKIE, self.secret, httponly=True, samesite="strict", path=f"{self.base}/")
        return response


def access_of(address: str, token: str | None, host: str) -> Access:
    """Access rules for a server that listens on an IP address, given by the user as `host`."""
    ip = ipaddress.ip_address(address)
    names = {str(ip), host.lower()}
    if ip.is_loopback or ip.is_unspecified:
        names |= set(LOOPBACK_NAMES)
    if not ip.is_loopback:
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local"}
    return Access(frozenset(names), any_address=ip.is_unspecified, token=token)


def host_name(host: str) -> str:
    """`Name:8765` as `name`, `[::1]:8765` as `::1`; empty for an invalid Host header."""
    name, bracket, rest = host.rpartition("]")
    if bracket:
        inner = name[1:].lower() if name.startswith("[") and (not rest or _is_port(rest)) else ""
        return inner if ":" in inner else ""
    name, colon, port = host.partition(":")
    return name.lower() if not colon or _is_port(colon + port) else ""


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware: refuses requests before the application sees them, and adds HEADERS to its answers.

    open_paths: reachable without a token (signing in, and the files it needs). program_paths: for programs, which send
    the token with each request (``Authorization: Bearer``) and no Origin; browsers always send one with a POST. wrong:
    permits for wrong tokens.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        sign_in_page: str,
        open_paths: frozenset[str],
        program_paths: frozenset[str] = frozenset(),
        wrong: ClientBuckets | None = None,
    ) -> None:
        self._app, self._access, self._page, self._open = app, access, sign_in_page, open_paths
        self._for_programs, self._wrong = program_paths, wrong

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and scope["path"] not in self._open:
            scope = {**scope, "root_path": self._access.base}  # the application's routes begin after it
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})  # the server makes it a 403
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.knows_host(hosts[0]):
            return PlainTextResponse("refused: the Host header does not name this server", 403)
        for_programs = scope["type"] == "http" and scope["path"] in self._for_programs
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        origins = headers.getlist("origin")
        if changes and origins != [f"http://{hosts[0]}"] and (origins or not for_programs):
            return PlainTextResponse("refused: not from a page of this server", 403)
        if _from_another_site(headers):
            return PlainTextResponse("refused: embedded in a page of another site", 403)
        if scope["path"] not in self._open and not self._access.signed_in(scope["path"], headers):
            if for_programs:
                return self._without_bearer(scope, headers)
            return Response(self._page, 401, FORM_HEADERS, media_type="text/html")
        return None

    def _without_bearer(self, scope: Scope, headers: Headers) -> Response | None:
        """What a program gets that does not send the token."""
        kind, _, word = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._access.is_token(word.strip()):
            return None  # before any limit: who guesses must not keep the owner out
        client = client_of((scope.get("client") or ("",))[0])
        if word and self._wrong is not None and not self._wrong.of(client).take():
            return JSONResponse({"error": "too many wrong tokens; wait a few seconds"}, 429, {"Retry-After": "5"})
        wanted = {"WWW-Authenticate": "Bearer"}
        return JSONResponse({"error": "send the token: Authorization: Bearer TOKEN"}, 401, wanted)


def _from_another_site(headers: Headers) -> bool:
    """Judged by the browser's Fetch Metadata headers. Following a link to a page here is harmless."""
    site = headers.get("sec-fetch-site", "none")
    followed_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return site in ("cross-site", "same-site") and not followed_link
