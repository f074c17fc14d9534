"""Pictures of every colour mode become the same pixels; what cannot be read is told in one sentence, never a crash."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_jax.data.pictures import telephone_decoders
from repro.use.recognition import pictures
from repro.use.recognition.errors import PictureError
from repro.use.recognition.pictures import open_picture, read_picture

GRAY = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
COLOUR = np.stack([GRAY, GRAY[::-1], 255 - GRAY], axis=2)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(payload: bytes, name: str, **limits: Any) -> np.ndarray:
    """uint8 RGB (H, W, 3)."""
    return np.asarray(open_picture(payload, name, **limits).convert("RGB"))


def sixteen_bits() -> Image.Image:
    return Image.fromarray(GRAY.astype(np.uint16) * 257)


LOSSLESS = {
    "gray": (encoded(Image.fromarray(GRAY)), GRAY),
    "colour": (encoded(Image.fromarray(COLOUR)), COLOUR),
    "palette": (encoded(Image.fromarray(GRAY).convert("P")), GRAY),
    "two tones": (encoded(Image.fromarray(GRAY > 100)), np.where(GRAY > 100, 255, 0)),
    "16 bits": (encoded(sixteen_bits()), GRAY),
    "16 bits, TIFF": (encoded(sixteen_bits(), "TIFF"), GRAY),
    "16 bits, PGM": (encoded(sixteen_bits().convert("I"), "PPM"), GRAY),
    "CMYK, TIFF": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"), COLOUR),
    "BMP": (encoded(Image.fromarray(COLOUR), "BMP"), COLOUR),
    "WebP": (encoded(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR),
    "the first frame of an animation": (
        encoded(Image.fromarray(GRAY), "GIF", save_all=True, append_images=[Image.new("L", (20, 12), 255)]),
        GRAY,
    ),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_colour_mode_becomes_the_same_rgb(name: str) -> None:
    payload, expected = LOSSLESS[name]
    picture = decoded(payload, name)
    assert (picture.dtype, picture.shape) == (np.uint8, (12, 20, 3))
    if expected.ndim == 2:
        assert open_picture(payload, name).convert("L").tobytes() == expected.astype(np.uint8).tobytes()
        expected = expected[:, :, None]
    assert np.abs(picture.astype(int) - expected).max() == 0


def test_jpeg_in_gray_and_cmyk_is_as_near_as_jpeg_can_be() -> None:
    smooth = np.repeat(np.linspace(20, 220, 64).astype(np.uint8)[None], 48, axis=0)
    for mode in ("L", "RGB", "CMYK"):
        picture = decoded(encoded(Image.fromarray(smooth).convert(mode), "JPEG", quality=95), mode)
        assert np.abs(picture.astype(int) - smooth[:, :, None]).max() <= 6, mode


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = Image.fromarray(np.dstack([COLOUR, np.where(GRAY < 120, 0, 255).astype(np.uint8)]))
    if mode == "P":
        payload = encoded(Image.fromarray(GRAY).convert("P"), transparency=bytes([0] * 120 + [255] * 136))
    else:
        payload = encoded(image.convert(mode))
    picture = decoded(payload, mode)
    assert (picture[GRAY < 120] == 255).all()
    assert (picture[GRAY >= 120] != 255).any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # What the viewer must see, stored as a camera held in that way stores it.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(COLOUR)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    assert (decoded(encoded(stored, exif=exif), "turned") == COLOUR).all()


def test_broken_exif_does_not_spoil_a_picture() -> None:
    payload = encoded(Image.fromarray(COLOUR), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (decoded(payload, "odd") == COLOUR).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
def test_a_file_that_was_cut_off_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    payload = encoded(Image.fromarray(noise), kind)
    for length in (0, 1, 10, len(payload) // 3, len(payload) * 2 // 3):
        with pytest.raises(PictureError, match=r"^cut\.x: "):
            decoded(payload[:length], "cut.x")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]))
def test_random_damage_gives_a_picture_or_an_error_and_nothing_else(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    payload = bytearray(encoded(Image.fromarray(COLOUR), kind))
    for at in random.integers(0, len(payload), random.integers(1, 8)):
        payload[at] = random.integers(256)
    try:
        picture = decoded(bytes(payload), "damaged", max_pixels=1_000_000)
    except PictureError as error:
        assert str(error).startswith("damaged: ") and "\n" not in str(error)
    else:
        assert picture.dtype == np.uint8 and picture.ndim == 3


def test_a_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (8_000, 10_000, 60_000):  # below Pillow's own limit, beyond it, and beyond twice that
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        with pytest.raises(PictureError, match=r"bomb: .*more.*than the 50,000,000.*make it smaller"):
            decoded(b"\x89PNG\r\n\x1a\n" + data, "bomb")


def test_the_limit_of_pixels_can_be_set() -> None:
    payload, _ = LOSSLESS["gray"]
    assert decoded(payload, "small", max_pixels=240).shape == (12, 20, 3)
    with pytest.raises(PictureError, match="20 x 12 pixels are more than the 239"):
        decoded(payload, "small", max_pixels=239)


def test_pixels_without_a_known_range_are_refused() -> None:
    with pytest.raises(PictureError, match="no known range"):
        decoded(encoded(Image.fromarray(GRAY.astype(np.float32)), "TIFF"), "science.tif")


def test_what_is_no_readable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PictureError, match=r"absent\.png: cannot be read \(No such file"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(PictureError, match="not a file"):
        read_picture(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")  # opened, it would wait for ever
    with pytest.raises(PictureError, match="not a file"):
        read_picture(tmp_path / "pipe.png")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(PictureError, match="a picture of the kind HEIC"):
        read_picture(tmp_path / "photo.heic")
    (tmp_path / "long.png").write_bytes(LOSSLESS["gray"][0])
    assert read_picture(tmp_path / "long.png").size == (20, 12)
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    with pytest.raises(PictureError, match="bytes are more than the 50"):
        read_picture(tmp_path / "long.png")


def test_a_jpeg_of_a_hundred_megapixels_is_decoded_smaller() -> None:
    picture = Image.fromarray(np.full((600, 1000), 90, np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    for most, size in ((600_000, (1000, 600)), (599_999, (500, 300)), (40_000, (250, 150)), (10_000, (125, 75))):
        found = open_picture(buffer.getvalue(), "large", max_pixels=most, may_reduce=True)
        assert found.size == size
        assert found.getextrema() == (90, 90)
    with pytest.raises(PictureError, match="1000 x 600 pixels are more than the 9,000"):
        open_picture(buffer.getvalue(), "large", max_pixels=9_000, may_reduce=True)
    with pytest.raises(PictureError, match="1000 x 600 pixels are more than the 599,999"):
        open_picture(buffer.getvalue(), "large", max_pixels=599_999)  # of a stranger's picture: `serve`


def test_limits_of_pillow_are_left_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # its error begins at twice that
    filters = list(warnings.filters)
    jpeg = encoded(Image.fromarray(np.full((600, 1000), 90, np.uint8)), "JPEG")
    assert open_picture(jpeg, "large").size == (1000, 600)
    assert open_picture(jpeg, "large", max_pixels=10_000, may_reduce=True).size == (125, 75)
    assert open_picture(encoded(Image.new("L", (40, 40))), "warned about").size == (40, 40)
    with pytest.raises(PictureError, match="large: has more pixels"):
        open_picture(encoded(Image.new("L", (50, 50))), "large")
    assert (warnings.filters, Image.MAX_IMAGE_PIXELS) == (filters, 1_000)


def test_import_changes_nothing_of_the_process() -> None:
    program = """
