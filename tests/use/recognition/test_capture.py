"""Cameras by number and by address, and one clear error for each that gives no picture."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import pytest
from pictures_of_faces import HEIGHT_PX, WIDTH_PX, write_video

from repro.use.recognition import capture
from repro.use.recognition.capture import camera_source, open_capture, shown_source
from repro.use.recognition.errors import RecognitionError


@pytest.mark.parametrize(
    ("text", "source"), [("0", 0), ("12", 12), ("rtsp://h/live", "rtsp://h/live"), ("http://h:81/", "http://h:81/")]
)
def test_a_camera_is_a_number_or_an_address(text, source):
    assert camera_source(text) == source


@pytest.mark.parametrize("text", ["-1", "front", "file:///etc/passwd", "rtsp://", "ftp://h/x", "http://[::1/x"])
def test_anything_else_is_no_camera(text):
    with pytest.raises(ValueError, match="neither the number of a camera"):
        camera_source(text)


def test_a_password_is_not_shown():
    assert shown_source("rtsp://me:secret@10.0.0.2:554/live?x=1") == "rtsp://10.0.0.2:554/live?x=1"
    assert shown_source(3) == "3"


def test_a_camera_that_is_not_there_is_one_clear_error(capfd):
    with pytest.raises(RecognitionError, match=r"camera 93 is not there, .*`repro serve`"):
        open_capture(93)
    assert capfd.readouterr().err == ""


def test_an_address_that_does_not_answer_is_one_clear_error(capfd, monkeypatch):
    monkeypatch.setattr(capture, "ANSWER_MS", 1000)
    with pytest.raises(RecognitionError, match=r"^rtsp://127.0.0.1:9/live: no picture came within 1 s"):
        open_capture("rtsp://me:secret@127.0.0.1:9/live")
    assert "secret" not in "".join(capfd.readouterr())


def test_a_stream_over_http_is_read(tmp_path: Path):
    write_video(tmp_path / "stream.avi", 3)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened, frame = open_capture(f"http://127.0.0.1:{server.server_address[1]}/stream.avi")
        opened.release()
        server.shutdown()
    assert frame.shape == (HEIGHT_PX, WIDTH_PX, 3)
