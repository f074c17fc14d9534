"""A sign of life: what a command is doing, said whenever nothing was shown for a few seconds. Imports no JAX."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

SILENCE_S = 4.0
_SOURCE = logging.getLogger("fer_jax")  # its modules log at level INFO what takes seconds


class Heartbeat(logging.Handler):
    """Use as a context. `say` gets "compiling the network's program (8 s)" after each `SILENCE_S` seconds in which
    `spoke` was not called. stage: what is being done until fer_jax logs something else."""

    def __init__(self, say: Callable[[str], None], stage: str) -> None:
        super().__init__(logging.INFO)
        self.say, self.stage = say, stage
        self._begin = self._spoke_at = time.monotonic()
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

    def spoke(self) -> None:
        """Something was shown."""
        self._spoke_at = time.monotonic()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.01, self._spoke_at + SILENCE_S - time.monotonic())):
            now = time.monotonic()
            if now - self._spoke_at >= SILENCE_S:
                self.say(f"{self.stage} ({now - self._begin:.0f} s)")
                self._spoke_at = now
