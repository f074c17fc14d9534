"""What the system or a device refused, in one line: a full disk, a folder that cannot be written to, no memory."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

# What to do, by the number of the system's error.
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "your quota is used up: free some space",
    errno.EFBIG: "the file is larger than the system allows (ulimit -f)",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "name a folder that you may use, or change its permissions",
    errno.EPERM: "name a folder that you may use, or change its permissions",
    errno.EIO: "the disk or the network share reports an error; nothing half-written was kept",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "too many open files (ulimit -n)",
    errno.ENOENT: "it was removed, or never was there",
    errno.ESTALE: "the network share was lost",
}
# How TensorStore, under Orbax, names the system's error inside its own.
_OS_ERROR = re.compile(r"(?:OS error |os_error_code=')(\d+)")


def system_error(error: BaseException) -> OSError | None:
    """The system's error behind an exception: itself, its cause, or the one that its text names."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        if named := _OS_ERROR.search(str(seen)):
            number = int(named.group(1))
            return OSError(number, os.strerror(number))
        seen = seen.__cause__ or seen.__context__
    return None


def fault_text(error: BaseException, place: Path | str = "") -> str:
    """One line: the file or folder, what happened, and what to do.

    place: named if the error itself names no file. Any other error is described by its kind and its first line.
    """
    found = system_error(error)
    if found is None:
        first = str(error).partition("\n")[0]
        return f"{place}: {type(error).__name__}: {first}" if place else f"{type(error).__name__}: {first}"
    where = found.filename if found.filename is not None else place
    what = found.strerror or str(found)
    remedy = _REMEDIES.get(found.errno or 0)
    parts = [os.fsdecode(where) if isinstance(where, bytes) else str(where), what[:1].lower() + what[1:]]
    return ": ".join(part for part in parts if part) + (f"; {remedy}" if remedy else "")
