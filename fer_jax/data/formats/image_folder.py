"""The image-folder form: ``train/<emotion>/*.jpg``, ``test/<emotion>/*.jpg``, with or without ``validation``.

On disk the folders are in alphabetical order, which is not the label order. Labels therefore come from folder names.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data.faces import EMOTIONS, USAGES, DataError, Faces
from fer_jax.data.formats.csv_file import SIDE
from fer_jax.data.formats.image import conversion_note, decode_face
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import (
    MERGED_TEST_NOTE,
    TRAINING,
    emotion_label,
    is_split,
    split_usages,
    usage_in_file_name,
)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_CLUTTER = ("thumbs.db", "desktop.ini")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class _ImageFile:
    path: Path
    label: int
    usage: int
    usage_told: bool  # whether the usage comes from the file name, not from the folder

    def order(self) -> tuple[int, int, int, str]:
        """By usage and number in the file name, so that classes are mixed the same way on every machine."""
        number = _NUMBER.search(self.path.stem)
        # A number of more than 18 digits is no counter (a hash, say) and says nothing about the order.
        known = number is not None and len(number[0]) <= 18
        return self.usage, int(number[0]) if number and known else -1, self.label, self.path.as_posix()


def visible(folder: Path) -> list[Path]:
    """The content of a folder, sorted by name, without hidden files and the leftovers of file managers."""
    return sorted(
        p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")) and p.name.lower() not in _CLUTTER
    )


def is_image_folder(root: Path) -> bool:
    """Whether a folder holds emotion folders, or split folders that hold folders."""
    folders = [p for p in visible(root) if p.is_dir()]
    if any(emotion_label(p.name) is not None for p in folders):
        return True
    return any(is_split(p.name) and any(c.is_dir() for c in visible(p)) for p in folders)


def _files_of_split(split: Path, usage: int) -> list[_ImageFile]:
    files: list[_ImageFile] = []
    for folder in visible(split):
        if not folder.is_dir():
            if folder.suffix.lower() in IMAGE_SUFFIXES:
                raise DataError(f"{folder}: an image outside an emotion folder has no label; move it into one")
            continue
        label = emotion_label(folder.name)
        if label is None:
            raise DataError(
                f"{folder}: {folder.name!r} is none of the seven emotions of FER-2013 ({', '.join(EMOTIONS)}); "
                "rename the folder or move it away"
            )
        for path in visible(folder):
            if path.is_dir():
                raise DataError(f"{path}: a folder where images are expected; an emotion folder holds images only")
            told = usage_in_file_name(path.name)
            files.append(_ImageFile(path, label, usage if told is None else told, told is not None))
    return files


def _collect(root: Path) -> tuple[list[_ImageFile], list[str]]:
    splits = [p for p in visible(root) if p.is_dir() and is_split(p.name)]
    if not splits:
        if is_split(root.name):
            usages, notes = split_usages([root.name])
            usage = usages[root.name]
        else:
            usage = TRAINING
            notes = ("no train and test folders: every row not named otherwise is taken as Training",)
        files = _files_of_split(root, usage)
        return files, [] if all(f.usage_told for f in files) else list(notes)
    others = [p.name for p in visible(root) if p.is_dir() and p not in splits and emotion_label(p.name) is not None]
    if others:
        raise DataError(f"{root}: holds split folders and the emotion folder {others[0]!r} side by side; keep one kind")
    usages, notes = split_usages(p.name for p in splits)
    files = [file for split in splits for file in _files_of_split(split, usages[split.name])]
    if all(f.usage_told for f in files):
        notes = tuple(note for note in notes if note != MERGED_TEST_NOTE)
    return files, list(notes)


def read_image_folder(root: Path) -> Imported:
    """Read ``root``'s images. They are ordered by usage, then by the number in the file name.

    File names such as ``PublicTest_123.jpg`` give the usage; otherwise the split folder does (see
    ``names.split_usages``). DataError for an unknown emotion, a file that is no image, or a size other than 48 x 48.
    """
    files, notes = _collect(root)
    if not files:
        raise DataError(f"{root}: the emotion folders hold no image")
    files.sort(key=_ImageFile.order)

    def decode(file: _ImageFile) -> tuple[np.ndarray, bool]:
        try:
            data = file.path.read_bytes()
        except OSError as error:
            raise DataError(f"{file.path}: cannot be read ({error.strerror})") from error
        return decode_face(data, str(file.path))

    images = np.empty((len(files), SIDE, SIDE), np.uint8)
    converted = 0
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            for i, (face, was_colour) in enumerate(pool.map(decode, files)):
                images[i] = face
                converted += was_colour
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    faces = Faces(
        images,
        np.array([f.label for f in files], np.uint8),
        np.array([f.usage for f in files], np.uint8),
        np.arange(len(files), dtype=np.int32),
    )
    if any(f.path.suffix.lower() in (".jpg", ".jpeg") for f in files):
        notes.append("JPEG is lossy: pixels differ from fer2013.csv by some gray levels, and so does the fingerprint")
    for u, usage in enumerate(USAGES):
        empty = sorted({EMOTIONS[label] for label in range(7)} - {EMOTIONS[f.label] for f in files if f.usage == u})
        if empty and len(empty) < len(EMOTIONS):
            notes.append(f"{usage} holds no image of: {', '.join(empty)}")
    return Imported(faces, "image folder", str(root.resolve()), (*notes, *conversion_note(converted)))
