"""WebDataset: image and label of a sample side by side under one name, ``0001.jpg`` and ``0001.cls``, in a tar file.

See https://github.com/webdataset/webdataset. The reader sees the unpacked folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import Reading, decoding, regular_size
from fer_jax.data.formats.image import conversion_note
from fer_jax.data.formats.image_folder import IMAGE_SUFFIXES, ImageFile, read_images, visible
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import NUMBERS_NOTE, TRAINING, emotion_label, unknown_emotion, usage_in_file_name
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS

_LABEL_SUFFIXES = (".cls", ".json", ".txt")
_LONGEST_LABEL = 4096  # bytes


def samples(folder: Path) -> list[tuple[Path, Path]]:
    """Image and label file of each sample directly in a folder, by name."""
    content = [path for path in visible(folder) if path.is_file()]
    labels: dict[str, Path] = {}
    for suffix in reversed(_LABEL_SUFFIXES):  # .cls comes last and counts
        labels |= {path.name[: -len(suffix)]: path for path in content if path.name.lower().endswith(suffix)}
    stems = {path: path.name[: -len(path.suffix)] for path in content if path.suffix.lower() in IMAGE_SUFFIXES}
    return [(path, labels[stem]) for path, stem in stems.items() if stem in labels]


def read_samples(folder: Path, reading: Reading) -> Imported:
    """Read the samples of a folder; every row is Training unless its file name gives another usage.

    DataError naming the file that cannot be used.
    """
    files, numbered = [], False
    for image, label_file in samples(folder):
        reading.budget.member(str(folder))
        try:
            label, is_number = _label(label_file)
        except DataError as error:
            reading.leave_out(error)
            continue
        numbered |= is_number
        usage = usage_in_file_name(image.name)
        files.append(ImageFile(image, label, TRAINING if usage is None else usage, usage is not None))
    if not files:
        raise DataError(f"{folder}: no sample that can be used")
    faces, converted = read_images(sorted(files, key=ImageFile.order), reading)
    notes = list(conversion_note(converted))
    if not all(file.usage_told for file in files):
        notes.append("the samples name no split: every row not named otherwise is taken as Training")
    if numbered:
        notes.append(NUMBERS_NOTE)
    return Imported(faces, "WebDataset", str(folder.resolve()), tuple(notes), numbered)


def _label(path: Path) -> tuple[int, bool]:
    """The label in a file, and whether it is a number."""
    if regular_size(path) > _LONGEST_LABEL:
        raise DataError(f"{path}: more than {counted(_LONGEST_LABEL, 'byte')}; a label is a number or a name")
    with decoding(str(path), "no label"):
        text = path.read_text("utf-8").strip()
        if path.suffix.lower() == ".json":
            text = _of_json(json.loads(text), path)
    if text.isascii() and text.isdigit() and len(text) == 1 and int(text) < len(EMOTIONS):
        return int(text), True
    label = emotion_label(text)
    if label is None:
        raise DataError(f"{path}: {unknown_emotion(text)}, nor a number from 0 to {len(EMOTIONS) - 1}")
    return label, False


def _of_json(content: Any, path: Path) -> str:
    for key in ("label", "emotion", "cls", "class"):
        if isinstance(content, dict) and key in content:
            return str(content[key])
    raise DataError(f"{path}: no `label` in it")
