"""One encoded image (PNG, JPEG, BMP) to a gray face of 48 x 48 pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_jax.data.faces import DataError
from fer_jax.data.formats.csv_file import SIDE

_FORMATS = ("PNG", "JPEG", "BMP")
_COLOUR_MODES = ("1", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def decode_face(data: bytes, place: str) -> tuple[np.ndarray, bool]:
    """uint8 (48, 48) and whether colour was converted to gray (ITU-R 601 luma, Pillow's mode L).

    The size is read from the header and checked before any pixel is decoded, so that an image of terabytes costs
    nothing. DataError naming ``place`` if the data is no image, damaged, or of another size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.size != (SIDE, SIDE):
                width, height = image.size
                raise DataError(
                    f"{place}: {width} x {height} pixels; a face of FER-2013 has {SIDE} x {SIDE}. Resized copies are "
                    "other data: use the original, or resize it back yourself"
                )
            if image.mode == "L":
                return np.array(image), False
            if image.mode not in _COLOUR_MODES:
                raise DataError(f"{place}: pixels of mode {image.mode}; accepted are 8-bit gray and colour")
            return np.array(image.convert("L")), True
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{place}: not a readable PNG, JPEG or BMP image") from error
    except Exception as error:  # Pillow raises many kinds (SyntaxError, struct.error, ...) for damaged files
        raise DataError(f"{place}: not a readable PNG, JPEG or BMP image ({error})") from error


def conversion_note(converted: int) -> tuple[str, ...]:
    """The note on images that were not gray."""
    return (f"{converted:,} images were stored in colour and converted to gray",) if converted else ()
