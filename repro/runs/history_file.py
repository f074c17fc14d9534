"""``history.jsonl`` in a run's folder: an entry per epoch, written as it happens, for trackers and for the eye.

It is a copy. The record and the checkpoints do not need it, and a run that cannot write it is trained all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from fer_jax.machine.atomic_write import write_atomically

HISTORY_NAME = "history.jsonl"


class HistoryFile:
    """One run's file. A process that resumes a run rewrites it from the epochs that it resumes from."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY_NAME
        self._written = 0  # entries that this process has written; 0: the file may be of an earlier process

    def take(self, history: Sequence[dict[str, Any]]) -> None:
        """Write the entries that are new. history: all so far, each as in `repro.runs.records.Epoch`."""
        with contextlib.suppress(OSError):
            if self._written and len(history) > self._written:
                with self.path.open("ab") as file:
                    file.write(_lines(history[self._written :]))
            else:
                write_atomically(self.path, _lines(history))
            self._written = len(history)


def _lines(entries: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
