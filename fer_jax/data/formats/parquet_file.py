"""Parquet files: image bytes or pixels, plus a label by name or number. Splits come from the names of the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.faces import DataError, Faces, concatenate
from fer_jax.data.formats.budget import LARGEST_IMAGE, MeantOtherwise, Reading, decoding
from fer_jax.data.formats.csv_pixels import convert_row, plain_field
from fer_jax.data.formats.image import PIXELS, SIDE, conversion_note, decode_face
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import (
    NUMBERS_NOTE,
    TRAINING,
    emotion_label,
    is_split,
    shifted,
    split_usages,
    unknown_emotion,
    usage_of,
)
from fer_jax.machine.memory import memory_at_most
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS

_IMAGE_COLUMNS = ("image", "img", "img_bytes", "image_bytes", "pixels", "jpg", "jpeg", "png", "webp")
_LABEL_COLUMNS = ("label", "labels", "emotion", "cls", "class")
_USAGE_COLUMNS = ("usage", "split")
# Whose numbers are fer2013.csv's unless the file names them: its own column, and WebDataset's.
_NUMBERED_COLUMNS = ("emotion", "cls")
_SHARD = re.compile(r"^(?P<split>.+?)-\d+-of-\d+", re.IGNORECASE)
# A value may be repeated for every row of a batch: so much may a batch take at worst.
_BATCH_BYTES = 256 << 20
_MOST_AT_ONCE = 1024
# Pages say how large they become, and Arrow believes them. No page of a dataset of 250,000 faces needs more.
_MEMORY = 3 << 30


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            "reading Parquet files needs the library pyarrow, which is not installed\n"
            "install the extra 'parquet' (pip install pyarrow), or export the data as CSV or .npz"
        ) from error
    return pyarrow.parquet


def split_name(path: Path) -> str | None:
    """'train' of ``train-00000-of-00001.parquet``, of ``train.parquet`` or of ``train/0000.parquet``; else None."""
    shard = _SHARD.match(path.stem)
    for name in (shard["split"] if shard else path.stem, path.stem.split("-")[0], path.parent.name):
        if is_split(name):
            return name.lower()
    return None


def _column(names: list[str], accepted: tuple[str, ...], what: str, path: Path) -> str:
    for wanted in accepted:
        for name in names:
            if name.lower() == wanted:
                return name
    shown = ", ".join(name[:40] for name in names[:20])
    raise DataError(
        f"{path}: the columns are {shown}; a column of {what} is needed, named one of {', '.join(accepted)}"
    )


def _class_names(metadata: dict[bytes, bytes] | None, column: str, path: Path) -> list[str] | None:
    """Names of the integer labels, from the JSON that the library ``datasets`` writes into the file's schema."""
    with decoding(str(path), "the names of the labels in its metadata cannot be read"):
        content = json.loads((metadata or {}).get(b"huggingface", b"null"))
        for key in ("info", "features", column, "names"):
            content = content.get(key) if isinstance(content, dict) else None
        if isinstance(content, dict):
            content = [content[key] for key in sorted(content, key=int)]
        if content is None:
            return None
        names = [str(name) for name in content[:_MOST_AT_ONCE]]
    for name in names:
        if emotion_label(name) is None:
            raise DataError(f"{path}: the class {unknown_emotion(name)}")
    return names


