"""The lock of a run's folder: one process at a time changes it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from repro.runs.records import CHECKPOINTS_NAME

# The system's errors where a file system has no locks (NFS without its lock service, some network and user-space ones).
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
# Temporary names of this version and of older ones.
_TEMPORARY = ("aside-*", ".run.json.*", ".predictions.npz.*", ".asked.json.*")


@contextmanager
def run_lock(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Held by whoever changes the folder; creates the folder. A second process waits for it.

    Temporary files of writers that were killed are removed: with the lock, nobody else writes here. On a file system
    without locks, `say` is called, and nothing is locked. Raises OSError if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / "run.lock")
    try:
        held.acquire()
    except (OSError, NotImplementedError) as error:  # the latter from older versions of filelock, for ENOSYS
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        say(f"{folder}: this file system has no locks; do not start this run twice at once")
    try:
        for place in (folder, folder / CHECKPOINTS_NAME):
            for left in (left for pattern in _TEMPORARY for left in place.glob(pattern)):
                left.unlink(missing_ok=True)
        yield
    finally:
        held.release()
