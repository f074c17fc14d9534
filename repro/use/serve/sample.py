"""A sample picture to try recognition with: faces that this project draws, and nobody's."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from fer_jax.data.synthetic import draw_faces
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES

WIDTH_PX, HEIGHT_PX, FACE_PX = 640, 360, 170
SHOWN = ("happy", "surprise", "angry")
_SEED = 4


def sample_jpeg() -> bytes:
    """Three drawn faces on a background that darkens to one side, as a JPEG of WIDTH_PX x HEIGHT_PX."""
    drawn = draw_faces(_SEED, {USAGES[0]: tuple(int(emotion in SHOWN) for emotion in EMOTIONS)})
    picture = np.tile(np.linspace(170, 90, WIDTH_PX).astype(np.uint8), (HEIGHT_PX, 1))
    top, gap = (HEIGHT_PX - FACE_PX) // 2, (WIDTH_PX - len(SHOWN) * FACE_PX) // (len(SHOWN) + 1)
    for place, emotion in enumerate(SHOWN):
        (face,) = drawn.images[drawn.labels == EMOTIONS.index(emotion)]
        left = gap + place * (FACE_PX + gap)
        large = Image.fromarray(face).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC)
        picture[top : top + FACE_PX, left : left + FACE_PX] = np.asarray(large)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return file.getvalue()
