"""Zip, tar and gzip files, unpacked without trusting what they say about themselves."""

from __future__ import annotations

import errno
import gzip
import re
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import CHUNK, Budget, Counted, Readable, decoding
from fer_jax.data.formats.recognise import GZIP, TAR_GZ, ZIP
from fer_jax.data.formats.tar_stream import tar_members

# LZMA takes the size of its window from the file, up to 4 GB, and allocates it.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_LONGEST_NAME = 1024  # characters; file systems have 255 bytes per part


def unpack(archive: Path, kind: str, folder: Path, budget: Budget) -> None:
    """Unpack an archive of the given kind (see ``recognise``) into an empty folder.

    DataError if a member climbs out, is absolute, a link or a device; if it expands beyond the budget, however small
    its header says it is; or if the archive is damaged, cut off or encrypted. What was written until then stays in
    ``folder``, which the caller removes.
    """
    budget.nest(str(archive))
    with decoding(str(archive), "damaged, cut off or not readable"):
        if kind == ZIP:
            _unpack_zip(archive, folder, budget)
        elif kind == GZIP:
            name = archive.name.removesuffix(".gz") or "unpacked"
            with gzip.open(archive) as stream:
                _write(Counted(stream, budget, str(archive)), folder / name, archive, folder)
        else:
            with gzip.open(archive) if kind == TAR_GZ else archive.open("rb") as stream:
                _unpack_tar(archive, stream, folder, budget)


def _unpack_zip(path: Path, folder: Path, budget: Budget) -> None:
    with open_zip(path, budget) as archive:
        targets = []
        for member in archive.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{path}: member {member.filename[:80]!r} is a link; it was not unpacked")
            # filename is cut at a NUL by zipfile and has the system's separators; the check needs what was stored
            targets.append((member, _target(folder, member.orig_filename, path)))
        for member, target in targets:
            if target is not None:
                with archive.open(member) as stream:
                    _write(Counted(stream, budget, str(path)), target, path, folder)


def open_zip(path: Path, budget: Budget) -> zipfile.ZipFile:
    """A zip file whose list of members was checked: their number, sizes, and how they are packed. DataError."""
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        budget.member(str(path))
        place = f"{path}: member {member.filename[:80]!r}"
        if member.flag_bits & 1:
            raise DataError(f"{path}: encrypted; unpack it with its password and import the folder")
        if member.compress_type not in _METHODS:
            raise DataError(
                f"{place} is packed by a method that is not read ({member.compress_type}); unpack it yourself and "
                "import the folder"
            )
        budget.claim(place, member.file_size)
    return archive


def _unpack_tar(path: Path, stream: Readable, folder: Path, budget: Budget) -> None:
    for member in tar_members(Counted(stream, budget, str(path)), str(path), budget):
        target = _target(folder, member.name, path)
        if member.kind == "other":
            raise DataError(f"{path}: member {member.name[:80]!r} is a link, a device or sparse; it was not unpacked")
        if target is not None and member.kind == "file":
            _write(member, target, path, folder)


def _target(folder: Path, name: str, archive: Path) -> Path | None:
    """Where a member goes, None for a folder or clutter. DataError for a name that leads out of ``folder``.

    PowerShell 5 and old .NET programs separate folders by backslashes.
    """
    place = f"{archive}: member {name[:80]!r}"
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\0" in name or ".." in parts or re.match(r"^[A-Za-z]:", name):
        raise DataError(f"{place} leads out of the archive; it was not unpacked")
    if len(name) > _LONGEST_NAME or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        raise DataError(f"{place}: a name of {len(name):,} characters is too long for a file; it was not unpacked")
    if not parts or name.endswith("/") or any(p.startswith((".", "__MACOSX")) for p in parts):
        return None
    return folder.joinpath(*parts)


def _write(stream: Readable, target: Path, archive: Path, folder: Path) -> None:
    place = f"{archive}: member {str(target.relative_to(folder))[:80]}"
    if target.exists():
        raise DataError(f"{place} appears twice")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        out = target.open("xb")
    except OSError as error:
        raise _not_written(error, place) from error
    with out:
        while data := stream.read(CHUNK):
            try:
                out.write(data)
            except OSError as error:
                raise _not_written(error, place) from error


def _not_written(error: OSError, place: str) -> DataError:
    where = tempfile.gettempdir()
    if error.errno == errno.ENOSPC:
        return DataError(
            f"{place}: no space left in the temporary folder {where}; set TMPDIR to a folder with 2 GB free, or unpack "
            "the archive yourself and import the folder"
        )
    return DataError(f"{place}: cannot be unpacked into the temporary folder {where} ({error.strerror or error})")
