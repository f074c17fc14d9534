"""Draws boxes, labels and probabilities into an image, readable on light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.use.recognition.recogniser import RecognisedFace

_INK = (255, 255, 255)
_GROUND = (20, 20, 20)  # behind the text and around it: one of the two contrasts with any image
_BAR = (86, 180, 233)  # sky blue of Okabe and Ito's palette: far from both backgrounds, also in gray
_FONT_SHARE = 1 / 34  # of the image's shorter side
_FONT_PX = (12, 120)


def annotated(picture: Image.Image, faces: Sequence[RecognisedFace]) -> Image.Image:
    """An RGB copy with a box around each face, its most likely emotion, the probability, and whether that is unsure."""
    copy = picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    draw, font = ImageDraw.Draw(copy), _font(copy)
    for face in faces:
        _box(draw, face, font.size)
        _label(draw, face, face.words, font, copy.size)
    return copy


def annotated_live(
    picture: Image.Image, faces: Sequence[RecognisedFace], frames_per_s: float | None = None
) -> Image.Image:
    """Like `annotated`, with all seven probabilities of each face as bars beside it, and the frames per second."""
    copy = annotated(picture, faces)
    draw, font = ImageDraw.Draw(copy), _font(copy)
    for face in faces:
        _bars(draw, face, font, copy.size)
    if frames_per_s is not None:
        _text(draw, (0, 0), f"{frames_per_s:.1f} frames/s", font)
    return copy


def _font(picture: Image.Image) -> ImageFont.FreeTypeFont:
    return _font_of_size(int(np.clip(min(picture.size) * _FONT_SHARE, *_FONT_PX)))


@lru_cache(maxsize=8)
def _font_of_size(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels carry FreeType and a font
    return font


def _box(draw: ImageDraw.ImageDraw, face: RecognisedFace, font_px: float) -> None:
    line = max(1, round(font_px / 8))
    box = face.box
    left, top, right, bottom = box.left, box.top, box.left + box.width - 1, box.top + box.height - 1
    draw.rectangle((left - line, top - line, right + line, bottom + line), outline=_GROUND, width=3 * line)
    draw.rectangle((left, top, right, bottom), outline=_INK, width=line)


def _label(
    draw: ImageDraw.ImageDraw,
    face: RecognisedFace,
    words: str,
    font: ImageFont.FreeTypeFont,
    picture_px: tuple[int, int],
) -> None:
    """Above the box, or inside it if there is no room above; moved to the left if it would leave the image."""
    width, height = _extent(words, font)
    top = face.box.top - height if face.box.top >= height else max(0, face.box.top)
    left = max(0, min(face.box.left, picture_px[0] - width))
    _text(draw, (left, top), words, font)


def _bars(
    draw: ImageDraw.ImageDraw, face: RecognisedFace, font: ImageFont.FreeTypeFont, picture_px: tuple[int, int]
) -> None:
    """On the right of the box, or on the left if there is more room."""
    pad, line = round(font.size / 4), round(font.size * 1.3)
    name_px = max(round(font.getlength(f"{name} ")) for name in EMOTIONS)
    bar_px = 5 * round(font.size)
    width, height = name_px + bar_px + 2 * pad, len(EMOTIONS) * line + 2 * pad
    box = face.box
    right_room = picture_px[0] - (box.left + box.width)
    left = box.left + box.width + pad if right_room >= min(width, box.left) else box.left - width - pad
    left = max(0, min(left, picture_px[0] - width))
    top = max(0, min(box.top, picture_px[1] - height))
    draw.rectangle((left, top, left + width, top + height), fill=_GROUND)
    for row, (name, probability) in enumerate(zip(EMOTIONS, face.probabilities, strict=True)):
        y = top + pad + row * line
        draw.text((left + pad, y), name, fill=_INK, font=font)
        start, above, below = left + pad + name_px, y + pad // 2, y + line - pad // 2
        draw.rectangle((start, above, start + bar_px, below), outline=_INK)
        draw.rectangle((start, above, start + round(bar_px * float(probability)), below), fill=_BAR)


def _extent(words: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Width and height in pixels of a text with its background."""
    return round(font.getlength(words) + font.size / 2), round(font.size * 1.4)


def _text(draw: ImageDraw.ImageDraw, at: tuple[int, int], words: str, font: ImageFont.FreeTypeFont) -> None:
    width, height = _extent(words, font)
    draw.rectangle((*at, at[0] + width, at[1] + height), fill=_GROUND)
    draw.text((at[0] + font.size / 4, at[1] + font.size / 8), words, fill=_INK, font=font)
