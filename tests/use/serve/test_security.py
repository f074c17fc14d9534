"""Who is let in: Host, Origin, token, embedding; and the headers on every answer."""

from __future__ import annotations

import asyncio

import pytest
import serve_process
from starlette.responses import PlainTextResponse

from repro.use.serve.security import CONTENT_POLICY, COOKIE, Access, Guard, access_of, host_name

TOKEN = "a-token-of-some-length"
LOCAL = access_of("127.0.0.1", None, "127.0.0.1")
EVERYWHERE = access_of("0.0.0.0", TOKEN, "0.0.0.0")


def ask(access: Access, method: str = "GET", path: str = "/", host: str = "127.0.0.1:8765", **headers: str):
    guard = Guard(PlainTextResponse("inside"), access, "the sign-in page", frozenset({"/session"}))
    return serve_process.ask(guard, path, method, host=host, **headers)


# --- Host -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "127.0.0.1", "localhost:9000"]
)
def test_this_computer_by_its_names_is_let_in(host):
    assert ask(LOCAL, host=host).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8765",
        "127.0.0.1.evil.example:8765",
        "localhost.evil.example",
        "192.168.1.7:8765",
        "127.0.0.1:8765@evil.example",
        "evil.example:127.0.0.1",
        "[::1].evil.example",
        "[::1",
        "[127.0.0.1]",
        "[localhost]:8765",
        "localhost:",
        "",
        ":",
    ],
)
def test_a_name_that_was_pointed_at_this_computer_is_refused(host):
    """DNS rebinding: the browser believes that it talks to evil.example."""
    answer = ask(LOCAL, host=host)
    assert (answer.status_code, "inside" in answer.text) == (403, False)


def test_a_server_on_all_addresses_takes_any_address_but_no_foreign_name():
    assert EVERYWHERE.knows_host("192.168.1.7:8765") and EVERYWHERE.knows_host("[fe80::1]:8765")
    assert EVERYWHERE.knows_host("localhost") and not EVERYWHERE.knows_host("evil.example")
    one = access_of("192.168.1.7", TOKEN, "box.lan")
    assert one.knows_host("192.168.1.7:8765") and one.knows_host("Box.lan")
    assert not one.knows_host("192.168.1.8:8765") and not one.knows_host("localhost")


@pytest.mark.parametrize(
    ("host", "name"), [("A.b:1", "a.b"), ("[::1]:80", "::1"), ("[::1]x", ""), ("a:b", ""), ("", "")]
)
def test_host_name(host, name):
    assert host_name(host) == name


# --- Origin and embedding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://127.0.0.1:8765",
        "http://127.0.0.1:3000",
        "http://localhost:8765",
        "http://127.0.0.1:8765.evil.example",
        "http://127.0.0.1:8765/",
    ],
)
def test_only_our_own_page_posts(origin):
    headers = {} if origin is None else {"origin": origin}
    assert ask(LOCAL, "POST", **headers).status_code == 403
    assert ask(LOCAL, "DELETE", **headers).status_code == 403


def test_our_own_page_posts():
    assert ask(LOCAL, "POST", origin="http://127.0.0.1:8765").text == "inside"


def test_other_sites_may_link_but_not_embed():
    from_elsewhere = {"sec_fetch_site": "cross-site"}
    link = {**from_elsewhere, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(LOCAL, **link).text == "inside"
    assert ask(LOCAL, **{**link, "sec_fetch_dest": "iframe"}).status_code == 403
    assert ask(LOCAL, **from_elsewhere, sec_fetch_mode="no-cors", sec_fetch_dest="image").status_code == 403
    assert ask(LOCAL, sec_fetch_site="same-site", sec_fetch_mode="cors").status_code == 403, "another port"
    assert ask(LOCAL, sec_fetch_site="same-origin", sec_fetch_mode="cors").text == "inside"


def test_a_conversation_is_held_with_our_own_page_only():
    async def outcome(origins: list[bytes], host: bytes = b"127.0.0.1:8765", access: Access = LOCAL) -> str:
        sent: list[str] = []

        async def inside(scope, receive, send):
            await send({"type": "websocket.accept"})

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message["type"])

        headers = [(b"host", host), *((b"origin", origin) for origin in origins)]
        scope = {"type": "websocket", "path": "/live", "headers": headers}
        await Guard(inside, access, "", frozenset())(scope, receive, send)
        return sent[0]

    def refused(*arguments) -> bool:
        return asyncio.run(outcome(*arguments)) == "websocket.close"

    ours = b"http://127.0.0.1:8765"
    assert not refused([ours])
    assert refused([]) and refused([b"null"]) and refused([b"http://evil.example"]) and refused([ours, b"null"])
    assert refused([b"http://evil.example"], b"evil.example"), "same origin, but not ours"
    assert refused([b"http://127.0.0.1"], b"127.0.0.1", EVERYWHERE), "no token"


# --- token ------------------------------------------------------------------------------------------------------------


def test_without_address_and_cookie_of_the_session_there_is_only_the_page_that_asks_for_the_token():
    answer = ask(EVERYWHERE)
    assert (answer.status_code, answer.text) == (401, "the sign-in page")
    assert ask(EVERYWHERE, path="/results").status_code == 401
    assert ask(EVERYWHERE, path="/session").text == "inside", "where the token goes"
    cookie = f"other=1; {COOKIE}={EVERYWHERE.secret}"
    base = EVERYWHERE.base
    for path in (f"{base}/", f"{base}/results", f"{base}/live"):
        assert ask(EVERYWHERE, path=path, cookie=cookie).text == "inside"
        assert ask(EVERYWHERE, path=path).status_code == 401, "an address that was passed on"
    for path in ("/", "/results", base, f"{base}x/", f"{base[:-1]}/", f"/x{base}/", "/%2e%2e/"):
        assert ask(EVERYWHERE, path=path, cookie=cookie).status_code == 401, "a cookie that another server got"
    for wrong in (EVERYWHERE.secret[:-1], "", TOKEN, "\x7f", EVERYWHERE.place):
        assert ask(EVERYWHERE, path=f"{base}/", cookie=f"{COOKIE}={wrong}").status_code == 401


def test_the_token_opens_and_nothing_near_it():
    assert EVERYWHERE.is_token(TOKEN)
    assert not any(EVERYWHERE.is_token(word) for word in (TOKEN[:-1], TOKEN + "x", "", "ü"))
    assert not LOCAL.is_token("") and LOCAL.token is None


def test_the_cookie_tells_nothing_of_the_token_and_is_sent_to_the_address_of_the_session_alone():
    answer = EVERYWHERE.sign_in()
    header = answer.headers["set-cookie"]
    assert TOKEN not in header and EVERYWHERE.secret in header
    assert "HttpOnly" in header and "SameSite=strict" in header and f"Path={EVERYWHERE.base}/" in header
    assert answer.headers["location"] == f"{EVERYWHERE.base}/" and len(EVERYWHERE.place) >= 40
    again = access_of("0.0.0.0", TOKEN, "0.0.0.0")
    assert again.secret != EVERYWHERE.secret, "a server that was started again asks again"
    assert again.place != EVERYWHERE.place and EVERYWHERE.secret != EVERYWHERE.place


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "evil.example"])
def test_every_answer_forbids_what_the_page_does_not_need(host):
    headers = ask(LOCAL, host=host, origin="http://evil.example").headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY and CONTENT_POLICY.startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"].startswith("camera=(self), microphone=()")
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control-")]
