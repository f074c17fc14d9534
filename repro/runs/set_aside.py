"""A run of earlier settings (an edited spec, another version of the code) makes way for the one that is asked for now.

Both have one folder. The earlier one is kept beside it, ``seed-0-before-<digest of its identity>/``, with its record,
predictions, network and half-finished checkpoints. If its settings are asked for again, it is moved back. Reports show
it as outdated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from repro.runs.history_file import HISTORY_NAME
from repro.runs.network_files import NETWORK_RECORD_NAME
from repro.runs.predictions import PREDICTIONS_NAME
from repro.runs.record_files import UnreadableError
from repro.runs.records import CHECKPOINTS_NAME, RECORD_NAME, RunRecord, marker_path
from repro.runs.stored_records import read_record

NO_RUN = b"{}"  # content of the marker while the folder is cleared: no run's identity
_BEFORE = "-before-"


def aside_folder(folder: Path, identity: bytes) -> Path:
    """Where a run of this identity is kept while its folder holds another."""
    return folder.with_name(f"{folder.name}{_BEFORE}{hashlib.sha256(identity).hexdigest()[:8]}")


def is_set_aside(folder: Path) -> bool:
    """Whether this is the folder of a run of earlier settings."""
    return _BEFORE in folder.name


def make_way(
    folder: Path,
    own: bytes,
    identity_of: Callable[[RunRecord], bytes],
    say: Callable[[str], None],
    *,
    replace: bool = False,
) -> None:
    """Move what belongs to a run of another identity than `own` out of the folder, and `say` so in one line.

    What says whose it is (the marker in the checkpoints of a run that has not ended, else the record) is moved last, so
    that after a kill the next process moves the rest. A record of a run that never made an epoch stays to be replaced.
    So does, with `replace`, one that cannot be read; otherwise that is moved too, since a newer version of the suite or
    the user may still make something of it.
    """
    marker = marker_path(folder)
    begun = marker.read_bytes() if marker.exists() else NO_RUN
    ended = (HISTORY_NAME, PREDICTIONS_NAME, NETWORK_RECORD_NAME, RECORD_NAME)
    if begun not in (NO_RUN, own):
        _move(folder, aside_folder(folder, begun), (*ended, CHECKPOINTS_NAME), say)
        return
    try:
        record = read_record(folder / RECORD_NAME)
    except FileNotFoundError:
        return
    except UnreadableError as error:
        if not replace:
            names = ended if marker.exists() else (CHECKPOINTS_NAME, *ended)
            _move(folder, folder.with_name(f"{folder.name}{_BEFORE}unreadable"), names, say, error.what)
        return
    other = identity_of(record)
    if other != own and (record.status != "failed" or record.history):
        # With a marker, the checkpoints are the own run's, or those of a folder that was being cleared.
        names = ended if marker.exists() else (CHECKPOINTS_NAME, *ended)
        _move(folder, aside_folder(folder, other), names, say)


def bring_back(folder: Path, aside: Path) -> None:
    """Move a run from where it was set aside into its folder. `make_way` has left there what need not be kept."""
    for name in (CHECKPOINTS_NAME, HISTORY_NAME, PREDICTIONS_NAME, NETWORK_RECORD_NAME, RECORD_NAME):
        if (aside / name).exists():
            if name == CHECKPOINTS_NAME:
                shutil.rmtree(folder / name, ignore_errors=True)
            (aside / name).rename(folder / name)  # over the record of a failure
    with contextlib.suppress(OSError):
        aside.rmdir()  # unless something else is in it


def _move(folder: Path, target: Path, names: Sequence[str], say: Callable[[str], None], why: str = "") -> None:
    found = [name for name in names if os.path.lexists(folder / name)]
    free = (target, *(target.with_name(f"{target.name}-{number}") for number in range(2, 1000)))
    target = next(one for one in free if not any((one / name).exists() for name in found))
    target.mkdir(exist_ok=True)
    for name in found:
        (folder / name).rename(target / name)
    held = f"{why}; it is kept" if why else f"{folder}: held a run of earlier settings, which is kept"
    say(f"{held} beside it in {target.name}")
