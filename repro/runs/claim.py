"""Who works on a run: a claim in its folder, taken by one process at a time on one machine or on many.

A claim is a file ``claim-N.json``. It is created exclusively, which is atomic on local disks and on NFS, and needs no
locks. The highest N holds the run. Whoever finds that its holder has died creates N + 1; of several only one can.

A holder renews its file every few seconds (the heartbeat), with the epoch that it has reached. On the holder's own
machine the list of processes says whether it lives. Elsewhere a claim that was not renewed for `STALE_S` counts as left
behind. Both times are of the file system, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fer_jax.machine.atomic_write import aside_in, write_atomically
from fer_jax.vocabulary.errors import UserError
from repro.runs.records import CHECKPOINTS_NAME

BEAT_S = 5.0
STALE_S = 90.0  # a host under load, or with its disk busy, may miss some beats
POLL_S = 1.0  # between looks at a run that another process holds
AGAIN_S = 60.0  # between messages about the same holder
# Temporary names of this version and of older ones; older ones also left a lock.
_TEMPORARY = ("aside-*", ".run.json.*", ".predictions.npz.*", ".asked.json.*", "run.lock")
_NAME = re.compile(r"claim-(\d{1,9})\.json")


class ClaimLost(UserError):
    """Another process holds the run now."""


class Holder(msgspec.Struct, frozen=True):
    """The process that works on a run, and how far it is.

    machine: the same for processes that see each other in the list of processes; empty if unknown. started: when the
    process started, in the unit of that list. epoch of epochs, images_per_s, left_s: of the run; 0 before the first
    epoch ends.
    """

    host: str = "an unknown host"
    pid: int = 0
    machine: str = ""
    started: int = 0
    since: str = ""
    beat: int = 0
    epoch: int = 0
    epochs: int = 0
    images_per_s: float = 0.0
    left_s: float = 0.0

    def spoken(self) -> str:
        """For example ``lab2, process 1234, epoch 7 of 50``."""
        process = f"{self.host}, process {self.pid}" if self.pid else self.host
        return f"{process}, epoch {self.epoch} of {self.epochs}" if self.epoch else process


def this_process() -> Holder:
    """This process as a holder."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(socket.gethostname(), os.getpid(), _machine(), _start_of(os.getpid()) or 0, now)


class RunClaim:
    """A run that this process holds, from `take` until `release`."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path = path
        self._holder = holder
        self._released = threading.Event()
        self._lost_looks = 0
        self._writing = threading.Lock()  # the heartbeat and `progress` write the same file
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether another process has taken the run, because this one did not renew its claim for too long."""
        return self._lost_looks > 1

    def progress(self, epoch: int, epochs: int, images_per_s: float, left_s: float) -> None:
        """Say how far the run is; others see it at the next heartbeat.

        Raises ClaimLost if another process holds the run now.
        """
        if self.lost:
            raise ClaimLost(f"{self.path.parent}: another process has taken this run over; it resumes its checkpoints")
        with self._writing:
            self._holder = msgspec.structs.replace(
                self._holder, epoch=epoch, epochs=epochs, images_per_s=images_per_s, left_s=left_s
            )

    def release(self) -> None:
        """Give the run free. The file goes; so do those of dead holders."""
        self._released.set()
        self._thread.join()
        own = _number(self.path)
        for number, path in sorted(_claims(self.path.parent).items()):
            if number <= own:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            with contextlib.suppress(OSError):  # a full disk, or a folder that was removed: the run itself will say so
                # One look may meet a process that creates a claim and takes it back (see `take`).
                newer = max(_claims(self.path.parent), default=0) > _number(self.path)
                self._lost_looks = self._lost_looks + 1 if newer else 0
                if not newer:
                    self._write()

    def _write(self) -> None:
        with self._writing:
            self._holder = msgspec.structs.replace(self._holder, beat=self._holder.beat + 1)
            payload = msgspec.json.encode(self._holder)
        if self.path.parent.is_dir():
            write_atomically(self.path, payload)


