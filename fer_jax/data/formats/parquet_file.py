"""Hugging Face parquet files: image bytes plus an integer label. The file's own metadata names the labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.data.faces import EMOTIONS, DataError, Faces, concatenate
from fer_jax.data.formats.image import conversion_note, decode_face
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import TRAINING, emotion_label, is_split, split_usages, usage_in_file_name

_IMAGE_COLUMNS = ("image", "img", "img_bytes", "image_bytes")
_LABEL_COLUMNS = ("label", "labels", "emotion")
_SHARD = re.compile(r"^(?P<split>.+?)-\d+-of-\d+", re.IGNORECASE)


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
    for name in names:
        if name.lower() in accepted:
            return name
    raise DataError(
        f"{path}: the columns are {', '.join(names)}; a column of {what} is needed, named one of {', '.join(accepted)}"
    )


def _class_names(metadata: dict[bytes, bytes] | None, column: str, path: Path) -> list[str]:
    """Names of the integer labels, from the JSON that the library ``datasets`` writes into the file's schema."""
    remedy = "without the names the order of the labels is not known; use another copy, or export it as CSV or .npz"
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: no names of the labels in column {column!r} stand in the file's metadata; {remedy}"
        ) from error
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=int)]
    unknown = [name for name in names if emotion_label(str(name)) is None]
    if unknown:
        raise DataError(
            f"{path}: the class {unknown[0]!r} is none of the seven emotions of FER-2013 ({', '.join(EMOTIONS)})"
        )
    return [str(name) for name in names]


def _label(value: Any, names: list[str] | None, place: str) -> int:
    if isinstance(value, str):
        label = emotion_label(value)
        if label is None:
            raise DataError(f"{place}: label {value!r} is none of {', '.join(EMOTIONS)}")
        return label
    if names is None or not isinstance(value, int) or not 0 <= value < len(names):
        raise DataError(f"{place}: label {value!r}; the file names the classes 0 to {len(names or []) - 1}")
    label = emotion_label(names[value])
    assert label is not None  # _class_names has checked every name
    return label


def _read_one(path: Path, usage: int, told: list[bool]) -> tuple[Faces, int]:
    """One file's faces and how many of its images were in colour; ``told``: per row, whether its name gives a usage."""
    parquet = _parquet()
    import pyarrow

    faces, labels, usages = [], [], []
    converted = 0
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            image_column = _column(schema.names, _IMAGE_COLUMNS, "images", path)
            label_column = _column(schema.names, _LABEL_COLUMNS, "labels", path)
            numeric = pyarrow.types.is_integer(schema.field(label_column).type)
            names = _class_names(schema.metadata, label_column, path) if numeric else None
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=[image_column, label_column]):
                columns = batch.to_pydict()
                for image, value in zip(columns[image_column], columns[label_column], strict=True):
                    place = f"{path}, row {row:,} (the first is 0)"
                    data, name = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
                    if not isinstance(data, bytes):
                        raise DataError(f"{place}: no image bytes; a copy whose images are embedded is needed")
                    face, was_colour = decode_face(data, place)
                    row_usage = usage_in_file_name(Path(name).name) if name else None
                    told.append(row_usage is not None)
                    faces.append(face)
                    labels.append(_label(value, names, place))
                    usages.append(usage if row_usage is None else row_usage)
                    converted += was_colour
                    row += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: a damaged or cut-off Parquet file ({error}); fetch it again") from error
    if not faces:
        raise DataError(f"{path}: holds no row")
    n = len(faces)
    return (
        Faces(np.stack(faces), np.array(labels, np.uint8), np.array(usages, np.uint8), np.arange(n, dtype=np.int32)),
        converted,
    )


def read_parquet(paths: list[Path], source: Path) -> Imported:
    """Read the parquet files of one data set. Samples are ordered by usage of the file, then by file name.

    Labels are mapped by their names. The split comes from the file name (see ``names.split_usages``); a single file
    whose name gives no split is Training. DataError naming file and row.
    """
    splits = {path: split_name(path) for path in paths}
    unknown = [path for path, split in splits.items() if split is None]
    notes: list[str] = []
    if unknown and len(paths) > 1:
        raise DataError(
            f"{unknown[0]}: the name tells no split; parquet files side by side are named train-..., validation-..., "
            "test-..."
        )
    if unknown:
        usages: dict[str, int] = {}
        notes.append("the file name tells no split: every row not named otherwise is taken as Training")
    else:
        usages, guessed = split_usages({split: None for split in splits.values() if split})
        notes.extend(guessed)
    ordered = sorted(paths, key=lambda p: (usages.get(splits[p] or "", TRAINING), p.name))
    told: list[bool] = []
    read = [_read_one(path, usages.get(splits[path] or "", TRAINING), told) for path in ordered]
    if all(told):
        notes = []
    faces = concatenate([f for f, _ in read])
    faces = Faces(faces.images, faces.labels, faces.usage, np.arange(len(faces), dtype=np.int32))
    return Imported(faces, "parquet", str(source.resolve()), (*notes, *conversion_note(sum(n for _, n in read))))
