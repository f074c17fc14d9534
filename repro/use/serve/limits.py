"""Limits on the server's resources, for one client and for all together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The page stays within all limits. Names end with their unit: _s are seconds.

    Live recognition: message_bytes and pixels of one image (read from its header before any pixel is decoded); faces
    reported per image, the best detected; frames_per_s and burst, beyond which a client is read more slowly; live
    clients at once; bad_in_a_row, messages without a usable image; idle_s without a message; send_s until the client
    has read enough for the next answer.

    Connections of any kind: connections at once, each with a file descriptor; header_bytes of a request; request_s
    until a request is complete; answer_s until it is answered and the answer read; handshake_s and closing_s for the
    two ends of a conversation.
    """

    message_bytes: int = 1_000_000
    pixels: int = 1280 * 1280
    faces: int = 10
    frames_per_s: float = 60.0
    burst: int = 10
    live: int = 8
    bad_in_a_row: int = 10
    idle_s: float = 60.0
    send_s: float = 10.0
    connections: int = 100
    header_bytes: int = 16_384
    request_s: float = 10.0
    answer_s: float = 30.0
    handshake_s: float = 10.0
    closing_s: float = 10.0


DEFAULT = Limits()
_ROUNDING_S = 1e-6


class TokenBucket:
    """At most `rate` permits a second on average, and `burst` at once.

    clock: seconds that never decrease.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._permits, self._at = float(burst), clock()

    def take(self) -> bool:
        """Use a permit if there is one, and return whether there was."""
        if self.wait_s() > _ROUNDING_S:
            return False
        self._permits -= 1
        return True

    def wait_s(self) -> float:
        """Seconds until there is a permit; 0 if there is one now."""
        now = self._clock()
        self._permits = min(float(self._burst), self._permits + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1 - self._permits) / self._rate)
