"""Zip, tar and gzip files, unpacked without trusting what they say about themselves."""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from fer_jax.data.faces import DataError
from fer_jax.data.formats.recognise import GZIP, TAR_GZ, ZIP

_CHUNK = 1 << 20
_DAMAGED = (
    EOFError,
    OSError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass
class Budget:
    """How much may still be unpacked, from an archive and the archives inside it.

    The largest known form, the Kaggle competition's zip, unpacks to about 0.7 GB in five files; the image folder has
    35,887 files.
    """

    bytes_left: int = 2 << 30
    members_left: int = 200_000
    depth_left: int = 3
    # Digits deflate to about a third; a thousandfold is a bomb. Small archives are left alone, they can do no harm.
    largest_ratio: int = 200
    harmless_bytes: int = 64 << 20


def _target(folder: Path, name: str, archive: Path) -> Path | None:
    """Where a member goes, None for a folder or clutter. DataError for a name that leads out of ``folder``."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or re.match(r"^[A-Za-z]:", name):
        raise DataError(f"{archive}: member {name[:80]!r} leads out of the archive; it was not unpacked")
    if not parts or name.endswith("/") or any(p.startswith((".", "__MACOSX")) for p in parts):
        return None
    return folder.joinpath(*parts)


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Unpacker:
    def __init__(self, archive: Path, folder: Path, budget: Budget) -> None:
        self.archive, self.folder, self.budget = archive, folder, budget
        self.packed_bytes = archive.stat().st_size
        self.unpacked_bytes = 0

    def count_member(self) -> None:
        self.budget.members_left -= 1
        if self.budget.members_left < 0:
            raise DataError(f"{self.archive}: too many members; unpack it yourself and import the folder")

    def write(self, stream: _Readable, target: Path) -> None:
        if target.exists():
            raise DataError(f"{self.archive}: member {target.relative_to(self.folder)} stands in it twice")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            shutil.copyfileobj(stream, out, _CHUNK)

    def spend(self, n: int) -> None:
        budget = self.budget
        budget.bytes_left -= n
        self.unpacked_bytes += n
        ratio = self.unpacked_bytes / max(self.packed_bytes, 1)
        if budget.bytes_left < 0 or (self.unpacked_bytes > budget.harmless_bytes and ratio > budget.largest_ratio):
            raise DataError(
                f"{self.archive}: expands beyond what FER-2013 can be ({self.unpacked_bytes:,} bytes so far from "
                f"{self.packed_bytes:,}); unpacking was stopped"
            )


class _Counted:
    """The output of a decompressor, charged to the budget byte by byte, whatever the headers say."""

    def __init__(self, stream: _Readable, unpacker: _Unpacker) -> None:
        self._stream, self._unpacker = stream, unpacker

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self._unpacker.spend(len(data))
        return data


def _unpack_zip(unpacker: _Unpacker) -> None:
    with zipfile.ZipFile(unpacker.archive) as archive:
        targets = []
        for member in archive.infolist():
            unpacker.count_member()
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{unpacker.archive}: member {member.filename!r} is a link; it was not unpacked")
            if member.flag_bits & 1:
                raise DataError(f"{unpacker.archive}: encrypted; unpack it with its password and import the folder")
            # filename is cut at a NUL by zipfile and has the system's separators; the check needs what was stored
            targets.append((member, _target(unpacker.folder, member.orig_filename, unpacker.archive)))
        for member, target in targets:
            if target is not None:
                with archive.open(member) as stream:
                    unpacker.write(_Counted(stream, unpacker), target)


def _unpack_tar(unpacker: _Unpacker, stream: _Readable) -> None:
    # Streamed reading ("|") never seeks back, so that a compressed archive is decompressed once, and counted once.
    counted: Any = _Counted(stream, unpacker)  # tarfile asks for nothing but read() when it streams
    with tarfile.open(fileobj=counted, mode="r|") as archive:
        for member in archive:
            unpacker.count_member()
            target = _target(unpacker.folder, member.name, unpacker.archive)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise DataError(
                    f"{unpacker.archive}: member {member.name!r} is a link, a device or sparse; it was not unpacked"
                )
            content = archive.extractfile(member)
            if target is not None and content is not None:
                unpacker.write(content, target)


def unpack(archive: Path, kind: str, folder: Path, budget: Budget) -> None:
    """Unpack an archive of the given kind (see ``recognise``) into an empty folder.

    DataError if a member climbs out, is absolute, a link or a device; if it expands beyond the budget, however small
    its header says it is; or if the archive is damaged, cut off or encrypted. What was written until then stays in
    ``folder``, which the caller removes.
    """
    budget.depth_left -= 1
    if budget.depth_left < 0:
        raise DataError(f"{archive}: archives within archives within archives; unpack it yourself")
    unpacker = _Unpacker(archive, folder, budget)
    try:
        if kind == ZIP:
            _unpack_zip(unpacker)
        elif kind == GZIP:
            name = archive.name.removesuffix(".gz") or "unpacked"
            with gzip.open(archive) as stream:
                unpacker.write(_Counted(stream, unpacker), folder / name)
        else:
            with gzip.open(archive) if kind == TAR_GZ else archive.open("rb") as stream:
                _unpack_tar(unpacker, stream)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DataError(
                f"{archive}: no space left to unpack it under {folder}; set TMPDIR to a folder with 2 GB free, or "
                "unpack it yourself and import the folder"
            ) from error
        raise DataError(f"{archive}: damaged, cut off or not readable ({error}); fetch it again") from error
