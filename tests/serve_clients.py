"""Clients of a server on real sockets, good ones and bad ones, and a server that is looked after when they are done."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from serve_process import TIMEOUT_S, Server, running

from repro.measurements.live_latency import as_jpeg, ask, conversation, one_face
from repro.use.serve.limits import Limits

# The times of a user's server would make the tests wait.
LIMITS = Limits(request_s=2.0, closing_s=1.0, idle_s=2.5, send_s=1.0, live=6)
FACE = as_jpeg(one_face())
MEMORY_BYTES = 60e6


@contextlib.contextmanager
def attacked(results: Path) -> Iterator[Server]:
    """A server with LIMITS. Whatever came in between: at the end it answers, holds little more memory than before, has
    nothing to report, and ends when it is told to."""
    with running(results, limits=LIMITS) as server:
        good_client(server)
        with conversation(server.address) as connection:
            ask(connection, as_jpeg(np.zeros((1280, 1280), np.uint8)))  # the largest picture that is looked at
        before = server.memory_bytes()
        yield server
        good_client(server)
        assert server.memory_bytes() - before < MEMORY_BYTES
        assert server.interrupt() == 0, "Ctrl-C"
        network, certainty = server.log().splitlines()
        assert network.startswith("network: "), "never a traceback, and nothing of what was sent"
        assert certainty.startswith("temperature ")


def good_client(server: Server) -> None:
    assert httpx.get(server.address, timeout=TIMEOUT_S).status_code == 200
    with conversation(server.address) as connection:
        assert len(ask(connection, FACE)["faces"]) == 1


@contextlib.contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[list[object]]:
    """Calls `work` again and again in a thread. Yields what it returned so far."""
    ended, done = threading.Event(), []

    def repeat() -> None:
        while not ended.is_set():
            done.append(work())

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join(TIMEOUT_S)


def slow_jpeg(scans: int) -> bytes:
    """The largest picture that is looked at, with that many scans that add nothing."""
    file = io.BytesIO()
    Image.new("RGB", (1280, 1280), (90, 80, 70)).save(file, "JPEG", progressive=True)
    jpeg = file.getvalue()
    return jpeg[:-2] + scans * jpeg[jpeg.rindex(b"\xff\xda") : -2] + jpeg[-2:]


# --- on a plain socket ------------------------------------------------------------------------------------------------


def raw(server: Server, payload: bytes) -> socket.socket:
    plain = socket.create_connection((server.host, server.port), timeout=TIMEOUT_S)
    with contextlib.suppress(OSError):  # it may have had enough before all is sent
        plain.sendall(payload)
    return plain


def said(plain: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    told = b""
    with plain, contextlib.suppress(ConnectionError):
        while piece := plain.recv(65536):
            told += piece
    return told


def request(server: Server, line: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
    lines = [f"{line} HTTP/1.1", f"Host: {host or f'{server.host}:{server.port}'}", *headers, "Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def refused(server: Server, payload: bytes) -> None:
    """It is closed without a word, or answered with an error."""
    told = said(raw(server, payload))
    assert not told or 400 <= int(told.split()[1]) < 500, (payload[:200], told[:200])


HANDSHAKE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def upgrade(server: Server, *headers: str, line: str = "GET /live", host: str = "") -> bytes:
    host = host or f"{server.host}:{server.port}"
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *headers]).encode("latin-1") + b"\r\n\r\n"


def begun(server: Server) -> socket.socket:
    """A conversation on a plain socket, after the server's first message."""
    plain = raw(server, upgrade(server, *HANDSHAKE, "Sec-WebSocket-Version: 13", f"Origin: {server.address}"))
    told = b""
    while b'"kind":"ready"' not in told:
        piece = plain.recv(4096)
        assert piece, told
        told += piece
    return plain


BINARY, TEXT, CONTINUED, PING, CLOSE, LAST = 0x02, 0x01, 0x00, 0x09, 0x08, 0x80  # RFC 6455, section 5.2


def frame(first: int, payload: bytes, *, masked: bool = True, length: int | None = None) -> bytes:
    """A WebSocket frame right or wrong. The mask is zero."""
    length = len(payload) if length is None else length
    size = bytes([length]) if length < 126 else struct.pack(">BQ", 127, length)
    return bytes([first, size[0] | (0x80 if masked else 0)]) + size[1:] + (bytes(4) if masked else b"") + payload
