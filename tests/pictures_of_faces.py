"""Pictures and videos for tests: faces that the suite draws, pasted into larger pictures. No photograph of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fer_jax.data.synthetic import draw_faces

WIDTH_PX, HEIGHT_PX = 640, 480
SIDE_PX = 200  # of a pasted face
Place = tuple[int, int]  # left, top


@lru_cache(maxsize=1)
def drawn_faces() -> np.ndarray:
    """uint8 (14, 48, 48): two of each emotion, faces that the detector finds where nothing hides them."""
    return draw_faces(seed=3, counts={"Training": (2,) * 7}).images


def picture_of_faces(places: Sequence[Place], *, side: int = SIDE_PX, first: int = 0) -> np.ndarray:
    """uint8 RGB (480, 640, 3): a soft coloured ground with drawn faces, from number `first` on, at the given places."""
    corners = np.array([[[90, 120, 160], [200, 190, 150]], [[60, 80, 60], [150, 110, 120]]], np.uint8)
    picture = np.array(Image.fromarray(corners).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BILINEAR))
    for number, (left, top) in enumerate(places, first):
        face = Image.fromarray(drawn_faces()[number % len(drawn_faces())])
        large = np.asarray(face.resize((side, side), Image.Resampling.BICUBIC))
        picture[top : top + side, left : left + side] = large[:, :, None]
    return picture


def write_video(path: Path, frames: int, *, frames_per_s: float = 10.0) -> Path:
    """One face that moves to the right by 4 pixels a frame. The ending tells the kind: .avi (MJPG) or .mp4 (mp4v)."""
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, frames_per_s, (WIDTH_PX, HEIGHT_PX))
    assert writer.isOpened()
    for number in range(frames):
        frame = picture_of_faces([(100 + 4 * number, 120)])
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
