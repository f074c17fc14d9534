"""Tracks faces from frame to frame. A face from the last frame is searched near its place, which takes a fraction of
the time of searching the whole frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from repro.use.recognition.detection import SAME_FACE, Box, Detector, overlap

EVERY = 10  # frames until the whole frame is searched again, for new faces
AROUND = 0.35  # of a face's width, on each side: where the face may be in the next frame
NEAR_PX = 100  # the side at which that area is searched; the face is then about 60 pixels wide
OLDEST_S = 1.0  # age of the last frame; after that a face may be anywhere, or the scene may have changed


class Tracker(Detector):
    """Finds faces in the frames of one camera, in their order. Do not share it between cameras or threads."""

    def __init__(self, everywhere: Detector, near: Detector, clock: Callable[[], float] = time.monotonic) -> None:
        """everywhere: searches whole frames. near: searches squares around faces (search_px=NEAR_PX)."""
        self._everywhere, self._near, self._clock = everywhere, near, clock
        self._boxes: list[Box] = []
        self._left = 0  # frames until the whole frame is searched
        self._shape: tuple[int, ...] = ()
        self._at = 0.0

    def smallest_face(self, width: int, height: int, pixel: float = 1.0) -> float:
        return self._everywhere.smallest_face(width, height, pixel)

    def find(self, gray_HW: np.ndarray, pixel: float = 1.0) -> list[Box]:
        """The faces of the next frame, uint8 (H, W), best first."""
        now = self._clock()
        follows = gray_HW.shape == self._shape and now - self._at < OLDEST_S
        self._shape, self._at = gray_HW.shape, now
        found = self._follow(gray_HW) if follows and self._left > 0 else []
        if found:
            self._left -= 1
        else:
            found, self._left = self._everywhere.find(gray_HW, pixel), EVERY - 1
        self._boxes = found
        return found

    def _follow(self, gray_HW: np.ndarray) -> list[Box]:
        """The same faces near their places, in their order; empty if any is missing."""
        found: list[Box] = []
        for box in self._boxes:
            margin = round(AROUND * box.width)
            left, top = max(0, box.left - margin), max(0, box.top - margin)
            near = self._near.find(gray_HW[top : box.top + box.height + margin, left : box.left + box.width + margin])
            here = [replace(one, left=one.left + left, top=one.top + top) for one in near]
            here = [one for one in here if all(overlap(one, other) < SAME_FACE for other in found)]
            if not here:
                return []
            found.append(max(here, key=lambda one: overlap(one, box)))
        return found
