"""From the gray faces of FER-2013 to what a network takes: size, interpolation, channels, layout, scale, mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec
import numpy as np

from fer_jax.vocabulary.counted import counted
from repro.evaluation.errors import EvaluationError

Interpolation = Literal["nearest", "bilinear", "bicubic", "area", "lanczos"]
Layout = Literal["nhwc", "nchw", "nhw", "flat"]
Source = Literal["given", "metadata", "shape", "assumed", "search"]
INTERPOLATIONS, LAYOUTS = get_args(Interpolation), get_args(Layout)
FER_SIZE = 48
BYTE = 1 / 255
LARGEST_SIZE = 1024


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """A face is resized, repeated over the channels, and each value x becomes (x * scale - mean) / deviation.

    height, width: pixels. interpolation: as Pillow defines it on bytes, rounded to bytes; `area` is the box filter.
    mean, deviation: one number, or one per channel. layout: the order of the axes; `flat` is one axis per face.
    """

    height: int = FER_SIZE
    width: int = FER_SIZE
    interpolation: Interpolation = "bilinear"
    channels: int = 1
    layout: Layout = "nhwc"
    scale: float = BYTE
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not (1 <= self.height <= LARGEST_SIZE and 1 <= self.width <= LARGEST_SIZE):
            raise ValueError(f"a size of {self.height} x {self.width}; 1 to {LARGEST_SIZE} pixels are possible")
        if self.channels not in (1, 3):
            raise ValueError(f"{counted(self.channels, 'channel')}; 1 (gray) and 3 (gray, three times) are possible")
        for name in ("mean", "deviation"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(
                    f"{name}: {counted(len(getattr(self, name)), 'number')} for {self.channels} channel(s)"
                )
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.deviation))) or 0 in (self.scale, *self.deviation):
            raise ValueError("scale and deviation must be finite and not 0")

    def words(self) -> str:
        """In one line."""
        size = f"{self.height} x {self.width}" if self.height != self.width else f"{self.height}"
        shape = f"{size} pixels, {self.channels} channel{'s' * (self.channels > 1)}, {self.layout}"
        resized = "" if (self.height, self.width) == (FER_SIZE,) * 2 else f", {self.interpolation}"
        return f"{shape}{resized}, {formula(self.scale, self.mean, self.deviation)}"


def formula(scale: float, mean: Sequence[float], deviation: Sequence[float]) -> str:
    """The arithmetic on a pixel x, in words."""
    value = "x" if scale == 1 else "x / 255" if math.isclose(scale, BYTE) else f"{scale:g} x"
    moved = value if not any(mean) else f"({value} - {_numbers(mean)})"
    return moved if all(one == 1 for one in deviation) else f"{moved} / {_numbers(deviation)}"


def _numbers(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in values)
    return shown if len(values) == 1 else f"[{shown}]"


def prepared(faces_NHW: np.ndarray, how: Preprocessing, dtype: str) -> np.ndarray:
    """What the network takes. faces_NHW: uint8 (N, H, W). dtype: of the network's input, such as "float32" or "uint8";
    whole numbers are rounded and cut off at the ends of the type."""
    values = resized(faces_NHW, how.height, how.width, how.interpolation).astype(np.float32)[..., None]
    mean, deviation = (np.asarray(one, np.float32) for one in (how.mean, how.deviation))
    if how.channels > 1:
        values = np.repeat(values, how.channels, axis=-1)
    if how.scale != 1:
        values = values * np.float32(how.scale)
    if mean.any():
        values = values - mean
    if (deviation != 1).any():
        values = values / deviation
    match how.layout:
        case "nchw":
            values = values.transpose(0, 3, 1, 2)
        case "nhw":
            values = values[..., 0]
        case "flat":
            values = values.reshape(len(values), -1)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return np.ascontiguousarray(values.astype(kind))


def resized(faces_NHW: np.ndarray, height: int, width: int, interpolation: Interpolation) -> np.ndarray:
    """uint8 (N, height, width); the same array if nothing changes."""
    if faces_NHW.shape[1:] == (height, width):
        return faces_NHW
    from PIL import Image

    how = {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "area": Image.Resampling.BOX,
        "lanczos": Image.Resampling.LANCZOS,
    }[interpolation]
    out = np.empty((len(faces_NHW), height, width), np.uint8)
    for place, face in enumerate(faces_NHW):
        out[place] = np.asarray(Image.fromarray(face).resize((width, height), how))
    return out


# --- what the shape of a network's input says ------------------------------------------------------------------------

Dims = tuple[int | None, ...]


def from_shape(dims: Dims, usual: Layout, where: str) -> dict[str, object]:
    """The settings that the shape of an input without its first axis says; None in `dims` is any size.

    usual: the layout of this kind of file, if the shape has no axis of 1 or 3. Raises EvaluationError for a shape that
    no face fits.
    """
    match dims:
        case (int() as length,):
            for channels in (1, 3):
                side = math.isqrt(length // channels)
                if side**2 * channels == length:
                    return {"layout": "flat", "height": side, "width": side, "channels": channels}
            raise EvaluationError(
                f"{where}: takes {counted(length, 'number')} per face, which is not a square of pixels"
            )
        case (height, width):
            return _sized({"layout": "nhw", "channels": 1}, height, width)
        case (a, b, c):
            first, last = a in (1, 3), c in (1, 3)
            layout = "nchw" if first and not last else "nhwc" if last and not first else usual
            channels, height, width = (a, b, c) if layout == "nchw" else (c, a, b)
            if channels not in (1, 3, None):
                raise EvaluationError(
                    f"{where}: takes {counted(channels, 'channel')}; a gray face has 1, or 3 that are alike"
                )
            return _sized({"layout": layout, **({"channels": channels} if channels else {})}, height, width)
    raise EvaluationError(f"{where}: takes an input of shape {dims} per face, which is not an image")


def _sized(found: dict[str, object], height: int | None, width: int | None) -> dict[str, object]:
    if height is None or width is None:
        return found
    return {**found, "height": height, "width": width}
