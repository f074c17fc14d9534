"""A video, frame by frame: into another video with boxes and probabilities, and into a table with a row per face."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np
from PIL import Image

from fer_jax.machine.atomic_write import placed_whole
from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.recognition.annotate import annotated_live
from repro.use.recognition.capture import frames_per_s, next_frame, open_capture, silent
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import RecognisedFace, Recogniser
from repro.use.recognition.rows import face_document

_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}  # the codecs that every OpenCV wheel can write
_BOX = ("left", "top", "width", "height", "score")
TABLE_COLUMNS = ("time_s", "frame", "face", *_BOX, "emotion", *EMOTIONS, "unsure")


def read_video(video: Path, recogniser: Recogniser, *, marked: Path | None, table: Path | None) -> int:
    """Recognise every frame of a video; return their number.

    marked: a new .mp4 or .avi file that gets every frame with its boxes and probabilities. table: a new CSV file with
    `TABLE_COLUMNS`: time in seconds since the first frame, number of the frame and of the face in it (from 1), box in
    pixels, and the seven probabilities. A frame without a face has a row without one.

    Each file gets its name when it is complete. Raises RecognitionError if the video cannot be read, or if a file
    exists, has another suffix or cannot be written.
    """
    for path in (marked, table):
        if path is not None and path.exists():
            raise RecognitionError(f"{path}: exists already; name a new file")
    if marked is not None and marked.suffix.lower() not in _CODECS:
        raise RecognitionError(f"{marked}: a video can be written as {' or '.join(_CODECS)}; name such a file")
    import cv2

    capture, frame = open_capture(video)
    with ExitStack() as stack:
        stack.callback(capture.release)
        write_frame = stack.enter_context(_marked_video(marked, capture, frame)) if marked else None
        write_rows = stack.enter_context(_table(table)) if table else None
        expected = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        bar = stack.enter_context(click.progressbar(length=expected, label=f"{video.name}: frames", file=sys.stderr))
        number, rate = 0, frames_per_s(capture)
        while frame is not None:
            number += 1
            picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            faces = recogniser(picture)
            if write_frame is not None:
                image = annotated_live(Image.fromarray(picture), faces)
                write_frame(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR))
            if write_rows is not None:
                # Not every container gives the time of a frame.
                milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
                seconds = milliseconds / 1000 if milliseconds > 0 else (number - 1) / rate
                write_rows(list(_rows(seconds, number, faces)))
            bar.update(1)
            frame = next_frame(capture)
    return number


@contextmanager
def _marked_video(out: Path, capture: Any, frame: np.ndarray) -> Iterator[Any]:
    import cv2

    codec = _CODECS[out.suffix.lower()]
    partial = out.with_name(f".partial-{out.name}")
    height, width = frame.shape[:2]
    with silent():
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*codec), frames_per_s(capture), (width, height))
    try:
        if not writer.isOpened():
            raise RecognitionError(
                f"{out}: no {codec} video of {width} x {height} pixels can be written there; is the folder there?"
            )
        yield writer.write
        writer.release()
        partial.rename(out)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    if not path.parent.is_dir():
        raise RecognitionError(f"{path}: the folder {path.parent} is not there")
    with placed_whole(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        aside.chmod(0o644)
        yield _started(file).writerows


def _started(file: TextIO) -> Any:
    writer = csv.writer(file)
    writer.writerow(TABLE_COLUMNS)
    return writer


def _rows(seconds: float, number: int, faces: Sequence[RecognisedFace]) -> Iterator[tuple[object, ...]]:
    time_s = round(seconds, 3)
    if not faces:
        yield (time_s, number, *[""] * (len(TABLE_COLUMNS) - 2))
    for place, face in enumerate(faces, 1):
        shown = face_document(face)
        box = (shown[name] for name in _BOX)
        yield time_s, number, place, *box, shown["emotion"], *shown["probabilities"].values(), int(shown["unsure"])