def take(folder: Path) -> RunClaim | Holder:
    """Claim the run of a folder, which is created; or the living holder if another process has it.

    Temporary files of writers that were killed are removed: nobody else writes here. Raises OSError if the folder
    cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = this_process()
    while True:
        there = _claims(folder)
        last = max(there, default=0)
        content = _content(there[last]) if last else None
        if last and content is not None and is_alive(folder, there[last], content):
            return holder_in(content)
        path = folder / f"claim-{last + 1}.json"
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(msgspec.json.encode(own))
        except OSError:  # a full disk: an empty claim would hold the run for a while
            path.unlink(missing_ok=True)
            raise
        if last and _content(there[last]) != content:
            # The dead holder's file has gone or changed meanwhile: the run was taken and given back by another process.
            path.unlink(missing_ok=True)
            continue
        _sweep(folder)
        return RunClaim(path, own)


@contextmanager
def held(folder: Path, say: Callable[[str], None]) -> Iterator[RunClaim]:
    """Claim the run of a folder, and wait for whoever has it: `say` gets for whom. Raises OSError as `take`."""
    last: tuple[str, float] | None = None
    while isinstance(found := take(folder), Holder):
        name, now = f"{found.host} {found.pid}", time.monotonic()
        if last is None or last[0] != name or now - last[1] > AGAIN_S:
            last = name, now
            say(f"{folder}: waiting for {found.spoken()}, which works on this run")
        time.sleep(POLL_S)
    try:
        yield found
    finally:
        found.release()


def holder_of(folder: Path, *, exactly: bool = False) -> Holder | None:
    """The living holder of a run. Nothing is written, so a holder on another machine is judged by this machine's clock;
    with `exactly` by the file system's, for which a temporary file is written."""
    there = _claims(folder)
    path = there[max(there)] if there else None
    content = _content(path) if path else None
    if path is None or content is None:
        return None
    if exactly:
        return holder_in(content) if is_alive(folder, path, content) else None
    holder = holder_in(content)
    lives = _lives_here(holder)
    if lives is None:
        try:
            lives = time.time() - path.stat().st_mtime < STALE_S
        except OSError:
            return None
    return holder if lives else None


def is_alive(folder: Path, path: Path, content: bytes) -> bool:
    """Whether the holder of a claim works on its run. Writes a temporary file to know the file system's time."""
    lives = _lives_here(holder_in(content))
    if lives is not None:
        return lives
    try:
        with path.open("rb") as file:  # opening makes NFS ask the server for the current times
            renewed = os.fstat(file.fileno()).st_mtime
    except OSError:
        return False
    clock = aside_in(folder)
    try:
        clock.touch(exist_ok=False)
        return clock.stat().st_mtime - renewed < STALE_S
    except FileNotFoundError:  # swept by a process that has just taken the run
        return True
    finally:
        clock.unlink(missing_ok=True)


def holder_in(content: bytes) -> Holder:
    """The holder that a claim names. A claim that is being written may be empty."""
    try:
        return msgspec.json.decode(content, type=Holder)
    except msgspec.DecodeError:
        return Holder()


def _lives_here(holder: Holder) -> bool | None:
    """Whether a holder on this machine lives; None if it is on another one, or if that cannot be known."""
    if not holder.machine or holder.machine != _machine():
        return None
    started = _start_of(holder.pid)
    return started is not None and started == holder.started


def _machine() -> str:
    """This start of this machine and its list of processes: containers on one machine have one each."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return ""


def _start_of(pid: int) -> int | None:
    """When a process of this machine started, in clock ticks since the machine's start; None if there is none."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()  # the name before it may hold blanks
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _claims(folder: Path) -> dict[int, Path]:
    """The claims in a folder by number."""
    found = ((_NAME.fullmatch(name), name) for name in _names(folder))
    return {int(match[1]): folder / name for match, name in found if match}


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match
    return int(match[1])


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _sweep(folder: Path) -> None:
    for place in (folder, folder / CHECKPOINTS_NAME):
        for left in (left for pattern in _TEMPORARY for left in place.glob(pattern)):
            left.unlink(missing_ok=True)
