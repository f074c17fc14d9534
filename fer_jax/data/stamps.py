"""Whether a file or folder has changed since it was read, without reading it again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def stamp_of(path: Path) -> str:
    """Size and time of change of a file; a digest over those of every file in a folder. Raises OSError."""
    if path.is_file():
        about = path.stat()
        return f"{about.st_size}:{about.st_mtime_ns}"
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            about = os.stat(os.path.join(folder, name), follow_symlinks=True)
            line = f"{os.path.relpath(folder, path)}\0{name}\0{about.st_size}\0{about.st_mtime_ns}\n"
            digest.update(os.fsencode(line))
    return f"folder:{digest.hexdigest()}"
