"""The image-folder form: ``train/<emotion>/*.jpg``, ``test/<emotion>/*.jpg``, with or without ``validation``.

On disk the folders are in alphabetical order, which is not the label order. Labels therefore come from folder names.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces
from fer_jax.data.formats.budget import LARGEST_IMAGE, Reading, regular_size
from fer_jax.data.formats.image import SIDE, conversion_note, decode_face
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import (
    MERGED_TEST_NOTE,
    NUMBERS_NOTE,
    PUBLIC_TEST,
    TRAINING,
    emotion_label,
    is_split,
    split_usages,
    unknown_emotion,
    usage_in_file_name,
    usage_of,
)
from fer_jax.data.formats.official import usages_by_order
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Leftovers of file managers and picture programs, and notes: no image was meant by them.
_CLUTTER = ("thumbs.db", "desktop.ini")
_CLUTTER_SUFFIXES = (".ini", ".db", ".txt", ".md", ".json", ".csv", ".xml", ".html", ".url", ".lnk", ".py", ".ipynb")
_NUMBER = re.compile(r"\d+")
_DIGIT_NAMES = tuple(str(i) for i in range(len(EMOTIONS)))
_NO_SPLITS_NOTE = "no train and test folders: every row not named otherwise is taken as Training"
_CPU_S_PER_IMAGE = 0.002  # ten times what one takes
_MOST_AT_ONCE = 1024  # images whose bytes are in memory together


@dataclass(frozen=True)
class ImageFile:
    """An image that was found and not read yet. contradicts: its file name says another usage than its folder."""

    path: Path
    label: int
    usage: int
    usage_told: bool  # whether the usage comes from the file name, not from the folder
    contradicts: bool = False

    def order(self) -> tuple[int, int, int, str]:
        """By usage and number in the file name, so that classes are mixed the same way on every machine."""
        number = _NUMBER.search(self.path.stem)
        # A number of more than 18 digits is not a counter (a hash, say) and says nothing about the order.
        known = number is not None and len(number[0]) <= 18
        return self.usage, int(number[0]) if number and known else -1, self.label, self.path.as_posix()


def visible(folder: Path) -> list[Path]:
    """The content of a folder, sorted by name, without hidden files and the leftovers of file managers."""
    return sorted(
        p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")) and p.name.lower() not in _CLUTTER
    )


def image_root(folder: Path) -> Path | None:
    """The folder that holds emotion folders, or split folders that hold folders; else None."""
    folders = [p for p in visible(folder) if p.is_dir()]
    if any(emotion_label(p.name) is not None for p in folders):
        return folder
    if {p.name for p in folders} >= set(_DIGIT_NAMES[:2]):
        return folder
    if any(is_split(p.name) and any(c.is_dir() for c in visible(p)) for p in folders):
        return folder
    return None


def _class_folders(split: Path) -> list[Path]:
    """The folders of a split that are classes. A folder that repeats the split's own name is entered
    (train/train/angry, as unpackers make it)."""
    content = visible(split)
    if len(content) == 1 and content[0].is_dir() and content[0].name.lower() == split.name.lower():
        return _class_folders(content[0])
    for path in content:
        if not path.is_dir() and path.suffix.lower() in IMAGE_SUFFIXES:
            raise DataError(f"{path}: an image outside an emotion folder has no label; move it into one")
    return [path for path in content if path.is_dir()]


def _label_of(folder: Path, siblings: list[Path]) -> tuple[int, bool]:
    """The label of a class folder, and whether it comes from a number."""
    label = emotion_label(folder.name)
    if label is not None:
        return label, False
    names = [p.name for p in siblings]
    if all(name.isdigit() for name in names):
        if folder.name in _DIGIT_NAMES and set(names) <= set(_DIGIT_NAMES):
            return int(folder.name), True
        raise DataError(
            f"{folder}: the class folders are {', '.join(sorted(names)[:9])}; numbers are read as in fer2013.csv, 0 "
            f"({EMOTIONS[0]}) to 6 ({EMOTIONS[-1]}). Rename the folders to the emotions"
        )
    raise DataError(f"{folder}: {unknown_emotion(folder.name)}; rename the folder or move it away")


def _files_of_split(
    split: Path, usage: int | None, may_refine: bool, reading: Reading, notes: list[str]
) -> list[ImageFile]:
    files: list[ImageFile] = []
    ignored: Counter[str] = Counter()
    folders = _class_folders(split)
    for folder in folders:
        label, numbered = _label_of(folder, folders)
        if numbered and NUMBERS_NOTE not in notes:
            notes.append(NUMBERS_NOTE)
        for path in visible(folder):
            reading.budget.member(str(split))
            if path.is_dir():
                raise DataError(f"{path}: a folder where images are expected; an emotion folder holds images only")
            if path.suffix.lower() in _CLUTTER_SUFFIXES:
                ignored[path.name] += 1
                continue
            named, contradicts = usage_of(path.name, usage, may_refine)
            by_name = usage_in_file_name(path.name) is not None and not contradicts
            files.append(ImageFile(path, label, TRAINING if named is None else named, by_name, contradicts))
    if ignored:
        notes.append(f"{counted(sum(ignored.values()), 'file')} not read (no image): {', '.join(list(ignored)[:5])}")
    other = [file for file in files if file.contradicts]
    if other:
        notes.append(
            f"{counted(len(other), 'file')} of {split.name} named like another split (such as {other[0].path.name}): "
            f"the folder counts, and makes them {USAGES[other[0].usage]}"
        )
    return files


def _other_folders(root: Path, splits: list[Path]) -> list[str]:
    """A note on the folders beside split folders. DataError if one seems to hold samples too, such as `eval`."""
    others = [path for path in visible(root) if splits and path.is_dir() and path not in splits]
    for path in others:
        if any(emotion_label(child.name) is not None for child in visible(path) if child.is_dir()):
            raise DataError(
                f"{path}: holds emotions, but {path.name[:40]!r} names no split; rename it to validation or test, or "
                "move it away"
            )
    shown = ", ".join(path.name[:40] for path in others[:5])
    return [f"folders that were not read: {shown}"] if others else []


def _collect(root: Path, reading: Reading) -> tuple[list[ImageFile], list[str]]:
    splits = [p for p in visible(root) if p.is_dir() and is_split(p.name)]
    notes: list[str] = []
    notes += _other_folders(root, splits)
    if not splits:
        usage, guesses = None, (_NO_SPLITS_NOTE,)
        if is_split(root.name):
            usages, guesses = split_usages([root.name])
            usage = usages[root.name]
        files = _files_of_split(root, usage, usage == PUBLIC_TEST, reading, notes)
    else:
        others = [p.name for p in visible(root) if p.is_dir() and p not in splits and emotion_label(p.name) is not None]
        if others:
            raise DataError(
                f"{root}: holds split folders and the emotion folder {others[0]!r} side by side; keep one kind"
            )
        usages, guesses = split_usages(p.name for p in splits)
        files = []
        for split in splits:
            lone_test = MERGED_TEST_NOTE in guesses and usages[split.name] == PUBLIC_TEST
            files += _files_of_split(split, usages[split.name], lone_test, reading, notes)
    guessed = [file for file in files if file.usage != TRAINING] if splits else files
    if all(file.usage_told for file in guessed):
        guesses = tuple(note for note in guesses if note not in (MERGED_TEST_NOTE, _NO_SPLITS_NOTE))
    return files, [*guesses, *notes]


def _with_usages_by_order(files: list[ImageFile], notes: list[str]) -> list[ImageFile]:
    """Files of a lone test folder with the parts that their order gives (see ``official.usages_by_order``)."""
    test = [file for file in files if file.usage == PUBLIC_TEST and not file.usage_told]
    usage = usages_by_order(np.array([file.label for file in test], np.uint8)) if MERGED_TEST_NOTE in notes else None
    if usage is None:
        return files
    notes[notes.index(MERGED_TEST_NOTE)] = (
        "the test split has the official counts of PublicTest and PrivateTest together: the first files of each class, "
        "by their numbers, are taken as PublicTest, as in the order of fer2013.csv"
    )
    named = {file.path: int(u) for file, u in zip(test, usage, strict=True)}
    return sorted((replace(f, usage=named.get(f.path, f.usage)) for f in files), key=ImageFile.order)


def read_image_folder(root: Path, reading: Reading) -> Imported:
    """Read ``root``'s images. They are ordered by usage, then by the number in the file name.

    The split folder gives the usage; file names such as ``PublicTest_123.jpg`` give the splits of a lone test folder
    (see ``names.usage_of``). DataError for an unknown emotion, a file that is not an image, or another size than
    48 x 48.
    """
    files, notes = _collect(root, reading)
    if not files:
        raise DataError(f"{root}: the emotion folders hold no image")
    files = _with_usages_by_order(sorted(files, key=ImageFile.order), notes)
    faces, converted = read_images(files, reading)
    if any(f.path.suffix.lower() in (".jpg", ".jpeg") for f in files):
        notes.append("JPEG is lossy: pixels differ from fer2013.csv by some gray levels, and so does the fingerprint")
    for u, usage in enumerate(USAGES):
        found = set(faces.labels[faces.usage == u].tolist())
        missing = sorted(EMOTIONS[label] for label in range(len(EMOTIONS)) if label not in found)
        if missing and len(missing) < len(EMOTIONS):
            notes.append(f"{usage} holds no image of: {', '.join(missing)}")
    return Imported(
        faces, "image folder", str(root.resolve()), (*notes, *conversion_note(converted)), NUMBERS_NOTE in notes
    )


def read_images(files: list[ImageFile], reading: Reading) -> tuple[Faces, int]:
    """The faces of image files, in their order, and how many were converted from colour.

    DataError that names the first files that cannot be used, and their number; with `skip_bad` they are left out.
    """
    reading.budget.rows(str(files[0].path.parent), len(files))
    if not reading.budget.packed_bytes:  # the user's own folder: each image is a file that was paid for with its size
        reading.budget.cpu_s += _CPU_S_PER_IMAGE * len(files)

    def decode(file: ImageFile) -> tuple[np.ndarray, bool] | DataError:
        try:
            if regular_size(file.path) > LARGEST_IMAGE:
                raise DataError(f"{file.path}: more than {LARGEST_IMAGE:,} bytes; not a face of {SIDE} x {SIDE} pixels")
            return decode_face(file.path.read_bytes(), str(file.path))
        except OSError as error:
            return DataError(f"{file.path}: cannot be read ({error.strerror})")
        except DataError as error:
            return error

    images = np.empty((len(files), SIDE, SIDE), np.uint8)
    converted, kept, bad = 0, [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), _MOST_AT_ONCE):
            reading.budget.check_time(str(files[start].path.parent))
            for i, found in enumerate(pool.map(decode, files[start : start + _MOST_AT_ONCE]), start=start):
                if isinstance(found, DataError):
                    bad.append(found)
                    continue
                images[len(kept)] = found[0]
                converted += found[1]
                kept.append(i)
    if bad:
        _report(bad, len(files), reading)
    rows = [files[i] for i in kept]
    if not rows:
        raise bad[0]
    faces = Faces(
        images[: len(rows)],
        np.array([f.label for f in rows], np.uint8),
        np.array([f.usage for f in rows], np.uint8),
        np.arange(len(rows), dtype=np.int32),
    )
    return faces, converted


def _report(bad: list[DataError], n: int, reading: Reading) -> None:
    if reading.skip_bad or len(bad) == 1:
        for error in bad:
            reading.leave_out(error)
        return
    shown = "".join(f"\n  {error}" for error in bad[1:5]) + ("\n  ..." if len(bad) > 5 else "")
    reading.leave_out(DataError(f"{bad[0]}; and {len(bad) - 1:,} more of {n:,} files:{shown}\n{len(bad):,} in all"))
