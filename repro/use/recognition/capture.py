"""Frames of a camera, of a camera on the network, or of a video file, by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from repro.use.recognition.errors import RecognitionError

# A camera's number, the address of a camera on the network, or a video file.
Source = int | str | Path
ADDRESSES = ("rtsp", "rtsps", "http", "https")
ANSWER_MS = 10_000  # that a camera on the network has to answer
_USUAL_FRAMES_PER_S = 25.0  # for a video that does not give its rate


def camera_source(text: str) -> int | str:
    """A camera's number, or the address of one on the network. Raises ValueError for anything else."""
    if text.isdecimal():
        return int(text)
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if parts is None or parts.scheme not in ADDRESSES or not host:
        raise ValueError(
            f"{text!r} is neither the number of a camera nor an address that begins with rtsp:// or http://"
        )
    return text


def shown_source(source: Source) -> str:
    """The source without the name and password that an address may hold."""
    if not isinstance(source, str):
        return str(source)
    parts = urlsplit(source)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def open_capture(source: Source) -> tuple[Any, np.ndarray]:
    """An opened capture, and its first frame: uint8 BGR (H, W, 3).

    Raises RecognitionError if there is none.
    """
    import cv2

    if isinstance(source, Path) and not source.is_file():
        raise RecognitionError(f"{source}: no such file")
    with silent():
        if isinstance(source, str):
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, ANSWER_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, ANSWER_MS]
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        frame = next_frame(capture) if capture.isOpened() else None
    if frame is not None:
        return capture, frame
    capture.release()
    if isinstance(source, Path):
        raise RecognitionError(f"{source}: not a video that OpenCV can read")
    if isinstance(source, str):
        raise RecognitionError(
            f"{shown_source(source)}: no picture came within {ANSWER_MS // 1000} s; check the address, the name and "
            "password in it (rtsp://name:password@host/...), and that this machine reaches the camera"
        )
    raise RecognitionError(
        f"camera {source} is not there, or another program uses it; name another with --camera, a file with --video, "
        "or use the browser's camera with `repro serve`"
    )


@contextmanager
def silent() -> Iterator[None]:
    """Silence OpenCV's own messages: one clear error is enough."""
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def next_frame(capture: Any) -> np.ndarray | None:
    """The next frame, uint8 BGR (H, W, 3)."""
    there, frame = capture.read()
    return frame if there else None


def frames_per_s(capture: Any) -> float:
    import cv2

    reported = capture.get(cv2.CAP_PROP_FPS)
    return reported if 0 < reported < 1000 else _USUAL_FRAMES_PER_S
