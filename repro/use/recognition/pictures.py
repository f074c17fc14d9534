"""Decodes images within limits: a file from a stranger or a folder must not exhaust the machine."""

from __future__ import annotations

import io
import stat
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from fer_jax.data.pictures import (
    MOST_SCANS,
    not_decoded,
    opaque,
    telephone_decoders,
    telephone_format,
    too_many_scans,
    upright,
)
from fer_jax.vocabulary.counted import counted
from repro.use.recognition.errors import PictureError

# Fixed, because every further decoder is an attack surface for a crafted file. JPEG includes MPO, written by phones.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SUFFIXES += (".pgm", ".ppm", ".pbm", ".pnm")
# Read only if a decoder is installed, or not at all: a row with the reason is more useful than silence.
OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2")
MAX_PIXELS = 50_000_000  # more than most cameras have; 150 MB once decoded
# JPEG pictures with more pixels are decoded at a half, a quarter or an eighth of their size. Beyond this the compressed
# values alone take too much: three bytes per pixel in a progressive one.
MAX_REDUCED_PIXELS = 250_000_000
MAX_BYTES = 100_000_000

_FULL_SIZE = "full size"  # in Pillow's `info` of an image

_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")  # 16 bits of gray
_filters = threading.Lock()  # the filters of warnings belong to the process


def open_picture(
    payload: bytes,
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MOST_SCANS,
    formats: tuple[str, ...] = FORMATS,
    may_reduce: bool = False,
) -> Image.Image:
    """A Pillow image of an encoded one of any colour mode: mode L if it is gray, otherwise RGB.

    It is the first frame of an animation, rotated upright by its Exif orientation. Transparent areas become white, 16
    bits become 8. The size is read from the header and checked before any pixel is decoded. may_reduce: a JPEG of more
    than `max_pixels`, and at most MAX_REDUCED_PIXELS, is decoded at a half, a quarter or an eighth of its size. That
    still reads all of its compressed values, so a server must not do it for a stranger.

    Raises PictureError, one sentence that begins with `name`, for data that are not an image of `formats`, are damaged
    or cut off, or have more than `max_pixels` or `max_scans`.
    """
    if scans := too_many_scans(payload, max_scans):
        raise PictureError(f"{name}: a JPEG of {scans:,} scans; no camera or program writes this many")
    kind = telephone_format(payload)
    if kind and {"HEIC": "HEIF"}.get(kind, kind) not in formats:
        raise PictureError(f"{name}: {not_decoded(kind)}")
    try:
        with _opened(payload, formats) as image:
            size = image.size
            _check_size(image, name, max_pixels, may_reduce)
            image.load()
            return _with_full_size(_eight_bits(upright(image)), image.size, size)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{name}: damaged, or none of the kinds that are read: {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{name}: has more pixels than the {max_pixels:,} that are read; make it smaller") from None
    except MemoryError:
        raise PictureError(f"{name}: does not fit into memory; make it smaller") from None
    except Exception as error:  # Pillow raises many kinds (SyntaxError, struct.error, ...) for damaged files
        raise PictureError(f"{name}: damaged, or of an unknown kind ({error})") from None


def _opened(payload: bytes, formats: tuple[str, ...]) -> Image.Image:
    """The image with its header read, whatever size it names. Raises what Image.open raises.

    Image.open has its own limits: a warning, and an error beyond twice that. They are globals of the process, which
    are its user's to set, and lower than MAX_REDUCED_PIXELS. So a JPEG, the only format that can be reduced, goes to
    its decoder directly, and the warning is dropped: `_check_size` refuses smaller images than it.
    """
    if payload.startswith(b"\xff\xd8\xff") and "JPEG" in formats:
        try:
            return JpegImagePlugin.JpegImageFile(io.BytesIO(payload))
        except SyntaxError as error:  # Pillow's word for a header that it cannot read
            raise UnidentifiedImageError(str(error)) from None
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(payload), formats=formats)


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """`open_picture` of a file. Also raises PictureError if it cannot be read or has more than MAX_BYTES."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # before it is opened: a pipe would never end, or never begin
            raise PictureError(f"{path}: not a file")
        if found.st_size > MAX_BYTES:
            raise PictureError(
                f"{path}: {counted(found.st_size, 'byte')} are more than the {MAX_BYTES:,} that are "
                "read; make it smaller"
            )
        payload = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error})") from None
    return open_picture(
        payload, str(path), max_pixels=max_pixels, formats=(*FORMATS, *telephone_decoders()), may_reduce=True
    )


def _check_size(image: Image.Image, name: str, max_pixels: int, may_reduce: bool) -> None:
    """Have a JPEG decoded small enough, if it may be. PictureError for other images of more than `max_pixels`."""
    width, height = image.size
    if width * height <= max_pixels:
        return
    for share in (2, 4, 8) if may_reduce else ():
        smaller = (-(-width // share), -(-height // share))
        if smaller[0] * smaller[1] <= max_pixels and width * height <= MAX_REDUCED_PIXELS:
            image.draft(None, smaller)  # does nothing for formats other than JPEG
            if image.size[0] * image.size[1] <= max_pixels:
                return
    raise PictureError(
        f"{name}: {width} x {height} pixels are more than the {max_pixels:,} that are read; make it smaller"
    )


def full_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of the upright picture before it was reduced in decoding."""
    return picture.info.get(_FULL_SIZE, picture.size)


def _with_full_size(picture: Image.Image, decoded: tuple[int, int], full: tuple[int, int]) -> Image.Image:
    """With a note for `full_size`, if a picture of size `full` was decoded to another one and then turned upright."""
    if decoded != full:
        turned = picture.size != decoded
        picture.info[_FULL_SIZE] = full[::-1] if turned else full
    return picture


def _eight_bits(image: Image.Image) -> Image.Image:
    """Mode L for gray images, otherwise RGB. Raises ValueError for pixels of unknown range."""
    if image.mode in _WIDE_MODES or (image.mode == "I" and image.format == "PPM"):
        # Pillow's own conversion clips at 255 instead of scaling.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range")
    image = opaque(image)
    return image.convert("L" if image.mode == "1" else "RGB")
