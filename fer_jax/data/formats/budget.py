"""What one import may cost, counted in one place for every form: bytes that come out, members, samples and seconds."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fer_jax.data.faces import DataError
from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.errors import UserError

CHUNK = 1 << 20
# FER-2013 has 35,887 samples; copies with augmented images have some more.
MOST_ROWS = 250_000
# A face of 48 x 48 takes 1 to 8 kB as PNG or JPEG; metadata of editors adds some.
LARGEST_IMAGE = 1 << 20


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass
class Budget:
    """What may still be read during one import, whatever the containers and however they are nested.

    The largest known form, the Kaggle competition's zip, unpacks to about 0.7 GB in five files; the image folder has
    35,887 files.

    packed_bytes: size of the user's own files that were opened so far. cpu_s, cpu_s_per_mb: processor time allowed,
    and that allowed for each megabyte in addition; FER-2013 takes 0.01 s per megabyte as csv, 0.2 s as images.
    """

    bytes_left: int = 2 << 30
    members_left: int = 200_000
    depth_left: int = 3
    # Digits deflate to a third, int64 pixels to a tenth. Small archives are left alone, they can do no harm.
    largest_ratio: int = 20
    harmless_bytes: int = 64 << 20
    cpu_s: float = 28.0
    cpu_s_per_mb: float = 1.0
    packed_bytes: int = 0
    bytes_out: int = 0
    _started: float = field(default_factory=time.process_time)

    def admit(self, path: Path) -> None:
        """Count a file of the user: what comes out of it may be `largest_ratio` times as much.

        DataError unless it is a regular file: a pipe or a device never ends.
        """
        self.packed_bytes += regular_size(path)

    def claim(self, place: str, n: int) -> None:
        """DataError if `n` bytes, as a header claims, are more than may still come. Nothing is spent."""
        if n > self.bytes_left or (self.bytes_out + n > self.harmless_bytes and self._ratio(n) > self.largest_ratio):
            raise DataError(f"{place}: claims {counted(n, 'byte')}, more than FER-2013 can have; it was not read")

    def spend(self, place: str, n: int) -> None:
        """Count `n` bytes that came out. DataError beyond what FER-2013 can be."""
        self.bytes_left -= n
        self.bytes_out += n
        if self.bytes_left < 0 or (self.bytes_out > self.harmless_bytes and self._ratio(0) > self.largest_ratio):
            raise DataError(
                f"{place}: expands beyond what FER-2013 can be ({counted(self.bytes_out, 'byte')} so far from "
                f"{self.packed_bytes:,}); reading was stopped"
            )
        self.check_time(place)

    def member(self, place: str) -> None:
        """Count one file of a folder or an archive."""
        self.members_left -= 1
        if self.members_left < 0:
            raise DataError(f"{place}: too many members; FER-2013 has 35,887 images")
        if self.members_left % 256 == 0:
            self.check_time(place)

    def rows(self, place: str, n: int) -> None:
        """DataError if a dataset of `n` samples cannot be FER-2013."""
        if n > MOST_ROWS:
            raise DataError(f"{place}: {counted(n, 'row')}; at most {MOST_ROWS:,} are read (FER-2013 has 35,887)")

    def nest(self, place: str) -> None:
        """Count one archive within another."""
        self.depth_left -= 1
        if self.depth_left < 0:
            raise DataError(f"{place}: archives within archives within archives; unpack it yourself")

    def check_time(self, place: str) -> None:
        """DataError once reading has taken more processor time than a file of this size can need."""
        allowed = self.cpu_s + self.cpu_s_per_mb * self.packed_bytes / 1e6
        if time.process_time() - self._started > allowed:
            raise DataError(
                f"{place}: reading took more than {allowed:.0f} s of processor time, which no copy of FER-2013 needs; "
                "it was stopped"
            )

    def _ratio(self, more: int) -> float:
        return (self.bytes_out + more) / max(self.packed_bytes, 1)


class MeantOtherwise(DataError):
    """A sample that puts the reading of all others in doubt. It is not left out on request."""


@dataclass
class Reading:
    """One import: its budget, whether samples that cannot be used are left out, and which ones were."""

    budget: Budget = field(default_factory=Budget)
    skip_bad: bool = False
    skipped: list[str] = field(default_factory=list)

    def leave_out(self, error: DataError) -> None:
        """Keep the reason for leaving out a sample with `skip_bad`; otherwise raise it, with the way to continue."""
        if isinstance(error, MeantOtherwise):
            raise error
        if not self.skip_bad:
            raise DataError(f"{error}\n--skip-bad imports the rest") from error
        self.skipped.append(str(error))


class Counted:
    """The output of a decompressor, charged to the budget byte by byte, whatever the headers say."""

    def __init__(self, stream: Readable, budget: Budget, place: str) -> None:
        self._stream, self._budget, self._place = stream, budget, place

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(min(size, CHUNK) if size >= 0 else CHUNK)
        self._budget.spend(self._place, len(data))
        return data


def regular_size(path: Path) -> int:
    """Bytes of a file, links followed. DataError if it cannot be read, or is a device, a pipe or a folder."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: not a regular file (a device, a pipe, a folder, or a link to one)")
    return found.st_size


@contextmanager
def decoding(place: str, what: str, remedy: str = "fetch it again") -> Iterator[None]:
    """Around every decoder that is not ours: whatever it raises becomes a DataError with its own message.

    Decoders raise many kinds of errors for damaged input (struct.error, TokenError, RecursionError, ...), so no list
    is complete.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise DataError(f"{place}: needs more memory than is there, or than FER-2013 can need") from error
    except Exception as error:
        raise DataError(f"{place}: {what} ({_reason(error)}); {remedy}") from error


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    shown = f"{said[:160]}..." if len(said) > 160 else said
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
