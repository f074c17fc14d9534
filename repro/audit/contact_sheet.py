"""Pairs of faces side by side, to check by eye. The sheet shows faces of the dataset: do not publish it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.duplicates.search import Pairs
from fer_jax.machine.atomic_write import placed_whole
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES

_FACE_PX = 144  # each face on the sheet
_GAP_PX = 8
_LINE_PX = 16
_COLUMNS = 4
_CELL_PX = (2 * _FACE_PX + 3 * _GAP_PX, _FACE_PX + 4 * _LINE_PX + 2 * _GAP_PX)  # width, height


def worst_first(faces: Faces, pairs: Pairs) -> Pairs:
    """Pairs across splits with different labels first, then across splits, then with different labels; by score."""
    across = faces.usage[pairs.row_a] != faces.usage[pairs.row_b]
    torn = faces.labels[pairs.row_a] != faces.labels[pairs.row_b]
    return pairs.take(np.lexsort((pairs.row_b, pairs.row_a, -pairs.score, ~torn, ~across)))


def contact_sheet(path: Path, faces: Faces, pairs: Pairs, count: int = 48) -> int:
    """Write a PNG of the `count` worst pairs with rows, splits, labels, score and change beneath; return how many.

    Creates the folder if needed. Raises DataError if the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = worst_first(faces, pairs).take(np.arange(min(count, len(pairs))))
    lines = max(1, -(-len(shown) // _COLUMNS))
    sheet = Image.new("L", (_COLUMNS * _CELL_PX[0], lines * _CELL_PX[1]), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for k in range(len(shown)):
        x, y = k % _COLUMNS * _CELL_PX[0] + _GAP_PX, k // _COLUMNS * _CELL_PX[1] + _GAP_PX
        for row in (int(shown.row_a[k]), int(shown.row_b[k])):
            face = Image.fromarray(np.ascontiguousarray(faces.images[row]))
            sheet.paste(face.resize((_FACE_PX, _FACE_PX), Image.Resampling.NEAREST), (x, y))
            below = f"row {row}\n{USAGES[faces.usage[row]]}\n{_emotion(int(faces.labels[row]))}"
            draw.multiline_text((x, y + _FACE_PX), below, fill=0, font=font, spacing=2)
            x += _FACE_PX + _GAP_PX
        left = x - 2 * (_FACE_PX + _GAP_PX)
        draw.text((left, y + _FACE_PX + 3 * _LINE_PX), _verdict(shown, k), fill=0, font=font)
    try:
        with placed_whole(path) as aside:
            sheet.save(aside, "PNG")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); name another folder") from error
    return len(shown)


def _emotion(label: int) -> str:
    return EMOTIONS[label] if label < len(EMOTIONS) else "no label"


def _verdict(pairs: Pairs, k: int) -> str:
    if pairs.exact[k]:
        return "exact: all pixels equal"
    mirrored = ", mirrored" if pairs.mirrored[k] else ""
    moved = f", shift {pairs.dx[k]:+d} {pairs.dy[k]:+d}" if pairs.dx[k] or pairs.dy[k] else ""
    return f"near: {pairs.score[k]:.3f}{mirrored}{moved}"
