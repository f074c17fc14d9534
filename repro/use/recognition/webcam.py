"""Live recognition on a camera or a video, in a window."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from repro.use.recognition.annotate import annotated_live
from repro.use.recognition.capture import Source, frames_per_s, next_frame, open_capture, shown_source
from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.recogniser import Recogniser
from repro.use.recognition.window import Window

_RATE_OVER_S = 2.0


def watch(source: Source, recogniser: Recogniser) -> None:
    """Show a camera or a video with its faces in a window, until it is closed or the video ends.

    Raises RecognitionError if the camera or video gives no frame, or if no window can be opened.
    """
    with LiveFrames(source, recogniser) as live, Window(f"repro webcam: {shown_source(source)}") as window:
        window.show(live)


class LiveFrames:
    """Frames read in one thread and recognised in another. Use as a context manager.

    Only the newest frame waits. While the network is busy, older frames are dropped, so that the display stays current.
    """

    def __init__(self, source: Source, recogniser: Recogniser) -> None:
        """Raises RecognitionError if the camera or video gives no frame."""
        self._recogniser = recogniser
        self._capture, first = open_capture(source)
        self._is_camera = not isinstance(source, Path)
        self._pause_s = 0.0 if self._is_camera else 1 / frames_per_s(self._capture)
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
            frame = next_frame(self._capture)
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