import warnings
import numpy  # has filters of its own
from PIL import Image
before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
import repro.use.recognition.pictures
assert before == (Image.MAX_IMAGE_PIXELS, list(warnings.filters)), warnings.filters
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(buffer, "JPEG", progressive=True)
    assert open_picture(buffer.getvalue(), "progressive").size == (48, 48)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
    with pytest.raises(PictureError, match=r"a JPEG of \d,\d\d\d scans"):
        open_picture(buffer.getvalue()[:-2] + 3000 * scan + b"\xff\xd9", "many scans")


@pytest.mark.parametrize("brand", [b"heic", b"avif"])
def test_pictures_of_telephones_are_read_or_the_reason_is_said(tmp_path: Path, brand: bytes) -> None:
    kind = brand.decode().upper()
    path = tmp_path / f"x.{brand.decode()}"
    path.write_bytes(b"\x00\x00\x00\x18ftyp" + brand + bytes(40))
    decoder = {"HEIC": "HEIF"}.get(kind, kind)
    says = "damaged" if decoder in telephone_decoders() else f"a picture of the kind {kind}, .*convert it to JPEG"
    with pytest.raises(PictureError, match=says):
        read_picture(path)
    with pytest.raises(PictureError, match=f"a picture of the kind {kind}, .*convert it to JPEG"):
        open_picture(path.read_bytes(), "x", formats=("PNG",))


@pytest.mark.skipif("AVIF" not in telephone_decoders(), reason="Pillow was built without AVIF")
def test_avif_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "x.avif", quality=90)
    found = read_picture(tmp_path / "x.avif")
    assert found.size == (60, 40)
    pixels = np.asarray(found).astype(int)
    assert pixels.shape == (40, 60, 3) and np.abs(pixels - 90).max() < 4
