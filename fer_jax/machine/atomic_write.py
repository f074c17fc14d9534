"""Files and folders that appear complete or not at all, even if the process is killed or the disk is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def placed_whole(path: Path) -> Iterator[Path]:
    """A temporary place beside `path` to write its content to. The file takes its name only after success, so that
    other processes see the old file or the whole new one. Raises OSError, which names the file, if that is not
    possible."""
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_in(path.parent)
        yield aside
        _flush(aside)
        os.replace(aside, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, aside, str(aside)):
            error.filename = str(path)
        raise
    finally:
        if aside is not None:
            with contextlib.suppress(
                OSError
            ):  # a folder that was deleted or cannot be written to; the error above says so
                aside.unlink(missing_ok=True)


@contextmanager
def folder_placed_whole(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to write into, which takes its name only after success. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_in(path.parent)
    aside.mkdir()
    try:
        yield aside
        os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_atomically(path: Path, payload: bytes) -> Path:
    """Write a file through `placed_whole`, readable by everybody, and return its path. Raises OSError."""
    with placed_whole(path) as aside:
        aside.write_bytes(payload)
        aside.chmod(0o644)
    return path


def aside_in(folder: Path) -> Path:
    """A new temporary name in the folder. `fer_jax.data.cache` removes such files when they are old."""
    return folder / f"aside-{uuid.uuid4().hex}"


def _flush(path: Path) -> None:
    """Write to disk before the file takes its name: after a power cut the name must not lead to an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
