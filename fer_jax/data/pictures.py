"""How encoded pictures become upright pixels without transparency: the same in an import and in recognition."""

from __future__ import annotations

import importlib

from PIL import Image, ImageOps, features

_ORIENTATION = 0x0112  # the Exif tag
# A progressive JPEG has about ten scans. Empty ones cost no bytes, and each takes as long as the whole picture.
MOST_SCANS = 100
_SCAN = b"\xff\xda"
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC"}
_CONVERT = (
    "convert it to JPEG or PNG (on an iPhone: Settings, Camera, Formats, Most Compatible; on a Mac: Preview, Export)"
)


def upright(image: Image.Image) -> Image.Image:
    """Rotated as its Exif says; unchanged if the Exif is broken, as in every viewer."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:
        return image
    return ImageOps.exif_transpose(image) if turned else image


def opaque(image: Image.Image) -> Image.Image:
    """On white if it has transparent areas, then RGB; unchanged otherwise."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def too_many_scans(data: bytes, most: int = MOST_SCANS) -> int | None:
    """The number of scans of a JPEG that has more than `most`, otherwise None.

    In compressed data a byte 0xff is always followed by 0, so that the marker of a scan is found by its two bytes.
    """
    scans = data.count(_SCAN) if data.startswith(b"\xff\xd8") else 0
    return scans if scans > most else None


def telephone_format(data: bytes) -> str | None:
    """'HEIC' or 'AVIF' by the first bytes of a file, otherwise None."""
    return _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None


def telephone_decoders() -> tuple[str, ...]:
    """Pillow's names of the formats of telephones that can be read here: AVIF if Pillow was built with it, HEIF if the
    package pillow-heif is installed."""
    found = ["AVIF"] if features.check("avif") else []
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return tuple(found)
    return (*found, "HEIF")


def not_decoded(kind: str) -> str:
    """Why a HEIC or AVIF picture is not read, and what to do."""
    needed = "pip install 'fer-repro[heic]'" if kind == "HEIC" else "a Pillow that is built with AVIF"
    return f"a picture of the kind {kind}, which is not read without another package: {needed}; or {_CONVERT}"
