"""fer2013.csv and its relatives, parsed block by block with NumPy.

A block of about 30 rows is joined into one byte array in which every pixel is one to three digits before one blank.
The values then come from digit arithmetic on whole arrays. If a block does not have that plain form, it is parsed again
row by row in Python, which either accepts it (double blanks, leading zeros) or says which row is wrong and why.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data.faces import EMOTIONS, UNLABELLED, USAGES, DataError, Faces
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import PUBLIC_TEST, TRAINING

SIDE = 48
PIXELS = SIDE * SIDE
# 256 KiB keep the dozen temporary arrays of a block inside a core's second-level cache; 4 MiB take twice as long.
BLOCK_BYTES = 1 << 18
LONGEST_LINE = 1 << 20
SHORTEST_ROW = 2 * PIXELS - 1  # bytes of 2,304 one-digit pixels and the 2,303 blanks between them

_LABELS = {str(i).encode(): i for i in range(len(EMOTIONS))}
_USAGES = {name.lower().encode(): u for u, name in enumerate(USAGES)}


@dataclass(frozen=True)
class Layout:
    """How to read the lines of one file: column positions (None if absent) and separators."""

    columns: int
    pixels: int
    emotion: int | None
    usage: int | None
    delimiter: bytes
    terminator: bytes
    data_start: int


def _place(path: Path, line: int) -> str:
    return f"{path}, line {line:,} (the header is line 1)"


def read_layout(path: Path) -> Layout:
    """The columns of a CSV file, from its first line. DataError if that line is no header of FER-2013."""
    with path.open("rb") as stream:
        head = stream.read(LONGEST_LINE)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path}: the file is empty")
    bom = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    ends = [i for i in (head.find(b"\n"), head.find(b"\r")) if i >= 0]
    end = min(ends, default=len(head))
    terminator = b"\r" if head[end : end + 1] == b"\r" and head[end + 1 : end + 2] != b"\n" else b"\n"
    start = end + (2 if head[end : end + 2] == b"\r\n" else 1)
    try:
        line = head[bom:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{_place(path, 1)}: not UTF-8 text; save the file as UTF-8") from error
    if "\0" in line:
        raise DataError(f"{_place(path, 1)}: holds a NUL byte; this is no plain text, or UTF-16: save it as UTF-8")
    delimiter = next((d for d in ",;\t" if d in line), ",")
    names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    return Layout(
        len(names), *_columns(path, names), delimiter=delimiter.encode(), terminator=terminator, data_start=start
    )


def _columns(path: Path, names: list[str]) -> tuple[int, int | None, int | None]:
    found = ", ".join(name[:30] or "(blank)" for name in names[:8]) + (", ..." if len(names) > 8 else "")
    needed = "needed are emotion, pixels and Usage (train.csv has no Usage, test.csv only pixels)"
    place = {name: names.index(name) for name in ("pixels", "emotion", "usage") if name in names}
    if "pixels" not in place or ("usage" in place and "emotion" not in place):
        raise DataError(f"{_place(path, 1)}: the columns are {found}; {needed}")
    if any(names.count(name) > 1 for name in place):
        raise DataError(f"{_place(path, 1)}: a column stands twice in {found}; {needed}")
    return place["pixels"], place.get("emotion"), place.get("usage")


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


def convert_row(field: bytes, place: str) -> list[int]:
    """The pixels of one field of any white space, one number at a time. DataError naming the offending pixel."""
    values = []
    for i, token in enumerate(field.split(), start=1):
        if not token.isdigit():
            shown = token[:20].decode("ascii", "backslashreplace")
            raise DataError(f"{place}: pixel {i:,} is {shown!r}; a pixel is a whole number from 0 to 255")
        digits = token.lstrip(b"0")
        if len(digits) > 3 or int(digits or b"0") > 255:
            raise DataError(f"{place}: pixel {i:,} is {token[:20].decode()}; a pixel is a whole number from 0 to 255")
        values.append(int(digits or b"0"))
    if len(values) != PIXELS:
        raise DataError(f"{place}: {len(values):,} pixels where {PIXELS:,} (48 x 48) are needed; is the row cut off?")
    return values


class _Rows:
    """Collects the rows of one file, block by block."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        # Never more rows than fit into the file; pages that are not written to take no memory.
        capacity = path.stat().st_size // SHORTEST_ROW + 1
        self.images = np.empty((capacity, PIXELS), np.uint8)
        self.labels: list[int] = []
        self.usage: list[int] = []
        self.filled = 0
        self.converter = PlainConverter()

    def add(self, text: bytes, first_line: int) -> int:
        """Parse whole lines; returns their number."""
        lines = text.split(self.layout.terminator)
        plain_text = text.isascii() and b"\0" not in text
        fields: list[bytes] = []
        places: list[int] = []
        try:
            for number, line in enumerate(lines, start=first_line):
                if not line or line.isspace():
                    continue
                if not plain_text:
                    self._check_text(line, number)
                pixels = self._row(line, number)
                fields.append(pixels)
                places.append(number)
        except DataError:
            self._convert(fields, places)  # an earlier row with wrong pixels is the one to report
            raise
        self._convert(fields, places)
        return len(lines)

    def _check_text(self, line: bytes, number: int) -> None:
        if b"\0" in line:
            raise DataError(f"{_place(self.path, number)}: holds a NUL byte; the file is damaged, fetch it again")
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{_place(self.path, number)}: not UTF-8 text; the file is damaged") from error

    def _row(self, line: bytes, number: int) -> bytes:
        """Keep label and usage of one line; return its pixels as text."""
        layout = self.layout
        fields = line.split(layout.delimiter) if b'"' not in line else self._quoted(line, number)
        if len(fields) != layout.columns:
            raise DataError(
                f"{_place(self.path, number)}: {len(fields)} fields where the header has {layout.columns}; "
                "is the row cut off?"
            )
        label, usage = UNLABELLED, TRAINING if layout.emotion is not None else PUBLIC_TEST
        if layout.emotion is not None:
            label = _LABELS.get(fields[layout.emotion].strip(), UNLABELLED)
            if label == UNLABELLED:
                shown = fields[layout.emotion].strip()[:20].decode("utf-8", "backslashreplace")
                raise DataError(
                    f"{_place(self.path, number)}: emotion {shown!r}; it is a number from 0 (angry) to 6 (neutral)"
                )
        if layout.usage is not None:
            usage = _USAGES.get(fields[layout.usage].strip().lower(), -1)
            if usage < 0:
                shown = fields[layout.usage].strip()[:20].decode("utf-8", "backslashreplace")
                raise DataError(f"{_place(self.path, number)}: Usage {shown!r}; accepted are {', '.join(USAGES)}")
        self.labels.append(label)
        self.usage.append(usage)
        return fields[layout.pixels].strip()

    def _quoted(self, line: bytes, number: int) -> list[bytes]:
        reader = csv.reader(
            [line.decode("utf-8")], delimiter=self.layout.delimiter.decode(), skipinitialspace=True, strict=True
        )
        try:
            return [field.encode() for field in next(reader)]
        except csv.Error as error:
            raise DataError(f"{_place(self.path, number)}: the quotes do not match ({error})") from error

    def _convert(self, fields: list[bytes], places: list[int]) -> None:
        if not fields:
            return
        out = self.images[self.filled : self.filled + len(fields)]
        if len(out) < len(fields) or not self.converter.convert(fields, out):
            for row, (field, number) in enumerate(zip(fields, places, strict=True)):
                values = convert_row(field, _place(self.path, number))
                out[row] = values
        self.filled += len(fields)

    def faces(self) -> Faces:
        n = self.filled
        return Faces(
            self.images[:n].reshape(n, SIDE, SIDE),
            np.array(self.labels, np.uint8),
            np.array(self.usage, np.uint8),
            np.arange(n, dtype=np.int32),
        )


