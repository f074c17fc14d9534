"""fer2013.csv and its relatives, parsed block by block (see ``csv_pixels``)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.formats.budget import MOST_ROWS, MeantOtherwise, Reading, decoding
from fer_jax.data.formats.csv_layout import LONGEST_LINE, CsvColumns, line_place, read_layout
from fer_jax.data.formats.csv_pixels import SHORTEST_ROW, PlainConverter, convert_row, plain_field
from fer_jax.data.formats.image import PIXELS, SIDE
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import (
    PUBLIC_TEST,
    TRAINING,
    emotion_label,
    is_split,
    shifted,
    split_usages,
    unknown_emotion,
)
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES

# 256 KiB keep the dozen temporary arrays of a block inside a core's second-level cache; 4 MiB take twice as long.
BLOCK_BYTES = 1 << 18

_LABELS = {str(i).encode(): i for i in range(len(EMOTIONS))}
_WHOLE_FLOAT = re.compile(rb"0*([0-6])\.0*")
_MOST_USAGES = 20  # different words of a Usage column; there are three


class _Rows:
    """Collects the rows of one file, block by block."""

    def __init__(self, path: Path, layout: CsvColumns, reading: Reading) -> None:
        self.path, self.layout, self.reading = path, layout, reading
        # Never more rows than fit into the file; pages that are not written to take no memory.
        capacity = min(path.stat().st_size // SHORTEST_ROW + 1, MOST_ROWS)
        self.images = np.empty((capacity, PIXELS), np.uint8)
        self.labels: list[int] = []
        self.usage: list[int] = []  # indices into usage_words
        self.usage_words: dict[bytes, int] = {}
        self.numbered = False
        self.filled = 0
        self.converter = PlainConverter()

    def add(self, text: bytes, first_line: int) -> int:
        """Parse whole lines; returns their number."""
        self.reading.budget.check_time(str(self.path))
        plain_text = text.isascii() and b"\0" not in text
        fields: list[bytes] = []
        places: list[int] = []
        number = first_line
        for line, lines in self._logical_lines(text):
            if line and not line.isspace():
                try:
                    if not plain_text:
                        self._check_text(line, number)
                    fields.append(self._row(line, number))
                    places.append(number)
                except DataError as error:
                    self._convert(fields, places)  # an earlier row with wrong pixels is the one to report
                    fields, places = [], []
                    self.reading.leave_out(error)
            number += lines
        self._convert(fields, places)
        return number - first_line

    def _logical_lines(self, text: bytes) -> Iterator[tuple[bytes, int]]:
        """Lines, and of how many lines of the file each consists: a quoted field may hold line ends."""
        lines = text.split(self.layout.terminator)
        if b'"' not in text:
            yield from ((line, 1) for line in lines)
            return
        open_lines: list[bytes] = []
        for line in lines:
            if not open_lines and line.count(b'"') % 2 == 0:
                yield line, 1
                continue
            open_lines.append(line)
            if len(open_lines) > 1 and line.count(b'"') % 2:
                yield self.layout.terminator.join(open_lines), len(open_lines)
                open_lines = []
        if open_lines:  # never closed: the first line is the wrong one
            yield open_lines[0], 1
            for line in open_lines[1:]:
                yield line, 1

    def _check_text(self, line: bytes, number: int) -> None:
        if b"\0" in line:
            raise DataError(f"{line_place(self.path, number)}: holds a NUL byte; the file is damaged, fetch it again")
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{line_place(self.path, number)}: not UTF-8 text; the file is damaged") from error

    def _row(self, line: bytes, number: int) -> bytes:
        """Keep label and usage of one line; return its pixels as text."""
        layout = self.layout
        fields = line.split(layout.delimiter) if b'"' not in line else self._quoted(line, number)
        if len(fields) != layout.columns:
            raise DataError(
                f"{line_place(self.path, number)}: {len(fields):,} fields where the header has {layout.columns:,}; "
                "is the row cut off?"
            )
        label = UNLABELLED
        if layout.emotion is not None:
            label = _LABELS.get(fields[layout.emotion].strip(), UNLABELLED)
            self.numbered |= label != UNLABELLED
            if label == UNLABELLED:
                label = self._odd_label(fields[layout.emotion].strip(), number)
        if layout.usage is not None:
            word = fields[layout.usage].strip().lower()
            usage = self.usage_words.get(word, -1)
            if usage < 0:
                usage = self._new_usage(word, fields[layout.usage], number)
            self.usage.append(usage)
        self.labels.append(label)
        if layout.pixel_columns > 1:
            return b" ".join(fields[layout.pixels : layout.pixels + layout.pixel_columns])
        return plain_field(fields[layout.pixels].strip())

    def _odd_label(self, field: bytes, number: int) -> int:
        """A label such as 3.0 or happy."""
        if whole := _WHOLE_FLOAT.fullmatch(field):
            self.numbered = True
            return int(whole[1])
        text = field[:60].decode("utf-8", "backslashreplace")
        label = emotion_label(text)
        if label is None:
            number_or_name = text[:1].isalpha() and text.isalpha()
            meant = f"; {unknown_emotion(text)}" if number_or_name else ""
            other = shifted(int(text)) if text in ("-1", str(len(EMOTIONS))) else ""
            # Leaving out such rows would leave the others with wrong labels.
            raise (MeantOtherwise if other else DataError)(
                f"{line_place(self.path, number)}: emotion {text[:20]!r}; it is a number from 0 (angry) to 6 (neutral)"
                f"{meant}{other}"
            )
        return label

    def _new_usage(self, word: bytes, field: bytes, number: int) -> int:
        if not is_split(word.decode("utf-8", "replace")) or len(self.usage_words) >= _MOST_USAGES:
            shown = field.strip()[:20].decode("utf-8", "backslashreplace")
            raise DataError(f"{line_place(self.path, number)}: Usage {shown!r}; accepted are {', '.join(USAGES)}")
        return self.usage_words.setdefault(word, len(self.usage_words))

    def _quoted(self, line: bytes, number: int) -> list[bytes]:
        place = line_place(self.path, number)
        with decoding(place, "the quotes do not match", "is the row cut off?"):
            reader = csv.reader(
                [line.decode("utf-8")], delimiter=self.layout.delimiter.decode(), skipinitialspace=True, strict=True
            )
            return [field.encode() for field in next(reader)]

    def _convert(self, fields: list[bytes], places: list[int]) -> None:
        if not fields:
            return
        if self.filled + len(fields) > len(self.images):
            self.reading.budget.rows(str(self.path), self.filled + len(fields))
        out = self.images[self.filled : self.filled + len(fields)]
        if len(out) == len(fields) and self.converter.convert(fields, out):
            self.filled += len(fields)
            return
        first = len(self.labels) - len(fields)
        kept = []
        for row, (field, number) in enumerate(zip(fields, places, strict=True)):
            try:
                values = convert_row(field, line_place(self.path, number))
            except DataError as error:
                self.reading.leave_out(error)
                continue
            self.images[self.filled] = values
            self.filled += 1
            kept.append(first + row)
        self.labels[first:] = [self.labels[i] for i in kept]
        if self.usage:
            self.usage[first:] = [self.usage[i] for i in kept]

    def faces(self) -> tuple[Faces, tuple[str, ...]]:
        n = self.filled
        default = TRAINING if self.layout.emotion is not None else PUBLIC_TEST
        usage, notes = np.full(n, default, np.uint8), ()
        if self.layout.usage is not None:
            words = [word.decode() for word in self.usage_words]
            usages, notes = split_usages(words)
            usage = np.array([usages[word] for word in words], np.uint8)[np.array(self.usage, np.intp)]
        images = self.images[:n].reshape(n, SIDE, SIDE)
        return Faces(images, np.array(self.labels, np.uint8), usage, np.arange(n, dtype=np.int32)), notes


def read_csv(path: Path, reading: Reading | None = None) -> Imported:
    """Read one CSV file: fer2013.csv, icml_face_data.csv, train.csv or test.csv, recognised by its header.

    Rows of a file without a Usage column are Training; rows of a file without labels (test.csv of the Kaggle
    competition) are UNLABELLED and PublicTest. DataError with file and line for the first row that is wrong, unless
    `reading` leaves such rows out.
    """
    reading = reading or Reading()
    layout = read_layout(path)
    rows = _Rows(path, layout, reading)
    line = layout.first_line
    rest = b""
    with path.open("rb", buffering=0) as stream:
        stream.seek(layout.data_start)
        while block := stream.read(BLOCK_BYTES):
            block = rest + block
            cut = _last_end(block, layout.terminator)
            if cut < 0:
                rest = block
                if len(rest) > LONGEST_LINE:
                    raise DataError(f"{line_place(path, line)}: the line is longer than {LONGEST_LINE:,} bytes")
                continue
            line += rows.add(block[:cut], line)
            rest = block[cut + 1 :]
    if rest:
        rows.add(rest, line)
    if not rows.filled:
        left_out = f"; {len(reading.skipped):,} were left out" if reading.skipped else "; the file is cut off"
        raise DataError(f"{path}: a header and no rows{left_out}, fetch it again")
    faces, notes = rows.faces()
    if layout.emotion is None:
        notes = (
            "no emotion column: the rows carry no labels, are taken as PublicTest, and cannot be trained or "
            "evaluated on",
        )
    elif layout.usage is None:
        notes = ("no Usage column: every row is taken as Training",)
    return Imported(faces, "csv", str(path.resolve()), notes, rows.numbered)


def _last_end(block: bytes, terminator: bytes) -> int:
    """Where the last line ends that does not lie within quotes; -1 if none does."""
    cut = block.rfind(terminator)
    if cut < 0 or b'"' not in block or block.count(b'"', 0, cut) % 2 == 0:
        return cut
    opened = block.rfind(b'"', 0, cut)
    while opened >= 0:  # backwards from quoted part to quoted part
        closed = block.rfind(b'"', 0, opened)
        cut = block.rfind(terminator, max(closed, 0), opened)
        if cut >= 0 or closed < 0:
            return cut
        opened = block.rfind(b'"', 0, closed)
    return -1