@dataclass
class _Table:
    """One file: its columns, and its rows as they are collected. numbered: labels are numbers without names."""

    path: Path
    usage: int
    may_refine: bool
    image: str = ""
    label: str = ""
    usage_column: str = ""
    names: list[str] | None = None
    numbered: bool = False
    faces: list[np.ndarray] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    usages: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    named: int = 0
    contradicting: int = 0
    converted: int = 0

    def find_columns(self, schema: Any) -> None:
        import pyarrow

        self.image = _column(schema.names, _IMAGE_COLUMNS, "images", self.path)
        self.label = _column(schema.names, _LABEL_COLUMNS, "labels", self.path)
        self.usage_column = next((name for name in schema.names if name.lower() in _USAGE_COLUMNS), "")
        self.names = _class_names(schema.metadata, self.label, self.path)
        if pyarrow.types.is_integer(schema.field(self.label).type):
            self._class_order()

    def _class_order(self) -> list[str]:
        """The names of labels that are numbers. DataError if nothing says them."""
        if self.names is None:
            self.numbered = self.label.lower() in _NUMBERED_COLUMNS
            if not self.numbered:
                raise MeantOtherwise(
                    f"{self.path}: no names of the labels in column {self.label[:40]!r} are in the file's metadata; "
                    "without the names the order of the labels is not known; use another copy, or export it as CSV "
                    "or .npz"
                )
            self.names = list(EMOTIONS)
        return self.names

    def add(self, image: Any, label: Any, word: Any, place: str) -> None:
        """One row. DataError if it cannot be used."""
        data, name = image, None
        if isinstance(image, dict):
            data, name = image.get("bytes"), image.get("path")
        face, was_colour = _face(data, place)
        number = self._label(label, place)
        usage, contradicts = self.usage, False
        if isinstance(name, str):
            named, contradicts = usage_of(Path(name).name, self.usage, self.may_refine)
            self.named += named is not None and usage_of(Path(name).name, None, True)[0] is not None and not contradicts
            usage = self.usage if named is None else named
        if self.usage_column:
            if not isinstance(word, str) or not is_split(word):
                raise DataError(f"{place}: Usage {str(word)[:20]!r} is not the name of a split")
            self.words.append(word)
        self.faces.append(face)
        self.labels.append(number)
        self.usages.append(usage)
        self.converted += was_colour
        self.contradicting += contradicts

    def _label(self, value: Any, place: str) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,3}", value.strip()):
            value = int(value)
        if isinstance(value, list):
            value = _one_hot(value, place)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str):
            label = emotion_label(value)
            if label is None:
                raise DataError(f"{place}: label {unknown_emotion(value)}")
            return label
        names = self._class_order()
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(names):
            other = shifted(value) if isinstance(value, int) and len(names) == len(EMOTIONS) else ""
            raise (MeantOtherwise if other else DataError)(
                f"{place}: label {str(value)[:40]}; the file names the classes 0 to {len(names) - 1}{other}"
            )
        return emotion_label(names[value]) or 0

    def result(self) -> Faces:
        n = len(self.faces)
        usages = np.array(self.usages, np.uint8)
        if self.usage_column:
            usage_of_word, _ = split_usages(sorted(set(self.words)))
            usages = np.array([usage_of_word[word] for word in self.words], np.uint8)
        return Faces(np.stack(self.faces), np.array(self.labels, np.uint8), usages, np.arange(n, dtype=np.int32))


def _one_hot(values: list[Any], place: str) -> int:
    hot = [value for value in values if value == 1]
    if len(values) != len(EMOTIONS) or len(hot) != 1 or any(value not in (0, 1) for value in values):
        raise DataError(f"{place}: a label of {len(values):,} numbers that is not one-hot (a single 1 among 0s)")
    return values.index(1)


def _face(data: Any, place: str) -> tuple[np.ndarray, bool]:
    """A face from image bytes, from pixels as text, or from a list of 2,304 numbers or of 48 lists."""
    if isinstance(data, bytes):
        return decode_face(data, place)
    if isinstance(data, str):
        values = np.array(convert_row(plain_field(data.encode()), place), np.uint8)
        return values.reshape(SIDE, SIDE), False
    if isinstance(data, list):
        with decoding(place, "no image of numbers"):
            array = np.array(data)
        if array.size != PIXELS or array.dtype.kind not in "iuf":
            raise DataError(f"{place}: an array of shape {array.shape}; expected {SIDE} x {SIDE} whole numbers")
        if not (array == np.rint(array)).all():
            raise DataError(
                f"{place}: a pixel is not a whole number; expected {SIDE} x {SIDE} from 0 (black) to 255 (white)"
            )
        if array.min() < 0 or array.max() > 255:
            raise DataError(f"{place}: a pixel outside 0 to 255")
        return array.reshape(SIDE, SIDE).astype(np.uint8), False
    raise DataError(f"{place}: no image bytes; a copy whose images are embedded is needed")


def _value(cell: Any, place: str) -> Any:
    """The content of a cell. DataError for a list of more numbers than an image has, which Python would need 8 bytes
    each for."""
    import pyarrow

    numbers: Any = cell.values if isinstance(cell, pyarrow.ListScalar) else None
    while isinstance(numbers, pyarrow.ListArray | pyarrow.LargeListArray | pyarrow.FixedSizeListArray):
        numbers = numbers.flatten()
    if numbers is not None and len(numbers) > PIXELS:
        raise DataError(f"{place}: an image has more than {PIXELS:,} numbers")
    return cell.as_py()


