"""Larger images with one FER-2013 face in each, to measure detection on. They are never written to disk.

Each image (640 x 480, gray) holds one face of 48 x 48 pixels, enlarged to 80 to 240 pixels (bicubic), at a random
place. FER-2013's faces are cut so tightly that hair, ears and chin often lie outside, and no camera sees the hard edge
of such a square. So every second face is faded into its background: its border pixels blend into the surroundings
within an eighth of its side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from fer_jax.data.faces import Faces
from repro.use.recognition.detection import Box

WIDTH_PX, HEIGHT_PX = 640, 480
FACE_PX = (80, 240)  # side of the pasted square, drawn evenly on a logarithmic scale
FADE = 0.125  # of the side: how far outside its square a faded face blends into the background
PHOTOGRAPH_PX = (4000, 3000)
BACKGROUNDS = ("smooth", "noise", "texture")


@dataclass(frozen=True)
class Scene:
    """picture_HW: uint8. square: position of the face. row: of the face in its dataset."""

    picture_HW: np.ndarray
    square: Box
    row: int
    background: str
    faded: bool


def scenes(faces: Faces, rows: np.ndarray, background: str, seed: int = 0) -> Iterator[Scene]:
    """One image per row, the same for equal arguments; every second face is faded into its background."""
    for place, row in enumerate(rows):
        rng = np.random.default_rng((seed, BACKGROUNDS.index(background), int(row)))
        picture = _BACKGROUND[background](rng, faces)
        side = round(float(np.exp(rng.uniform(*np.log(FACE_PX)))))
        square = Box(
            int(rng.integers(0, WIDTH_PX - side + 1)), int(rng.integers(0, HEIGHT_PX - side + 1)), side, side, 1.0
        )
        _paste(picture, faces.images[row], square, fade=round(FADE * side) if place % 2 else 0)
        yield Scene(picture, square, int(row), background, bool(place % 2))


def _paste(picture: np.ndarray, face: np.ndarray, square: Box, fade: int) -> None:
    side = square.width
    large = np.pad(np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)), fade, mode="edge")
    weight = np.ones(side + 2 * fade)
    if fade:
        weight[:fade] = (np.arange(fade) + 1) / (fade + 1)
        weight[-fade:] = weight[:fade][::-1]
    cover = np.minimum.outer(weight, weight)
    top, left = square.top - fade, square.left - fade
    rows, columns = slice(max(0, top), top + len(large)), slice(max(0, left), left + len(large))
    part = picture[rows, columns]
    inner = slice(max(0, -top), max(0, -top) + part.shape[0]), slice(max(0, -left), max(0, -left) + part.shape[1])
    part[:] = np.rint(part + (large[inner].astype(float) - part) * cover[inner])


def document(rng: np.random.Generator) -> np.ndarray:
    """A page of invented words on light paper."""
    page = Image.new("L", (WIDTH_PX, HEIGHT_PX), int(rng.integers(220, 256)))
    size = int(rng.integers(9, 22))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    letters = list("abcdefghijklmnopqrstuvwxyzABC0123456789    ,.")
    for top in range(10, HEIGHT_PX - 30, round(1.5 * size)):
        draw.text((20, top), "".join(rng.choice(letters, 110)), fill=int(rng.integers(0, 80)), font=font)
    return np.array(page)


def group(faces: Faces, rows: np.ndarray, side: int, background: str, seed: int) -> tuple[np.ndarray, list[Box]]:
    """A large photograph, uint8 (PHOTOGRAPH_PX), with a face per row, each `side` pixels wide, faded like every second
    one above, and their squares. At most ten rows: each has a fifth of the width and half of the height."""
    rng = np.random.default_rng((seed, BACKGROUNDS.index(background), side))
    picture = photograph(_BACKGROUND[background](rng, faces), rng)
    squares = []
    for place, row in enumerate(rows):
        cell = (PHOTOGRAPH_PX[0] // 5, PHOTOGRAPH_PX[1] // 2)
        left, top = (int(rng.integers(0, room - side + 1)) for room in cell)
        square = Box(place % 5 * cell[0] + left, place // 5 * cell[1] + top, side, side, 1.0)
        _paste(picture, faces.images[row], square, fade=round(FADE * side) if place % 2 else 0)
        squares.append(square)
    return picture, squares


def photograph(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture enlarged to PHOTOGRAPH_PX, with the grain of a camera."""
    large = np.asarray(Image.fromarray(picture).resize(PHOTOGRAPH_PX, Image.Resampling.BICUBIC), np.float32)
    return np.clip(large + 3 * rng.standard_normal(large.shape, np.float32), 0, 255).astype(np.uint8)


def empty(kind: str, faces: Faces, seed: int) -> np.ndarray:
    """A picture without a face, uint8 (HEIGHT_PX, WIDTH_PX): one of BACKGROUNDS, or `document`."""
    rng = np.random.default_rng((seed, 99))
    return document(rng) if kind == "document" else _BACKGROUND[kind](rng, faces)


def _smooth(rng: np.random.Generator, faces: Faces) -> np.ndarray:
    """A few large soft patches of light, like a wall or the sky out of focus."""
    small = Image.fromarray(rng.integers(0, 256, (4, 5), np.uint8))
    return np.array(small.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, faces: Faces) -> np.ndarray:
    """Noise whose amplitude falls with the frequency, as in photographs (Field 1987), with a little grain on top."""
    frequency = np.hypot(np.fft.fftfreq(HEIGHT_PX)[:, None], np.fft.rfftfreq(WIDTH_PX))
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(HEIGHT_PX, WIDTH_PX))) / frequency
    picture = np.fft.irfft2(spectrum, s=(HEIGHT_PX, WIDTH_PX))
    picture = (picture - picture.mean()) / picture.std() * rng.uniform(30, 60) + rng.uniform(80, 170)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, faces: Faces) -> np.ndarray:
    """Photographs without a face: sixteenths of FER-2013's images, turned, enlarged and overlaid."""
    picture = Image.new("L", (WIDTH_PX, HEIGHT_PX))
    for side in (160, 80):
        for top in range(0, HEIGHT_PX, side):
            for left in range(0, WIDTH_PX, side):
                if side == 80 and rng.random() < 0.5:
                    continue
                y, x = rng.integers(0, 4, 2) * 12
                piece = np.rot90(faces.images[rng.integers(len(faces))][y : y + 12, x : x + 12], int(rng.integers(4)))
                picture.paste(Image.fromarray(piece.copy()).resize((side, side), Image.Resampling.BICUBIC), (left, top))
    return np.array(picture.filter(ImageFilter.GaussianBlur(1)))


_BACKGROUND = {"smooth": _smooth, "noise": _noise, "texture": _texture}
