"""From image files to faces and emotions: decoded and searched in threads, classified in batches, in their order.

However many files there are, only a few chunks are in progress at once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
from PIL import Image

from repro.use.recognition.annotate import annotated
from repro.use.recognition.detection import Box
from repro.use.recognition.errors import PictureError
from repro.use.recognition.pictures import OTHER_SUFFIXES, SUFFIXES, full_size, read_picture
from repro.use.recognition.recogniser import RecognisedFace, Recogniser

Item = TypeVar("Item")
Result = TypeVar("Result")

# Files per chunk, which is one call of the network: a full batch if no time is needed for detection.
_FILES_WHOLE, _FILES_SEARCHED = 256, 16
_WORKERS = os.cpu_count() or 1
_AHEAD = 2 * _WORKERS  # chunks, or copies, in progress while the first is waited for
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")


@dataclass(frozen=True)
class PictureFile:
    """A file named by the user or found in a folder. copy: the place of its annotated copy, within --out.
    error: why it cannot be read at all."""

    path: Path
    copy: PurePath
    error: str = ""


@dataclass(frozen=True)
class Recognised:
    """The result for one file. width and height: of the image as it is in the file, upright; boxes are in its pixels.
    faces: empty if none was found, or on an error. smallest_face: in pixels; smaller ones were not searched for; None
    if the image itself is the face. copy: the file written for it."""

    source: PictureFile
    width: int = 0
    height: int = 0
    faces: tuple[RecognisedFace, ...] = ()
    smallest_face: int | None = None
    error: str = ""
    copy: Path | None = None


def find_pictures(paths: Iterable[Path], out: Path | None = None) -> Iterator[PictureFile]:
    """The named files, whatever their kind, and all images in the named folders and their subfolders, sorted by name.

    Skips hidden files, links to folders, and `out`, the folder of the copies. A folder that has no image or cannot be
    read is a source with an error.
    """
    for path in paths:
        if not path.is_dir():
            yield PictureFile(path, PurePath(path.name))
            continue
        copies = PurePath(path.resolve().name)
        found = False
        for source in _in_folder(path, copies, out.resolve() if out else None):
            found = True
            yield source
        if not found:
            yield PictureFile(path, copies, error=f"{path}: holds no picture")


def _in_folder(folder: Path, copies: PurePath, out: Path | None) -> Iterator[PictureFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield PictureFile(folder, copies, error=f"{folder}: cannot be read ({error.strerror})")
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if out is None or path.resolve() != out:
                yield from _in_folder(path, copies / entry.name, out)
        elif path.suffix.lower() in SUFFIXES + OTHER_SUFFIXES:
            yield PictureFile(path, copies / entry.name)


def recognise_files(sources: Iterable[PictureFile], recogniser: Recogniser, *, whole: bool) -> Iterator[Recognised]:
    """One result per source, in their order; a file that cannot be used has an error and does not stop the others.

    whole: each image is one face (the recogniser has no detector).
    """

    def cut_out(chunk: Sequence[PictureFile]) -> list[_CutOut]:
        return [_cut_out(source, recogniser) for source in chunk]

    for cuts in _in_order(cut_out, _chunks(sources, _FILES_WHOLE if whole else _FILES_SEARCHED)):
        rows = recogniser.classifier(np.concatenate([cut.faces_NHW for cut in cuts]))
        at = 0
        for cut in cuts:
            faces = tuple(recogniser.recognised(cut.boxes, rows[at : at + len(cut.boxes)]))
            at += len(cut.boxes)
            yield replace(cut.result, faces=faces)


@dataclass(frozen=True)
class _CutOut:
    result: Recognised
    boxes: list[Box]
    faces_NHW: np.ndarray


def _cut_out(source: PictureFile, recogniser: Recogniser) -> _CutOut:
    size = recogniser.classifier.trained.size
    none = np.empty((0, size, size), np.uint8)
    if source.error:
        return _CutOut(Recognised(source, error=source.error), [], none)
    try:
        picture = read_picture(source.path)
    except PictureError as error:
        return _CutOut(Recognised(source, error=str(error)), [], none)
    boxes, faces = recogniser.cut_out(picture)
    result = Recognised(source, *full_size(picture), smallest_face=recogniser.smallest_face(picture))
    return _CutOut(result, boxes, faces)


def write_copies(results: Iterable[Recognised], out: Path) -> Iterator[Recognised]:
    """The same results, with an annotated copy of each readable image written into `out`.

    Copies do not include the camera's metadata (place, time). No file is overwritten: copies with equal names are
    numbered. If a copy cannot be written, its result has an error.
    """
    taken: set[str] = set()

    def placed() -> Iterator[tuple[Recognised, Path]]:
        for result in results:
            yield result, out / _free_name(result.source.copy, taken)

    def write(job: tuple[Recognised, Path]) -> Recognised:
        result, path = job
        if result.error:
            return result
        try:
            picture = read_picture(result.source.path)
            shrunk = max(picture.size) / max(full_size(picture))  # a copy of a reduced image is reduced
            faces = (
                [replace(face, box=face.box.scaled(shrunk)) for face in result.faces] if shrunk < 1 else result.faces
            )
            copy = annotated(picture, faces)
            path.parent.mkdir(parents=True, exist_ok=True)
            _save_new(copy, path)
        except PictureError as error:
            return replace(result, error=str(error))
        except OSError as error:
            return replace(result, error=f"{path}: cannot be written ({error.strerror or error})")
        return replace(result, copy=path)

    return _in_order(write, placed())


def _save_new(picture: Image.Image, path: Path) -> None:
    with path.open("xb") as file:
        try:
            picture.save(file, "JPEG" if path.suffix.lower() in _JPEG else "PNG", quality=92)
        except BaseException:
            path.unlink()
            raise


def _free_name(copy: PurePath, taken: set[str]) -> PurePath:
    """The place of a copy, .png unless it is a JPEG; numbered if the name is taken, ignoring letter case."""
    if copy.suffix.lower() not in _JPEG:
        copy = copy.with_suffix(".png")
    free, number = copy, 2
    while str(free).casefold() in taken:
        free, number = copy.with_stem(f"{copy.stem}-{number}"), number + 1
    taken.add(str(free).casefold())
    return free


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def _in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map` in threads, a few items ahead of the reader."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # the reader stopped, or a call failed: pending items are dropped
            pool.shutdown(cancel_futures=True)