def _rows(file: Any, table: _Table, reading: Reading) -> Iterator[tuple[Any, Any, Any]]:
    """The cells of one row after the other, converted one at a time: a batch may hold one large value many times."""
    place = str(table.path)
    metadata = file.metadata
    reading.budget.rows(place, metadata.num_rows)
    wanted = [table.image, table.label, *([table.usage_column] if table.usage_column else [])]
    for group in range(metadata.num_row_groups):
        # Of all columns: Arrow ends the process when it is asked for a column whose statistics contradict each other.
        size = max(0, metadata.row_group(group).total_byte_size)
        reading.budget.claim(place, size)
        at_once = max(1, min(_MOST_AT_ONCE, _BATCH_BYTES // max(size, 1)))
        for batch in file.iter_batches(batch_size=at_once, row_groups=[group], columns=wanted, use_threads=False):
            reading.budget.spend(place, min(batch.nbytes, size))
            cells = [batch.column(batch.schema.get_field_index(name)) for name in wanted]
            for row in range(batch.num_rows):
                values = [_value(column[row], place) for column in cells]
                yield values[0], values[1], values[2] if table.usage_column else None


def _read_one(table: _Table, reading: Reading) -> _Table:
    parquet = _parquet()
    path = table.path
    with (
        decoding(str(path), "a damaged or cut-off Parquet file"),
        memory_at_most(_MEMORY),
        parquet.ParquetFile(path) as file,
    ):
        table.find_columns(file.schema_arrow)
        for row, (image, label, word) in enumerate(_rows(file, table, reading)):
            place = f"{path}, row {row:,} (the first is 0)"
            reading.budget.rows(str(path), row)
            content = image.get("bytes") if isinstance(image, dict) else image
            if isinstance(content, bytes | str) and len(content) > LARGEST_IMAGE:
                raise DataError(f"{place}: an image of {len(content):,} bytes; a face has at most {LARGEST_IMAGE:,}")
            try:
                table.add(image, label, word, place)
            except DataError as error:
                reading.leave_out(error)
    if not table.faces:
        raise DataError(f"{path}: holds no row")
    return table


def read_parquet(paths: list[Path], source: Path, reading: Reading) -> Imported:
    """Read the parquet files of one dataset. Samples are ordered by usage of the file, then by file name.

    Labels are mapped by their names. The split comes from a column Usage, else from the file name (see
    ``names.split_usages``); a single file whose name gives no split is Training. DataError naming file and row.
    """
    splits = {path: split_name(path) for path in paths}
    unknown = [path for path, split in splits.items() if split is None]
    notes: list[str] = []
    if unknown and len(paths) > 1:
        raise DataError(
            f"{unknown[0]}: the name gives no split; parquet files side by side are named train-..., validation-..., "
            "test-..."
        )
    usages: dict[str, int] = {}
    if unknown:
        notes.append("the file name gives no split: every row not named otherwise is taken as Training")
    else:
        usages, guessed = split_usages({split: None for split in splits.values() if split})
        notes.extend(guessed)
    lone_test = not any(split and usages[split] == 2 for split in splits.values())
    ordered = sorted(paths, key=lambda p: (usages.get(splits[p] or "", TRAINING), p.name))
    tables = []
    for path in ordered:
        usage = usages.get(splits[path] or "", TRAINING)
        refinable = (usage == 1 and lone_test) or splits[path] is None
        tables.append(_read_one(_Table(path, usage, refinable), reading))
    faces = concatenate([table.result() for table in tables])
    faces = faces.changed(origin=np.arange(len(faces), dtype=np.int32))
    if all(table.usage_column or table.named == len(table.faces) for table in tables):
        notes = []
    for table in tables:
        if table.contradicting:
            notes.append(
                f"{table.path.name} has {counted(table.contradicting, 'row')} named like another split: its name counts"
            )
    numbered = any(table.numbered for table in tables)
    if numbered and tables[0].image != "pixels":
        notes.append(NUMBERS_NOTE)
    converted = sum(table.converted for table in tables)
    return Imported(faces, "parquet", str(source.resolve()), (*notes, *conversion_note(converted)), numbered)
