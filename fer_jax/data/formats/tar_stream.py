"""Tar archives, read from front to back by a reader of our own.

Python's tarfile follows what a header claims before anybody can look at it: a member of 2^60 bytes is skipped block by
block behind the end of the file, digits in a pax header take quadratic time (CVE-2024-6232), and long names may have
gigabytes. Datasets need little of the format: regular files, folders, and long names (POSIX.1-1988 ustar, the `path`
and `size` of POSIX.1-2001 pax headers, and GNU's `L`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fer_jax.data.faces import DataError
from fer_jax.data.formats.budget import Budget, Readable
from fer_jax.vocabulary.counted import counted

BLOCK = 512
# Names, times and comments; longer headers carry nothing that is needed here.
LARGEST_HEADER = 1 << 16
_FILE, _FOLDER = b"07\0", b"5"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"


@dataclass
class TarMember:
    """A member, readable until the next one is asked for. kind: 'file', 'folder' or 'other' (a link, a device, ...)."""

    name: str
    size: int
    kind: str
    _place: str
    _stream: Readable
    _left: int

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes of the content, b"" at its end. DataError if the archive ends before."""
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        data = self._stream.read(wanted)
        if not data:
            raise DataError(f"{self._place}: member {self.name[:80]!r} is cut off; fetch the archive again")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        while self.read(1 << 20):
            pass


def tar_members(stream: Readable, place: str, budget: Budget) -> Iterator[TarMember]:
    """The members in their order. DataError for a damaged or cut-off archive, or one beyond the budget."""
    long_name, pax = "", {}
    while True:
        header = _exactly(stream, BLOCK, place)
        if header == bytes(BLOCK):
            return
        _check_sum(header, place)
        budget.member(place)
        size, kind = _number(header[124:136], place), header[156:157]
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            if size > LARGEST_HEADER:
                raise DataError(
                    f"{place}: a header claims {counted(size, 'byte')}; at most {LARGEST_HEADER:,} are read"
                )
            content = _exactly(stream, size, place)
            _exactly(stream, -size % BLOCK, place)
            if kind == _LONG_NAME:
                long_name = _text(content)
            elif kind == _PAX:
                pax = _pax(content, place)
            continue
        if any(key.startswith("GNU.sparse") for key in pax):
            kind = b"S"
        if "size" in pax:
            size = _decimal(pax["size"], place)
        name = pax.get("path") or long_name or _name(header)
        budget.claim(f"{place}: member {name[:80]!r}", size)
        found = "folder" if kind == _FOLDER else "file" if kind in (b"0", b"7", b"\0") else "other"
        member = TarMember(name, size, found, place, stream, size if found == "file" else 0)
        yield member
        member.skip()
        if found == "file":
            _exactly(stream, -size % BLOCK, place)
        long_name, pax = "", {}


def _exactly(stream: Readable, n: int, place: str) -> bytes:
    parts = []
    while n:
        part = stream.read(n)
        if not part:
            raise DataError(f"{place}: cut off; fetch it again")
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def _check_sum(header: bytes, place: str) -> None:
    blank = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _number(header[148:156], place) != blank:
        raise DataError(f"{place}: damaged (the checksum of a header is wrong); fetch it again")


def _number(field: bytes, place: str) -> int:
    """Octal digits, or base 256 after a set high bit (GNU)."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise DataError(f"{place}: damaged (a number of a header is {digits[:12]!r}); fetch it again")
    return int(digits or b"0", 8)


def _decimal(text: str, place: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise DataError(f"{place}: damaged (a size is {text[:20]!r}); fetch it again")
    return int(text)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _pax(content: bytes, place: str) -> dict[str, str]:
    """The records `<length> <key>=<value>\\n` of a pax header."""
    found: dict[str, str] = {}
    at = 0
    while at < len(content) and content[at] != 0:
        blank = content.find(b" ", at, at + 8)
        length = content[at:blank] if blank > 0 else b""
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if end <= blank or end > len(content) or not equals or content[end - 1 : end] != b"\n":
            raise DataError(f"{place}: damaged (a pax header); fetch it again")
        found[_text(key)] = value.decode("utf-8", "replace")
        at = end
    return found
