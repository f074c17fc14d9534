"""One encoded image (PNG, JPEG, BMP, WebP) to a gray face of 48 x 48 pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import LARGEST_IMAGE, decoding
from fer_jax.data.pictures import not_decoded, opaque, telephone_format, too_many_scans, upright
from fer_jax.vocabulary.counted import counted

SIDE = 48
PIXELS = SIDE * SIDE
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_KINDS = "PNG, JPEG, BMP or WebP"
_MODES = ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def decode_face(data: bytes, place: str) -> tuple[np.ndarray, bool]:
    """uint8 (48, 48) and whether colour was converted to gray (ITU-R 601 luma, Pillow's mode L).

    Rotated upright by its Exif orientation; transparent areas become white. The size is read from the header and
    checked before any pixel is decoded, so that an image of terabytes costs nothing. DataError naming ``place`` if the
    data are not an image, are damaged, or have another size.
    """
    if len(data) > LARGEST_IMAGE:
        raise DataError(
            f"{place}: {counted(len(data), 'byte')}; a face of {SIDE} x {SIDE} pixels has at most {LARGEST_IMAGE:,}"
        )
    if kind := telephone_format(data):
        raise DataError(f"{place}: {not_decoded(kind)}")
    if scans := too_many_scans(data):
        raise DataError(f"{place}: a JPEG of {scans:,} scans; no camera or program writes this many")
    with decoding(place, f"not a readable {_KINDS} image"):
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except UnidentifiedImageError as error:
            raise DataError(f"{place}: {'an empty file, ' if not data else ''}not a readable {_KINDS} image") from error
        with image:
            return _gray(image, place)


def _gray(image: Image.Image, place: str) -> tuple[np.ndarray, bool]:
    if image.size != (SIDE, SIDE):
        width, height = image.size
        raise DataError(
            f"{place}: {width} x {height} pixels; a face of FER-2013 has {SIDE} x {SIDE}. Resized copies are "
            "other data: use the original, or resize it back yourself"
        )
    if image.mode not in _MODES:
        raise DataError(f"{place}: pixels of mode {image.mode}; accepted are 8-bit gray and colour")
    image.load()
    shown = opaque(upright(image))
    return (np.array(shown), False) if shown.mode == "L" else (np.array(shown.convert("L")), True)


def conversion_note(converted: int) -> tuple[str, ...]:
    """The note on images that were not gray."""
    return (f"{counted(converted, 'image')} converted from colour to gray",) if converted else ()
