"""Pixels written as text to numbers: by arithmetic on whole arrays, or one number at a time.

A block of about 30 rows is joined into one byte array in which every pixel is one to three digits before one blank.
The values then come from digit arithmetic on whole arrays. If a block does not have that plain form, it is parsed again
row by row in Python, which either accepts it (double blanks, leading zeros) or says which row is wrong and why.
"""

from __future__ import annotations

import re

import numpy as np

from fer_jax.data.faces import DataError
from fer_jax.data.formats.image import PIXELS

SHORTEST_ROW = 2 * PIXELS - 1  # bytes of 2,304 one-digit pixels and the 2,303 blanks between them
# What is around numbers: brackets and line ends of a printed list or array, and other separators than blanks.
_MARKS = bytes.maketrans(b"[](),;'\"\r\n\t", b" " * 11)
_FILE_NAME = re.compile(rb"\.(png|jpe?g|bmp|webp|gif|tiff?|pgm|npy)$", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(rb"(\d{1,10})\.0*")


class PlainConverter:
    """Pixels from text of the plain form, by arithmetic on whole arrays.

    The working arrays are kept from block to block: fresh ones would cost a page fault for every 4 KiB, which takes
    longer than the arithmetic.
    """

    def __init__(self) -> None:
        self._scratch = np.empty((6, 0), np.uint8)

    def convert(self, fields: list[bytes], out: np.ndarray) -> bool:
        """Write the pixels of stripped fields to ``out``, uint8 (len(fields), 2304).

        False, with ``out`` undefined, unless every field is 2,304 numbers of one to three digits, 0 to 255, with one
        blank between them.
        """
        text = np.frombuffer(b" ".join(fields) + b" ", np.uint8)
        n = len(text)
        if n > self._scratch.shape[1]:
            self._scratch = np.empty((6, n + n // 4), np.uint8)
        digit, tens, hundreds, *masks = (row[:n] for row in self._scratch)
        is_digit, is_blank, mask = (row.view(np.bool_) for row in masks)
        np.subtract(text, 48, out=digit)  # bytes below '0' wrap around to 208 and more
        np.less(digit, 10, out=is_digit)
        np.equal(text, 32, out=is_blank)
        if np.count_nonzero(is_digit) + np.count_nonzero(is_blank) != n:
            return False
        if is_blank[0] or np.bitwise_and(is_blank[1:], is_blank[:-1], out=mask[1:]).any():
            return False
        start = 0
        for field in fields:
            end = start + len(field) + 1
            if np.count_nonzero(is_blank[start:end]) != PIXELS:
                return False
            start = end
        third = np.bitwise_and(is_digit[2:], is_digit[1:-1], out=mask[2:])
        third &= is_digit[:-2]  # True where a run of at least three digits ends
        digit *= is_digit
        np.multiply(digit[:-1], 10, out=tens[1:])
        np.multiply(digit[:-2], third, out=hundreds[2:])
        if hundreds[2:].max() > 2 or np.bitwise_and(third[1:], is_digit[:-3], out=is_digit[:-3]).any():
            return False
        value = digit
        value[1:] += tens[1:]
        hundreds[2:] *= 100
        value[2:] += hundreds[2:]
        # Sums are modulo 256: 256 to 299 come out as 0 to 43, so a number of three digits below 100 has wrapped around
        # (or has leading zeros, which the row-by-row way accepts).
        if np.bitwise_and(third, value[2:] < 100, out=third).any():
            return False
        np.compress(is_blank[1:], value[:-1], out=out.reshape(-1))
        return True


def plain_field(field: bytes) -> bytes:
    """A pixel field as numbers with blanks between them, whatever else separates or encloses them."""
    marked = field[:1] in (b"[", b"(", b"'") or b"," in field or b";" in field
    return b" ".join(field.translate(_MARKS).split()) if marked else field


def convert_row(field: bytes, place: str) -> list[int]:
    """The pixels of one field of any white space, one number at a time. DataError naming the offending pixel."""
    if b"..." in field[:20_000]:
        raise DataError(
            f"{place}: the pixels are shortened to '...', as NumPy prints long arrays: most values are lost. Save the "
            "data again, with ' '.join(map(str, pixels)) or numpy.savez"
        )
    if _FILE_NAME.search(field.strip()[-8:]):
        raise DataError(
            f"{place}: the name of a picture where its pixels should be; put the pictures into a folder for each "
            "emotion and import that"
        )
    values = []
    for i, token in enumerate(field.split(None, PIXELS + 1)[: PIXELS + 1], start=1):
        if not token.isdigit() and (whole := _WHOLE_FLOAT.fullmatch(token)):
            token = whole[1]
        digits = token.lstrip(b"0")
        if not token.isdigit() or len(digits) > 3 or int(digits or b"0") > 255:
            shown = token[:20].decode("ascii", "backslashreplace")
            shown = shown if token.isdigit() else repr(shown)
            raise DataError(f"{place}: pixel {i:,} is {shown}; a pixel is a whole number from 0 to 255")
        values.append(int(digits or b"0"))
    if len(values) != PIXELS:
        n = len(field.split()) if len(values) > PIXELS else len(values)
        raise DataError(f"{place}: {n:,} pixels where {PIXELS:,} (48 x 48) are needed; is the row cut off?")
    return values
