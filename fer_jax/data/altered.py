"""A picture changed as pictures are on their way through the web: what makes an exact copy a near one."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def _gray(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def flipped(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return image[:, ::-1]


def brightened(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By up to 40 of 255 gray levels, up or down; what leaves the scale is lost."""
    return _gray(image + random.choice([-1, 1]) * random.uniform(10, 40))


def contrasted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _gray((image - image.mean()) * random.uniform(0.6, 1.4) + image.mean())


def compressed(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By JPEG at quality 50 to 95."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, "JPEG", quality=int(random.integers(50, 96)))
    return np.asarray(Image.open(out))


def shifted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By 1 or 2 pixels down, across or both; the edge is repeated."""
    moves = [(dy, dx) for dy in range(5) for dx in range(5) if (dy, dx) != (2, 2)]
    dy, dx = moves[random.integers(len(moves))]
    h, w = image.shape
    return np.pad(image, 2, mode="edge")[dy : dy + h, dx : dx + w]


def everything(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirrored or not, then all other changes, one after the other."""
    changes = [shifted, contrasted, brightened, compressed]
    for change in [flipped, *changes] if random.random() < 0.5 else changes:
        image = change(image, random)
    return image


def _resized(image: np.ndarray, top: float, left: float, height: float, width: float) -> np.ndarray:
    """The given part of the image, in pixels, at the size of the whole."""
    h, w = image.shape
    box = (left, top, left + width, top + height)
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((w, h), Image.Resampling.BICUBIC, box))


def cropped(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """To 0.85 to 0.95 of its height and width, anywhere in the image, then resized."""
    h, w = image.shape
    scale = random.uniform(0.85, 0.95)
    top, left = random.random(2) * (1 - scale) * (h, w)
    return _resized(image, top, left, scale * h, scale * w)


def shifted_far(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By 3 to 6 pixels along one axis and up to 6 along the other; the edge is repeated."""
    far, less = random.choice([-1, 1]) * random.integers(3, 7), random.integers(-6, 7)
    dy, dx = (far, less) if random.random() < 0.5 else (less, far)
    h, w = image.shape
    return np.pad(image, 6, mode="edge")[6 + dy : 6 + dy + h, 6 + dx : 6 + dx + w]


def captioned(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A band with letters along the upper or lower edge, over 5 to 15 % of the image."""
    made, (h, w) = np.array(image), image.shape
    thick = max(1, int(h * random.uniform(0.05, 0.15)))
    band = Image.new("L", (w, thick), int(random.choice([0, 255])))
    letters = "".join(random.choice(list("ABCDEFGHIKLMNOPRSTUVW "), 16))
    level = 255 - band.getpixel((0, 0))  # type: ignore[operator]
    ImageDraw.Draw(band).text(
        (int(random.integers(-4, 3)), -1), letters, fill=level, font=ImageFont.load_default(thick)
    )
    at = 0 if random.random() < 0.5 else h - thick
    made[at : at + thick] = np.asarray(band)
    return made


def bordered(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A plain border along two edges that meet, over 5 to 15 % of the image together."""
    made, (h, w) = np.array(image), image.shape
    share = random.uniform(0.05, 0.15)
    part = random.uniform(0.3, 0.7) * share
    down, across = max(1, int(h * part)), max(1, int(w * (share - part)))
    level = random.choice([0, 128, 255])
    turned = np.rot90(made, int(random.integers(4)))  # a view
    turned[:down], turned[:, :across] = level, level
    return made


def cropped_and_captioned(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirrored or not, then cropped, captioned, brightened and compressed."""
    changes = [cropped, captioned, brightened, compressed]
    for change in [flipped, *changes] if random.random() < 0.5 else changes:
        image = change(image, random)
    return image


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
CHANGES: dict[str, Change] = {
    "same": lambda image, random: image,
    **{
        change.__name__: change
        for change in (
            *(flipped, brightened, contrasted, compressed, shifted, everything),
            *(cropped, shifted_far, captioned, bordered, cropped_and_captioned),
        )
    },
}
