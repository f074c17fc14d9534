"""How to read the lines of one csv file: found out from its first line."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import decoding
from fer_jax.data.formats.image import PIXELS
from fer_jax.data.formats.names import emotion_label

LONGEST_LINE = 1 << 20
_PIXEL_COLUMN = re.compile(r"(?:pixel|px|p)?[ _.-]?\d{1,4}")
_NAMES = {
    "pixels": ("pixels", "pixel", "image"),
    "emotion": ("emotion", "emotions", "label", "labels", "class", "expression", "target"),
    "usage": ("usage", "split", "set"),
}


@dataclass(frozen=True)
class CsvColumns:
    """Column positions (None if absent) and separators. pixel_columns: 1, or 2,304 side by side from `pixels` on.
    first_line: the number of the line after the header, counted from 1."""

    columns: int
    pixels: int
    pixel_columns: int
    emotion: int | None
    usage: int | None
    delimiter: bytes
    terminator: bytes
    data_start: int
    first_line: int = 2


def line_place(path: Path, line: int) -> str:
    return f"{path}, line {line:,} (the header is line 1)"


def read_layout(path: Path) -> CsvColumns:
    """The columns of a CSV file, from its first line. DataError if that line is not a header of FER-2013."""
    with path.open("rb") as stream:
        head = stream.read(LONGEST_LINE)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path}: the file is empty")
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    first_line = 2
    line, terminator, after = _line(head, start)
    excel, said = None, re.fullmatch(rb'"?sep=(.)"?\s*', line)  # Excel's own first line
    while said or (not line.strip() and after < len(head)) or line.startswith(b"#"):
        line, terminator, after = _line(head, after)
        first_line += 1
        excel, said = said or excel, None
    text = _text(path, line, first_line - 1)
    delimiter = excel[1].decode("latin-1") if excel else next((d for d in ",;\t|" if d in text), ",")
    with decoding(line_place(path, first_line - 1), "not a header of columns", "save the file as plain csv"):
        names = [name.strip().lower() for name in next(csv.reader([text], delimiter=delimiter), [])]
    pixels, width, emotion, usage = _columns(line_place(path, first_line - 1), names)
    return CsvColumns(
        len(names),
        pixels,
        width,
        emotion,
        usage,
        delimiter.encode(),
        terminator,
        data_start=after,
        first_line=first_line,
    )


def _line(head: bytes, start: int) -> tuple[bytes, bytes, int]:
    """A line, its terminator and where the next one begins."""
    ends = [i for i in (head.find(b"\n", start), head.find(b"\r", start)) if i >= 0]
    end = min(ends, default=len(head))
    terminator = b"\r" if head[end : end + 1] == b"\r" and head[end + 1 : end + 2] != b"\n" else b"\n"
    return head[start:end], terminator, end + (2 if head[end : end + 2] == b"\r\n" else 1)


def _text(path: Path, line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{line_place(path, number)}: not UTF-8 text; save the file as UTF-8") from error
    if "\0" in text:
        raise DataError(
            f"{line_place(path, number)}: holds a NUL byte, so it is not plain text, or is UTF-16; save it as UTF-8"
        )
    return text


def _columns(place: str, names: list[str]) -> tuple[int, int, int | None, int | None]:
    """Places of the pixels, their columns, the emotion and the usage."""
    found = ", ".join(name[:30] or "(blank)" for name in names[:8]) + (", ..." if len(names) > 8 else "")
    needed = "expected emotion, pixels and Usage (train.csv has no Usage, test.csv only pixels)"
    place_of: dict[str, int] = {}
    for role, known in _NAMES.items():
        places = [i for i, name in enumerate(names) if name in known]
        exact = [i for i in places if names[i] == known[0]] or places
        if len(exact) > 1:
            raise DataError(f"{place}: a column appears twice in {found}; {needed}")
        if exact:
            place_of[role] = exact[0]
    width = 1
    if "pixels" not in place_of:
        numbered = [i for i, name in enumerate(names) if _PIXEL_COLUMN.fullmatch(name)]
        if len(numbered) == PIXELS and numbered[-1] - numbered[0] == PIXELS - 1:
            place_of["pixels"], width = numbered[0], PIXELS
    if names and names[0].lstrip("-").isdigit() and any(name.count(" ") > PIXELS // 2 for name in names):
        raise DataError(f"{place}: a row where the header should be; write emotion,pixels,Usage above it")
    if "emotion" not in place_of and sum(emotion_label(name) is not None for name in names) > 1:
        raise DataError(
            f"{place}: the columns are {found}; one column emotion with a number or a name is needed instead of a "
            "column for each emotion"
        )
    if "pixels" not in place_of or ("usage" in place_of and "emotion" not in place_of):
        raise DataError(f"{place}: the columns are {found}; {needed}")
    return place_of["pixels"], width, place_of.get("emotion"), place_of.get("usage")
