"""Small datasets in the forms that people have, and files that are made to exhaust the machine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from fer_jax.vocabulary.fer2013 import EMOTIONS

SIDE = 48


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def pixel_text(seed: int) -> str:
    return " ".join(map(str, face(seed).ravel().tolist()))


def encoded(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def write_images(root: Path, names: dict[str, int], kind: str = "PNG") -> Path:
    """names: path below root, and the seed of its face."""
    for name, seed in names.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(face(seed), kind))
    return root


def split_of(split: str, start: int, stem: str = "") -> dict[str, int]:
    """One image per emotion, numbered from `start`."""
    return {f"{split}/{name}/{stem}{start + i}.png": start + i for i, name in enumerate(EMOTIONS)}


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header that claims any size; GNU's base 256 beyond 8 GiB."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)