def read_csv(path: Path) -> Imported:
    """Read one CSV file: fer2013.csv, icml_face_data.csv, train.csv or test.csv, recognised by its header.

    Rows of a file without a Usage column are Training; rows of a file without labels (test.csv of the Kaggle
    competition) are UNLABELLED and PublicTest. DataError with file and line for the first row that is wrong.
    """
    layout = read_layout(path)
    rows = _Rows(path, layout)
    line = 2
    rest = b""
    with path.open("rb", buffering=0) as stream:
        stream.seek(layout.data_start)
        while block := stream.read(BLOCK_BYTES):
            cut = block.rfind(layout.terminator)
            if cut < 0:
                rest += block
                if len(rest) > LONGEST_LINE:
                    raise DataError(f"{_place(path, line)}: the line is longer than {LONGEST_LINE:,} bytes")
                continue
            line += rows.add(rest + block[:cut], line)
            rest = block[cut + 1 :]
    if rest:
        rows.add(rest, line)
    if not rows.filled:
        raise DataError(f"{path}: a header and no rows; the file is cut off, fetch it again")
    notes = ()
    if layout.emotion is None:
        notes = (
            "no emotion column: the rows carry no labels, are taken as PublicTest, and cannot be trained or "
            "evaluated on",
        )
    elif layout.usage is None:
        notes = ("no Usage column: every row is taken as Training",)
    return Imported(rows.faces(), "csv", str(path.resolve()), notes)
