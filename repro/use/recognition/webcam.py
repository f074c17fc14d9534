"""Recognition on a camera or a video: live in a window, or frame by frame into another video."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import numpy as np
from PIL import Image

from repro.use.recognition.annotate import annotated_live
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import Recogniser
from repro.use.recognition.window import Window

_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}  # the codecs that every OpenCV wheel can write
_USUAL_FRAMES_PER_S = 25.0  # for a video that does not give its rate
_RATE_OVER_S = 2.0


def watch(source: int | Path, recogniser: Recogniser) -> None:
    """Show a camera (its number) or a video with its faces in a window, until it is closed or the video ends.

    Raises RecognitionError if the camera or video gives no frame, or if no window can be opened.
    """
    with LiveFrames(source, recogniser) as live, Window(f"repro webcam: {source}") as window:
        window.show(live)


def mark_video(video: Path, out: Path, recogniser: Recogniser) -> int:
    """Write every frame of a video, with boxes and probabilities, to a new .mp4 or .avi file; return their number.

    The file gets its name when it is complete. Raises RecognitionError if the video cannot be read, or if `out` exists,
    has another suffix or cannot be written.
    """
    import cv2

    codec = _CODECS.get(out.suffix.lower())
    if codec is None:
        raise RecognitionError(f"{out}: a video can be written as {' or '.join(_CODECS)}; name such a file")
    if out.exists():
        raise RecognitionError(f"{out}: exists already; name a new file")
    capture, frame = _open(video)
    partial = out.with_name(f".partial-{out.name}")
    height, width = frame.shape[:2]
    with _silent(cv2):
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*codec), _frames_per_s(capture), (width, height))
    written = 0
    try:
        if not writer.isOpened():
            raise RecognitionError(
                f"{out}: no {codec} video of {width} x {height} pixels can be written there; is the folder there?"
            )
        expected = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        with click.progressbar(length=expected, label=f"{video.name}: frames", file=sys.stderr) as bar:
            while frame is not None:
                picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                marked = annotated_live(Image.fromarray(picture), recogniser(picture))
                writer.write(cv2.cvtColor(np.asarray(marked), cv2.COLOR_RGB2BGR))
                written += 1
                bar.update(1)
                frame = _next(capture)
        writer.release()
        partial.rename(out)
    finally:
        writer.release()
        capture.release()
        partial.unlink(missing_ok=True)
    return written


class LiveFrames:
    """Frames read in one thread and recognised in another. Use as a context manager.

    Only the newest frame waits. While the network is busy, older frames are dropped, so that the display stays current.
    """

    def __init__(self, source: int | Path, recogniser: Recogniser) -> None:
        """Raises RecognitionError if the camera or video gives no frame."""
        self._recogniser = recogniser
        self._capture, first = _open(source)
        self._is_camera = isinstance(source, int)
        self._pause_s = 0.0 if self._is_camera else 1 / _frames_per_s(self._capture)
        self._changed = threading.Condition()
        self._newest: np.ndarray | None = first
        self._shown: Image.Image | None = None
        self._error: BaseException | None = None
        self._read_all = self._stopped = self._done = False
        self._threads = [threading.Thread(target=self._guarded, args=(w,)) for w in (self._read, self._recognise)]

    def __enter__(self) -> LiveFrames:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._capture.release()

    def take(self) -> Image.Image | None:
        """The latest finished image, once; None if there is no new one. Re-raises errors of the threads."""
        if self._error is not None:
            raise self._error
        with self._changed:
            shown, self._shown = self._shown, None
        return shown

    @property
    def ended(self) -> bool:
        """Whether the source has ended and every image was taken."""
        return self._done and self._shown is None

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:  # re-raised in the thread that calls `take`
            self._error = error

    def _read(self) -> None:
        due = time.perf_counter()
        while not self._stopped:
            due += self._pause_s
            time.sleep(max(0.0, due - time.perf_counter()))
            frame = _next(self._capture)
            if frame is None and self._is_camera and not self._stopped:
                raise RecognitionError("the camera gives no more pictures; is it still connected?")
            with self._changed:
                self._read_all = frame is None
                self._newest = self._newest if frame is None else frame
                self._changed.notify_all()
            if frame is None:
                return

    def _recognise(self) -> None:
        import cv2

        finished: deque[float] = deque()
        while (frame := self._next_frame()) is not None:
            picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            faces = self._recogniser(picture)
            finished.append(time.perf_counter())
            while finished[-1] - finished[0] > _RATE_OVER_S:
                finished.popleft()
            rate = (len(finished) - 1) / max(finished[-1] - finished[0], 1e-9)
            marked = annotated_live(Image.fromarray(picture), faces, rate)
            with self._changed:
                self._shown = marked
        self._done = True

    def _next_frame(self) -> np.ndarray | None:
        """The newest frame, once; waits for it. None if no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._read_all or self._stopped)
            frame, self._newest = self._newest, None
            return None if self._stopped else frame


def _open(source: int | Path) -> tuple[Any, np.ndarray]:
    """An opened capture and its first frame."""
    import cv2

    if isinstance(source, Path) and not source.is_file():
        raise RecognitionError(f"{source}: no such file")
    with _silent(cv2):
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        frame = _next(capture) if capture.isOpened() else None
    if frame is not None:
        return capture, frame
    capture.release()
    if isinstance(source, Path):
        raise RecognitionError(f"{source}: not a video that OpenCV can read")
    raise RecognitionError(
        f"camera {source} is not there, or another program uses it; name another with --camera, a file with --video, "
        "or use the browser's camera with `repro serve`"
    )


@contextmanager
def _silent(cv2: Any) -> Iterator[None]:
    """Silence OpenCV's own messages: one clear error is enough."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _next(capture: Any) -> np.ndarray | None:
    """The next frame, uint8 BGR (H, W, 3)."""
    there, frame = capture.read()
    return frame if there else None


def _frames_per_s(capture: Any) -> float:
    import cv2

    reported = capture.get(cv2.CAP_PROP_FPS)
    return reported if 0 < reported < 1000 else _USUAL_FRAMES_PER_S
