"""The server as a process: its start, its end, and hostile clients on real sockets in between."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serve_clients import (
    FACE,
    HANDSHAKE,
    LIMITS,
    attacked,
    good_client,
    meanwhile,
    raw,
    refused,
    request,
    said,
    slow_jpeg,
    upgrade,
)
from serve_process import COMMAND, TIMEOUT_S, Server, running, trained_results
from websockets import Origin
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from repro.measurements.live_latency import ask, conversation

NOISE = random.Random(5)


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_tiny_paper):
    return trained_results(tmp_path_factory, make_tiny_paper)


@pytest.fixture(scope="module")
def server(results) -> Iterator[Server]:
    with attacked(results) as started:
        yield started


def bad_requests(server: Server) -> Iterator[bytes]:
    ours = f"Origin: {server.address}"
    for host in ("evil.example", "127.0.0.1.evil.example", "[::1", "a b", "192.168.0.1"):
        yield request(server, "GET /", host=host)
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield b"GET / HTTP/1.0\r\n\r\n"
    yield request(server, "GET /", "Host: localhost")
    for origin in ("", "Origin: null", "Origin: http://evil.example", f"{ours}\r\nOrigin: null"):
        yield request(server, "POST /session", *filter(None, [origin, "Content-Length: 7"]), body=b"token=x")
    yield request(server, "POST /session", ours, "Content-Length: 7", body=b"token=x")
    yield request(server, "POST /session", ours, "Content-Length: 99999", body=b"x" * 99_999)
    yield request(server, "POST /session", ours, "Content-Length: -1", body=b"x")
    yield request(server, "POST /session", ours, "Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n")
    yield request(server, "POST /session", "Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n")
    yield request(server, "POST /", ours, "Transfer-Encoding: chunked", body=b"1\r\nx\r\nzz\r\n\r\n")
    for line in ("DELETE /", "PUT /results", "TRACE /", "CONNECT evil.example:443", "OPTIONS *", "BREW /coffee"):
        yield request(server, line, ours)
    for path in ("/static/../security.py", "/static/%2e%2e/security.py", "/nothing", "//etc/passwd", "/live"):
        yield request(server, f"GET {path}")
    for path in ("/results/../../../etc/hosts.json", "/results/..%2f..%2fx.json", "/results/%00.json"):
        yield request(server, f"GET {path}")
    yield request(server, "GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors")
    yield request(server, "GET /", "X: " + "x" * 400_000)
    yield request(server, "GET /" + "x" * 400_000)
    yield request(server, "GET /", *(f"X{i}: y" for i in range(50_000)))
    yield b"GET / HTTP/0.9\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield bytes.fromhex("16030100c8010000c40303") + NOISE.randbytes(200)  # the first words of TLS
    yield from (NOISE.randbytes(n) + b"\r\n\r\n" for n in (1, 10, 100, 1000, 30_000))


def bad_handshakes(server: Server) -> Iterator[bytes]:
    good = (*HANDSHAKE, "Sec-WebSocket-Version: 13", f"Origin: {server.address}")
    for origin in ("null", "http://evil.example", "https://127.0.0.1", server.address + ".evil.example"):
        yield upgrade(server, *good[:-1], f"Origin: {origin}")
    yield upgrade(server, *good[:-1])
    yield upgrade(server, *good[:-1], "Origin: http://evil.example", host="evil.example")
    yield upgrade(server, *good, line="GET /nothing")
    yield upgrade(server, *good, line="POST /live")
    yield upgrade(server, *good, line="GET /live" + "x" * 20_000)
    yield upgrade(server, *HANDSHAKE[:2], *good[3:])
    yield upgrade(server, *HANDSHAKE[:2], "Sec-WebSocket-Key: short", *good[3:])
    yield upgrade(server, *HANDSHAKE, "Sec-WebSocket-Version: 7", good[-1])
    yield upgrade(server, "Connection: Upgrade", "Upgrade: h2c", good[-1], line="POST /live")


# --- requests, handshakes, and many at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bad_requests, bad_handshakes])
def test_bad_requests_are_refused(server, kind: Callable[[Server], Iterator[bytes]]):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda payload: refused(server, payload), kind(server)))
    good_client(server)


def test_half_open_connections_and_a_slow_loris_are_ended_and_cost_others_nothing(server):
    silent = [raw(server, b"") for _ in range(40)]
    halves = [raw(server, f"GET / HTTP/1.1\r\nHost: {server.host}\r\nX-{i}: ".encode()) for i in range(20)]
    bodies = [
        raw(server, request(server, "POST /session", f"Origin: {server.address}", "Content-Length: 90"))
        for _ in range(9)
    ]
    good_client(server)
    start = time.monotonic()
    alive = set(halves)
    while alive and time.monotonic() < start + TIMEOUT_S:
        for plain in list(alive):  # a byte now and then, as if there were more to come
            try:
                plain.sendall(b"x")
            except OSError:
                alive.discard(plain)
        time.sleep(0.2)
    assert not alive, "kept alive by trickling"
    assert time.monotonic() - start >= LIMITS.request_s - 1.5
    assert all(said(plain) == b"" for plain in silent)
    for plain in (*halves, *bodies):
        plain.close()
    good_client(server)


def test_nonsense_after_the_answer_ends_the_connection(server):
    """The server must not try to answer a second time; the log is looked at when all is done."""
    headers = ("Host: localhost", "Origin: http://evil.example", "Transfer-Encoding: chunked")
    plain = raw(server, "\r\n".join(["POST /session HTTP/1.1", *headers]).encode() + b"\r\n\r\n")
    assert plain.recv(65536).startswith(b"HTTP/1.1 403 ")
    plain.sendall(b"no chunk\r\n\r\n")
    said(plain)


def test_of_more_connections_than_it_takes_the_oldest_without_a_request_are_cut_off(server):
    crowd = [raw(server, b"") for _ in range(LIMITS.connections + 40)]
    try:
        good_client(server)
        cut_off: set[int] = set()
        until = time.monotonic() + TIMEOUT_S
        while len(cut_off) < 40 and time.monotonic() < until:
            cut_off |= {i for i, plain in enumerate(crowd) if i not in cut_off and has_ended(plain)}
        assert len(cut_off) >= 40 and {0, 1, 2} < cut_off
    finally:
        for plain in crowd:
            plain.close()
    good_client(server)


def has_ended(plain: socket.socket) -> bool:
    plain.setblocking(False)
    try:
        return plain.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


# --- one client takes what it can get, another one is served as before ------------------------------------------------


def test_a_crowd_of_connections_locks_out_nobody(server):
    """All come from one address, as everything does on this computer: the hardest case."""

    def crowd() -> None:
        start = time.monotonic()
        opened = [raw(server, b"") for _ in range(2 * LIMITS.connections)]
        time.sleep(max(0.0, start + 1.0 - time.monotonic()))
        for plain in opened:
            plain.close()

    with conversation(server.address) as live, meanwhile(crowd) as waves:
        until = time.monotonic() + 3.0
        while time.monotonic() < until or len(waves) < 2:
            assert httpx.get(server.address, timeout=TIMEOUT_S).status_code == 200
            assert len(ask(live, FACE)["faces"]) == 1


def test_pictures_that_are_slow_to_decode_do_not_hold_up_another_client(server):
    with conversation(server.address) as bad, conversation(server.address) as good:
        most_ms = 1500 + 10 * sorted(ask(good, FACE)["ms"]["round_trip"] for _ in range(5))[2]  # of a busy machine
        for scans in (20_000, 40):
            answer = ask(bad, slow_jpeg(scans))
            assert "scans" in answer["message"] and answer["ms"]["round_trip"] < most_ms
        worst = slow_jpeg(19)
        with meanwhile(lambda: ask(bad, worst)["kind"]) as answers:
            times = [ask(good, FACE)["ms"]["round_trip"] for _ in range(20)]
        assert set(answers) == {"faces"}
        assert sorted(times)[len(times) // 2] < most_ms


# --- start and end ----------------------------------------------------------------------------------------------------


def start(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=TIMEOUT_S, env=dict(os.environ))


def test_what_keeps_it_from_starting_is_one_sentence(results):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        taken = start("--port", port, "--results", str(results))
    remote = start("--host", "0.0.0.0", "--results", str(results))
    assert (taken.returncode, remote.returncode) == (2, 2)
    assert taken.stderr.startswith(f"error: 127.0.0.1 port {port}: something else listens there")
    assert remote.stderr.startswith("error: --host 0.0.0.0: other computers could reach")
    assert len(taken.stderr.splitlines()) == len(remote.stderr.splitlines()) == 1


def test_on_all_addresses_it_asks_for_a_token_and_keeps_it_out_of_the_log(results):
    with running(results, "--host", "0.0.0.0", "--allow-remote") as server:
        assert server.token and len(server.token) >= 30
        address = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=address, timeout=TIMEOUT_S) as client:
            assert client.get("/").status_code == client.get("/results").status_code == 401
            with pytest.raises(InvalidStatus), connect(f"ws{address[4:]}/live", origin=Origin(address)):
                pass
            wrong = client.post("/session", data={"token": server.token[:-1]}, headers={"origin": address})
            assert wrong.status_code == 401 and "not the token" in wrong.text
            tried = [
                client.post("/session", data={"token": "x"}, headers={"origin": address}).status_code for _ in range(8)
            ]
            assert tried[0] == 401 and tried[-1] == 429, "who guesses is turned away"
            with meanwhile(lambda: client.post("/session", data={"token": "x"}, headers={"origin": address})):
                right = httpx.post(f"{address}/session", data={"token": server.token}, headers={"origin": address})
            client.cookies = right.cookies
            base = right.headers["location"]
            assert right.status_code == 303 and base not in ("", "/"), "and the owner is let in meanwhile"
            page = client.get(base).text
            assert "not encrypted" in page and f'href="{base}results"' in page
            record = re.search(rf'href="{base}(results/[^"]+/run.json)"', client.get(f"{base}results").text)
            assert record and client.get(base + record[1]).json()["paper"] == "tiny"
            assert client.get(base + "results/runs/").headers["location"] == f"{base}results"
            assert client.get("/").status_code == client.get(f"/{record[1]}").status_code == 401
            cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
            live = f"ws{address[4:]}{base}live"
            with connect(live, origin=Origin(address), additional_headers=cookie) as connection:
                assert json.loads(connection.recv(TIMEOUT_S))["kind"] == "ready"
            with pytest.raises(InvalidStatus), connect(live, origin=Origin(address)):
                pass
        assert server.token not in server.log()
