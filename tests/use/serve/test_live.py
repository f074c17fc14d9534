"""Live recognition on real sockets: what is no picture gets a sentence or the end of the conversation, and others are
answered as before."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from serve_clients import (
    BINARY,
    CLOSE,
    CONTINUED,
    FACE,
    LAST,
    LIMITS,
    PING,
    TEXT,
    attacked,
    begun,
    frame,
    good_client,
    said,
)
from serve_process import TIMEOUT_S, Server, trained_results
from websockets import Origin
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from repro.measurements.live_latency import ask, conversation

NOISE = random.Random(5)


@pytest.fixture(scope="module")
def server(tmp_path_factory, make_tiny_paper) -> Iterator[Server]:
    with attacked(trained_results(tmp_path_factory, make_tiny_paper)) as started:
        yield started


def jpeg(width: int, height: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), 90 if mode == "L" else None).save(file, "JPEG")
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header promises many pixels."""
    small = jpeg(16, 16)
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def as_(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (32, 32)).save(file, kind)
    return file.getvalue()


BAD_PICTURES = {
    "nothing": b"",
    "noise": NOISE.randbytes(5000),
    "a JPEG's first bytes": b"\xff\xd8\xff",
    "noise that begins as a JPEG": b"\xff\xd8\xff\xe0" + NOISE.randbytes(5000),
    "cut off early": FACE[:400],
    "cut off in the middle": FACE[: len(FACE) // 2],
    "cut off at the end": FACE[:-400],
    "too many pixels": jpeg(1400, 1300, "L"),
    "a bomb": claiming(65_500, 65_500),
    "a flat bomb": claiming(65_500, 30),
    "no pixels": claiming(0, 0),
    "PNG": as_("PNG"),
    "GIF": as_("GIF"),
    "TIFF": as_("TIFF"),
    "text": b"<script>alert(1)</script>",
    "a zip bomb": b"PK\x03\x04" + bytes(50_000),
}


@pytest.mark.parametrize("payload", BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_what_is_no_usable_picture_gets_one_sentence_and_the_next_one_an_answer(server, payload):
    with conversation(server.address) as connection:
        answer = ask(connection, payload)
        assert answer["kind"] == "error" and answer["message"].startswith("The picture: "), answer
        assert "Traceback" not in answer["message"] and len(answer["message"]) < 300
        assert len(ask(connection, FACE)["faces"]) == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_pictures_without_a_face_in_any_mode_and_of_any_size_are_answered(server, mode):
    with conversation(server.address) as connection:
        for size in ((1, 1), (1, 1280), (1280, 1), (1280, 1280)):
            answer = ask(connection, jpeg(*size, mode))
            assert (answer["kind"], answer["width"], answer["height"], answer["faces"]) == ("faces", *size, [])


BAD_FRAMES = {
    "text": frame(LAST | TEXT, b"hello"),
    "text that is none": frame(LAST | TEXT, b"\xff\xfe\xff"),
    "larger than allowed": frame(LAST | BINARY, b"\xff\xd8\xff" + bytes(1_000_000)),
    "claims 8 exbibytes": frame(LAST | BINARY, b"\xff\xd8\xff", length=2**63 - 1),
    "larger than allowed in pieces": frame(BINARY, bytes(600_000)) + frame(LAST | CONTINUED, bytes(600_000)),
    "not masked": frame(LAST | BINARY, FACE, masked=False),
    "unknown opcode": frame(LAST | 0x0B, b"x"),
    "reserved bit": frame(LAST | 0x40 | BINARY, b"x"),
    "a piece of nothing": frame(LAST | CONTINUED, b"x"),
    "a long ping": frame(LAST | PING, bytes(200)),
    "a ping in pieces": frame(PING, b"x"),
    "a close with half a code": frame(LAST | CLOSE, b"\x03"),
    "a close with a wrong code": frame(LAST | CLOSE, b"\x00\x01"),
    "noise": NOISE.randbytes(500),
}


UNFINISHED = (
    frame(LAST | BINARY, FACE[:1000], length=len(FACE)),
    frame(BINARY, b"\xff\xd8\xff"),
    b"",
)


@pytest.mark.parametrize("payload", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_what_is_no_picture_message_ends_the_conversation(server, payload):
    assert b"idle" not in end_after(server, payload), "not only because it was silent then"


def test_a_message_that_does_not_go_on_ends_the_conversation_after_a_while(server):
    with ThreadPoolExecutor(len(UNFINISHED)) as threads:
        ends = list(threads.map(lambda payload: end_after(server, payload), UNFINISHED))
    assert all(end.endswith(b"idle") for end in ends)


def end_after(server: Server, payload: bytes) -> bytes:
    """What the server says after that message until it ends the conversation, which is no answer to a picture."""
    plain = begun(server)
    with contextlib.suppress(OSError):
        plain.sendall(payload)
    told = said(plain)
    assert b'"kind":"faces"' not in told
    return told


def test_ten_bad_messages_end_the_conversation(server):
    with conversation(server.address) as connection, pytest.raises(ConnectionClosed) as closed:
        for _ in range(12):
            connection.send(b"no picture")
            connection.recv(TIMEOUT_S)
    assert closed.value.rcvd and closed.value.rcvd.code == 1008


def test_pictures_come_no_faster_than_allowed_and_none_is_lost(server):
    n = LIMITS.burst + int(LIMITS.frames_per_s)
    with conversation(server.address) as connection:
        start = time.monotonic()
        for _ in range(n):
            connection.send(jpeg(1, 1, "L"))
        answers = [json.loads(connection.recv(TIMEOUT_S))["kind"] for _ in range(n)]
    assert answers == ["faces"] * n
    assert time.monotonic() - start > 0.95


def test_fifty_conversations_at_once_are_held_with_some_and_refused_to_the_rest(server):
    with contextlib.ExitStack() as stack:
        address = f"ws://{server.host}:{server.port}/live"
        opened = [stack.enter_context(connect(address, origin=Origin(server.address))) for _ in range(50)]
        ready, turned_away = 0, 0
        for connection in opened:
            try:
                ready += json.loads(connection.recv(TIMEOUT_S))["kind"] == "ready"
            except ConnectionClosed as closed:
                assert closed.rcvd and closed.rcvd.code == 1013
                turned_away += 1
    assert (ready, turned_away) == (LIMITS.live, 50 - LIMITS.live)
    good_client(server)


def test_a_client_that_sends_without_end_and_does_not_read_is_dropped_and_its_answers_are_not_kept(server):
    """Pings, which the server answers before it looks at any limit: it keeps the answers until it looks around."""
    plain = begun(server)
    plain.settimeout(TIMEOUT_S)
    start, before, most = time.monotonic(), server.memory_bytes(), 0
    with plain, pytest.raises(ConnectionError):
        while True:
            plain.sendall(1000 * frame(LAST | PING, bytes(125)))
            most = max(most, server.memory_bytes())
    assert time.monotonic() - start < 3 * (LIMITS.idle_s + LIMITS.send_s + LIMITS.closing_s)
    assert most - before < 16e6, "a fifth of a second of pings"
    good_client(server)


def test_messages_that_are_never_finished_are_not_kept(server):
    """Thirty of them of nearly the largest size; the memory is looked at when all is done."""
    for _ in range(30):
        with begun(server) as plain:
            plain.sendall(frame(BINARY, bytes(999_000)))
