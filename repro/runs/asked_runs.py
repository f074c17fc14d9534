"""The runs that each living process was asked for: a list in the results folder, so that others see what waits.

``queue/<host>-<process>/`` holds the list and the process's claim (`repro.runs.claim`), which says whether it lives.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fer_jax.machine.atomic_write import write_atomically
from repro.runs.claim import RunClaim, holder_of, take, this_process

_LIST = "runs.json"
_STRINGS = msgspec.json.Decoder(tuple[str, ...])


def queue_folder(results: Path) -> Path:
    return results / "queue"


@contextmanager
def asked_for(results: Path, folders: Sequence[Path]) -> Iterator[None]:
    """List these run folders while the context lasts. One run needs no list: its own folder says all.

    A list that cannot be written, as in a folder of another user, is left out: it only informs.
    """
    if len(folders) < 2:
        yield
        return
    place = queue_folder(results) / f"{this_process().host}-{os.getpid()}"
    claim = None
    with contextlib.suppress(OSError):
        _sweep(results)
        claim = take(place)
        names = [folder.relative_to(results).as_posix() for folder in folders]
        write_atomically(place / _LIST, msgspec.json.encode(names))
    try:
        yield
    finally:
        if isinstance(claim, RunClaim):
            claim.release()
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                _sweep(results)
                queue_folder(results).rmdir()  # if no other process has a list


def asked_runs(results: Path) -> list[Path]:
    """The run folders that living processes were asked for, each once."""
    found: dict[Path, None] = {}
    for place in _places(results):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            if holder_of(place) is not None:
                names = _STRINGS.decode((place / _LIST).read_bytes())
                found.update((results / name, None) for name in names if ".." not in Path(name).parts)
    return list(found)


def _sweep(results: Path) -> None:
    for place in _places(results):
        if holder_of(place) is None:
            shutil.rmtree(place, ignore_errors=True)


def _places(results: Path) -> list[Path]:
    folder = queue_folder(results)
    return sorted(place for place in folder.iterdir() if place.is_dir()) if folder.is_dir() else []
