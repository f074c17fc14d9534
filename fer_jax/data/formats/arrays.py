"""Named arrays to faces, whatever file they lie in: ``images`` and ``labels``, or ``x_train``, ``y_train``, ..."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_jax.data.faces import DataError, Faces, concatenate
from fer_jax.data.formats.budget import Reading
from fer_jax.data.formats.image import PIXELS, SIDE
from fer_jax.data.formats.imported import Imported
from fer_jax.data.formats.names import (
    TRAINING,
    emotion_label,
    is_split,
    shifted,
    split_usages,
    unknown_emotion,
    usage_index,
)
from fer_jax.vocabulary.fer2013 import EMOTIONS, UNLABELLED, USAGES

REMEDY = "save it with numpy.savez(path, images=uint8 (N, 48, 48), labels=integers (N,), usage=0, 1, 2 or names (N,))"
_LONGEST_TEXT = 256  # bytes per element of an array of names; the longest name in use has 11 letters
_HALF_PRECISION = 0.13  # gray levels: 255 times the rounding error of float16 below 1
_ROLES = (
    ("usage", {"usage", "usages", "split", "splits"}),
    ("labels", {"label", "labels", "y", "target", "targets", "emotion", "emotions", "class", "classes"}),
    ("images", {"image", "images", "x", "data", "face", "faces", "pixel", "pixels", "img", "imgs", "set", "features"}),
)
_NUMBERED = {"arr_0": ("images", ""), "arr_1": ("labels", ""), "arr_2": ("usage", "")}  # numpy.savez without names
_SHAPES = ((SIDE, SIDE), (SIDE, SIDE, 1), (1, SIDE, SIDE), (PIXELS,))
_COLOURS = {(SIDE, SIDE, 3): 3, (3, SIDE, SIDE): 1}  # gray images three times over, by the axis of the copies


@dataclass(frozen=True)
class ArraySource:
    """An array that was not read yet: what its header says, and how to read it."""

    name: str
    place: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def role_of(name: str) -> tuple[str, str] | None:
    """('images' | 'labels' | 'usage', split or '') of a name such as ``X_train``; None for an unknown name."""
    if name in _NUMBERED:
        return _NUMBERED[name]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    spaced = re.sub(r"\b([xy])(?=(train|val|test))", r"\1 ", spaced.replace("_", " "))
    words = re.findall(r"[a-z]+", spaced)
    joined = re.sub(r"\b(public|private)(?: test)?\b", r"\1test", " ".join(words)).split()
    split = next((word for word in joined if is_split(word)), "")
    for role, known in _ROLES:
        if known & set(joined):
            return role, split
    return None


def read_arrays(sources: Iterable[ArraySource], form: str, path: Path, reading: Reading) -> Imported:
    """The faces of a set of arrays in the file or folder `path`. DataError naming array and row.

    Names, shapes and types are checked before anything is read.
    """
    sources, place = list(sources), str(path)
    groups: dict[str, dict[str, ArraySource]] = {}
    for source in sources:
        found = role_of(source.name)
        if found is None:
            continue
        role, split = found
        other = groups.setdefault(split, {}).setdefault(role, source)
        if other is not source:
            raise DataError(f"{place}: the arrays {other.name} and {source.name} both seem to be {role}; {REMEDY}")
    incomplete = [group for group in groups.values() if not {"images", "labels"} <= group.keys()]
    if not groups or incomplete or ("" in groups and len(groups) > 1):
        named = ", ".join(source.name[:40] for source in sources[:8]) + (", ..." if len(sources) > 8 else "")
        raise DataError(f"{place}: holds the arrays {named or '(none)'}; expected images and labels: {REMEDY}")
    total = sum(_check_images(group["images"], reading) for group in groups.values())
    reading.budget.rows(place, total)
    usages, notes = split_usages(split for split in groups if split)
    parts, all_notes = [], [*notes]
    for split in sorted(groups, key=lambda name: usages.get(name, TRAINING)):
        faces, said = _part(groups[split], usages.get(split), reading)
        parts.append(faces)
        all_notes += [note for note in said if note not in all_notes]
    joined = concatenate(parts)
    faces = joined.changed(origin=np.arange(len(joined), dtype=np.int32))
    unread = [source.name[:40] for source in sources if role_of(source.name) is None]
    if unread:
        all_notes.append(f"arrays that were not read: {', '.join(unread[:5])}" + (", ..." if len(unread) > 5 else ""))
    numbered = any(group["labels"].dtype.kind not in "US" for group in groups.values())
    return Imported(faces, form, str(path.resolve()), tuple(all_notes), numbered)


def _part(group: dict[str, ArraySource], usage: int | None, reading: Reading) -> tuple[Faces, Sequence[str]]:
    n = group["images"].shape[0]
    _check_labels(group["labels"], n, reading)
    if "usage" in group:
        _check_usage(group["usage"], n, reading)
    images, notes = _images(group["images"])
    labels = _labels(group["labels"].read(), group["labels"].place)
    if "usage" in group:
        splits, said = _usage(group["usage"].read(), group["usage"].place)
        notes += said
    else:
        splits = np.full(n, TRAINING if usage is None else usage, np.uint8)
        if usage is None:
            notes.append("no usage array: every row is taken as Training")
    return Faces(images, labels, splits, np.arange(n, dtype=np.int32)), notes


def _claim(source: ArraySource, reading: Reading) -> None:
    if source.dtype.hasobject:
        raise DataError(f"{source.place}: holds Python objects, which are never unpickled; {REMEDY}")
    reading.budget.claim(source.place, math.prod(source.shape) * source.dtype.itemsize)


def _check_images(source: ArraySource, reading: Reading) -> int:
    _claim(source, reading)
    if source.shape[1:] not in (*_SHAPES, *_COLOURS):
        raise DataError(f"{source.place}: shape {source.shape}, expected (N, {SIDE}, {SIDE}); {REMEDY}")
    if not source.shape[0]:
        raise DataError(f"{source.place}: holds no row")
    if source.dtype.kind not in "iuf" or source.dtype.itemsize > 8:
        raise DataError(f"{source.place}: dtype {source.dtype}, expected uint8 (0 black to 255 white); {REMEDY}")
    return source.shape[0]


def _check_labels(source: ArraySource, n: int, reading: Reading) -> None:
    _claim(source, reading)
    shapes = ((n,), (n, 1), (n, len(EMOTIONS)))
    if source.shape not in shapes or source.dtype.kind not in "iufUSb" or source.dtype.itemsize > _LONGEST_TEXT:
        raise DataError(
            f"{source.place}: shape {source.shape} of {source.dtype}, expected ({n},) of integers, or one-hot "
            f"({n}, {len(EMOTIONS)}); {REMEDY}"
        )


def _check_usage(source: ArraySource, n: int, reading: Reading) -> None:
    _claim(source, reading)
    if source.shape != (n,) or source.dtype.kind not in "iuUS" or source.dtype.itemsize > _LONGEST_TEXT:
        raise DataError(f"{source.place}: shape {source.shape} of {source.dtype}, expected ({n},); {REMEDY}")


def _first_row(bad: np.ndarray) -> int:
    return int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0])


def _images(source: ArraySource) -> tuple[np.ndarray, list[str]]:
    array, notes = source.read(), []
    if (axis := _COLOURS.get(array.shape[1:])) is not None:
        array, copies = np.take(array, 0, axis), array
        if not all(np.array_equal(array, np.take(copies, i, axis)) for i in (1, 2)):
            raise DataError(f"{source.place}: images in colour; convert them to gray. {REMEDY}")
        notes.append("three equal colour channels were read as one")
    out = np.empty((len(array), SIDE, SIDE), np.uint8)
    fractions = array.dtype.kind == "f" and bool(array.size) and float(np.nanmax(array)) <= 1.0
    if fractions:
        notes.append("pixels between 0 and 1 were multiplied by 255")
    scale = np.float64(255 if fractions else 1)
    for start in range(0, len(array), 1024):  # a block at a time: copies of the whole would take several times as much
        levels = array[start : start + 1024]
        apart = None
        if array.dtype.kind == "f":
            exact = levels * scale
            levels = np.rint(exact)
            apart = np.abs(levels - exact) > _HALF_PRECISION
        inside = (levels >= 0) & (levels <= 255)  # False for NaN
        if not inside.all():
            row = start + _first_row(~inside)
            normalised = "; normalised pixels cannot be turned back" if array.dtype.kind == "f" else ""
            raise DataError(f"{source.place}, row {row:,} (the first is 0): a pixel outside 0 to 255{normalised}")
        if apart is not None and apart.any():
            row = start + _first_row(apart)
            raise DataError(
                f"{source.place}, row {row:,} (the first is 0): a pixel is not a whole gray level; normalised or "
                "resized pixels cannot be turned back"
            )
        out[start : start + 1024] = levels.reshape(-1, SIDE, SIDE)
    return out, notes


def _labels(array: np.ndarray, place: str) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == len(EMOTIONS) and array.dtype.kind in "iufb":
        hot = array != 0
        bad = (hot.sum(axis=1) != 1) | (array.max(axis=1) != 1)
        if bad.any():
            raise DataError(f"{place}, row {_first_row(bad):,} (the first is 0): not one-hot (a single 1 among zeros)")
        return hot.argmax(axis=1).astype(np.uint8)
    array = array.reshape(-1)
    if array.dtype.kind in "US":
        return _named(array, place, emotion_label, unknown_emotion)
    with np.errstate(invalid="ignore"):
        bad = (array != UNLABELLED) & ~((array >= 0) & (array < len(EMOTIONS)) & (array == np.floor(array)))
    if bad.any():
        row = _first_row(bad)
        raise DataError(
            f"{place}, row {row:,} (the first is 0): label {array[row]}; it is 0 (angry) to 6 (neutral), or 255 if "
            f"unknown{shifted(float(array[row]))}"
        )
    return array.astype(np.uint8)


def _named(
    array: np.ndarray, place: str, look_up: Callable[[str], int | None], unknown: Callable[[str], str]
) -> np.ndarray:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    names, inverse = np.unique(array, return_inverse=True)
    found = [look_up(str(name)) for name in names]
    if None in found:
        raise DataError(f"{place}: {unknown(str(names[found.index(None)]))}")
    return np.array(found, np.uint8)[inverse]


def _usage(array: np.ndarray, place: str) -> tuple[np.ndarray, list[str]]:
    if array.dtype.kind in "US":
        text = np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
        names = [str(name) for name in np.unique(text)]
        if all(is_split(name) for name in names):
            usages, notes = split_usages(names)
            return _named(text, place, usages.get, repr), list(notes)
        accepted = f"accepted are {', '.join(USAGES)}"
        return _named(text, place, usage_index, lambda name: f"usage {name[:40]!r}; {accepted}"), []
    bad = (array < 0) | (array >= len(USAGES))
    if bad.any():
        row = _first_row(bad)
        raise DataError(f"{place}, row {row:,} (the first is 0): usage {array[row]}; accepted are 0, 1, 2 ({USAGES})")
    return array.astype(np.uint8), []
