"""Limits on the server's resources, for one client and for all together."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The page stays within all limits. Names end with their unit: _s are seconds.

    Live recognition: message_bytes, pixels and scans of one image (read from its header before any pixel is decoded;
    a browser writes one scan); faces reported per image, the best detected; frames_per_s and burst, beyond which a
    client is read more slowly; live conversations at once, shared fairly among clients; bad_in_a_row, messages without
    a usable image; idle_s without a message; send_s in which the client leaves an answer unread.

    Connections of any kind: connections at once, each with a file descriptor, shared fairly among clients; header_bytes
    of a request; request_s until the headers of a request are complete; answer_s until it is answered and the answer
    read; closing_s for the end of a conversation.

    Signing in: wrong_per_s and wrong_at_once, wrong tokens of one client. Further ones are turned away. The right token
    is always let in: its length is what protects it.
    """

    message_bytes: int = 1_000_000
    pixels: int = 1280 * 1280
    scans: int = 30
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
    closing_s: float = 10.0
    wrong_per_s: float = 1.0
    wrong_at_once: int = 5


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


class ClientBuckets:
    """A bucket for each client, of the clients that came last."""

    _MOST = 10_000

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def of(self, client: str) -> TokenBucket:
        bucket = self._buckets.pop(client, None) or TokenBucket(self._rate, self._burst, self._clock)
        self._buckets[client] = bucket
        if len(self._buckets) > self._MOST:
            self._buckets.popitem(last=False)
        return bucket
