"""Folders for code that this process will execute: nobody but the user, and root, can change what is in them.

Whoever can write to such a folder, or rename one above it, can run code as the user. So these folders are made with
mode 0700 whatever the umask is, and the whole way to them is checked before anything is loaded.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40  # as many symbolic links as Linux follows in one path


class UnsafeFolder(OSError):
    """Other users can change what is in a folder, or put another folder in its place. The message says where."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.strerror = why


def private_folder(folder: Path) -> Path:
    """The absolute folder, made with mode 0700 if it does not exist.

    Raises UnsafeFolder if others can change it, and OSError if it cannot be made.
    """
    folder = folder.absolute()
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "is not a folder", str(folder))
    for place in _way_to(folder):
        _check(place, last=place == folder.resolve())
    return folder


def belongs_to_user_alone(path: Path) -> bool:
    """Whether a file, itself no link, belongs to the user or root, and nobody else can write to it."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_uid in _trusted() and not _others_write(status)


def _way_to(path: Path) -> Iterator[Path]:
    """Every folder and link that decides where an absolute path leads, from the root on, and the folder itself."""
    at, parts, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    yield at
    while parts:
        part = parts.pop()
        following = at.parent if part == ".." else at / part
        if following.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise UnsafeFolder(f"{path}: too many symbolic links")
            yield following
            target = Path(os.readlink(following))
            at = Path(target.anchor) if target.is_absolute() else at
            parts.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        else:
            at = following
            yield at


def _check(place: Path, *, last: bool) -> None:
    status = place.lstat()
    if status.st_uid not in _trusted():
        raise UnsafeFolder(f"{place} belongs to another user")
    if stat.S_ISLNK(status.st_mode):
        return  # who may change a link is said by its owner and its folder
    # In a folder with the sticky bit, such as /tmp, only the owner of an entry can rename or remove it.
    if _others_write(status) and (last or not status.st_mode & stat.S_ISVTX):
        raise UnsafeFolder(f"{place} can be written to by other users (mode {stat.S_IMODE(status.st_mode):04o})")


def _trusted() -> tuple[int, int]:
    """The user, and root, who can change everything anyway."""
    return os.getuid(), 0


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_users_own_group(status.st_gid)


def _is_users_own_group(group: int) -> bool:
    """Whether it is the group of the user's name in which nobody else is. Systems that make one for every user also
    set the umask to 002, so that such a user's folders are writable for that group."""
    try:
        user, found = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_gid == group and user.pw_name == found.gr_name and set(found.gr_mem) <= {user.pw_name}
