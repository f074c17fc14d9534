"""A sign of life: what a command is doing, said whenever nothing was shown for a few seconds. Imports no JAX."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

SILENCE_S = 4.0
LONG_SILENCE_S = 60.0  # while a run trains: its log would otherwise be mostly signs of life
_SOURCE = logging.getLogger("fer_jax")  # its modules log at level INFO what takes seconds


class Heartbeat(logging.Handler):
    """Use as a context. `say` gets "compiling the network's program (8 s)" after each `SILENCE_S` seconds, and once
    `under_way` was called after each `LONG_SILENCE_S` seconds without such a call. stage: what is being done until
    fer_jax logs something else."""

    def __init__(self, say: Callable[[str], None], stage: str) -> None:
        super().__init__(logging.INFO)
        self.say, self.stage = say, stage
        self._begin = self._spoke_at = time.monotonic()
        self._silence_s = SILENCE_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = _SOURCE.level, _SOURCE.propagate

    def __enter__(self) -> Heartbeat:
        self._before = _SOURCE.level, _SOURCE.propagate
        _SOURCE.setLevel(logging.INFO)
        _SOURCE.propagate = False  # libraries install handlers that would print it
        _SOURCE.addHandler(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        _SOURCE.removeHandler(self)
        _SOURCE.setLevel(self._before[0])
        _SOURCE.propagate = self._before[1]
        self._thread.join()

    def emit(self, record: logging.LogRecord) -> None:
        self.stage = record.getMessage()

    def under_way(self, stage: str) -> None:
        """Something was shown, and the next thing of its kind may take minutes. Seconds are counted from here."""
        self.stage, self._silence_s = stage, LONG_SILENCE_S
        self._begin = self._spoke_at = time.monotonic()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.01, self._spoke_at + self._silence_s - time.monotonic())):
            now = time.monotonic()
            if now - self._spoke_at >= self._silence_s:
                self.say(f"{self.stage} ({now - self._begin:.0f} s)")
                self._spoke_at = now
