"""Connections: accepted within limits, shared fairly among clients, and ended if they hold a place without using it.

uvicorn limits neither the connections of one client nor the time until a request is complete or an answer is read. This
module adds both from outside, with public interfaces alone: the listening socket decides in `accept`, an ASGI
application around the real one says what each connection is doing, and a connection that has to go is shut down.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from repro.use.serve.limits import Limits

State = Literal["request", "answer", "live", "closing"]
# In one turn of the event loop. A request needs a few turns from the connection to the application: far fewer than it
# takes a crowd to come in at this pace and push the connection out.
ACCEPTED_AT_ONCE = 8
MOST_UNREAD = 65_536  # bytes: more than any answer; only a client that pings without reading leaves so many
_SO_NWRITE = 0x1024  # macOS: bytes that the peer has not acknowledged


def client_of(address: str) -> str:
    """What the limits of one client are counted by: an IPv4 address, or the first 64 bits of an IPv6 address, which one
    subscriber has for all computers (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 6:
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@dataclass(eq=False)
class Connection:
    """An accepted connection. since: when `state` began. unread_since: since when the client left bytes unread."""

    socket: socket.socket
    client: str
    state: State
    since: float
    unread_since: float | None = None

    @property
    def is_closed(self) -> bool:
        return self.socket.fileno() < 0

    def end(self) -> None:
        """The event loop then reads the end of the connection, and closes it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Doorkeeper:
    """Knows all connections. Everything runs in the thread of the event loop."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._limit_s: dict[State, float] = {
            "request": limits.request_s,
            "answer": limits.answer_s,
            "live": float("inf"),  # has separate limits
            "closing": limits.closing_s,
        }
        self._connections: dict[tuple[str, int], Connection] = {}

    def admit(self, accepted: socket.socket, address: tuple[str, int]) -> bool:
        """Whether a new connection is served. If all places are taken, the client with the most connections has to end
        one in its favour: the one that has waited longest without a request."""
        now = self._clock()
        self._forget_closed()
        client = client_of(address[0])
        if len(self._connections) >= self._limits.connections:
            least_useful = self._least_useful(client)
            if least_useful is None:
                return False
            key, connection = least_useful
            del self._connections[key]
            connection.end()
        self._connections[address[:2]] = Connection(accepted, client, "request", now)
        return True

    def _least_useful(self, newcomer: str) -> tuple[tuple[str, int], Connection] | None:
        """A connection of the client that has the most, with `newcomer` among them. None if it may keep all."""
        counts = Counter(connection.client for connection in self._connections.values())
        counts[newcomer] += 1
        heaviest = max(counts, key=lambda client: (counts[client], client == newcomer))
        useless = [
            (key, connection)
            for key, connection in self._connections.items()
            if connection.client == heaviest and connection.state in ("request", "closing")
        ]
        return min(useless, key=lambda one: one[1].since, default=None)

    def watched(self, app: ASGIApp) -> ASGIApp:
        """The application, with notes of what its connections are doing."""

        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            host, port = scope.get("client") or ("", 0)
            connection = self._connections.get((host, port))
            if connection is None:  # ended meanwhile, or not a connection (lifespan, tests)
                await app(scope, receive, send)
                return
            during, afterwards = ("live", "closing") if scope["type"] == "websocket" else ("answer", "request")
            connection.state, connection.since = during, self._clock()
            try:
                await app(scope, receive, send)
            finally:
                connection.state, connection.since = afterwards, self._clock()

        return watch

    def look_around(self) -> None:
        """End the connections that exceed a limit. Call this several times a second."""
        now = self._clock()
        self._forget_closed()
        for connection in self._connections.values():
            unread = unread_bytes(connection.socket)
            if unread == 0:
                connection.unread_since = None
            elif connection.unread_since is None:
                connection.unread_since = now
            unread_s = 0.0 if connection.unread_since is None else now - connection.unread_since
            too_slow = connection.state == "live" and (unread_s >= self._limits.send_s or unread > MOST_UNREAD)
            if too_slow or now - connection.since > self._limit_s[connection.state]:
                connection.end()

    def _forget_closed(self) -> None:
        self._connections = {key: one for key, one in self._connections.items() if not one.is_closed}


class Door(socket.socket):
    """A listening socket that accepts only what its keeper admits."""

    keeper: Doorkeeper | None = None
    _accepted = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Called by the event loop, again and again until it raises. Raises ConnectionAbortedError for a connection
        that is not admitted, and BlockingIOError when others are to have a turn."""
        self._accepted = (self._accepted + 1) % (ACCEPTED_AT_ONCE + 1)
        if self._accepted == 0:
            raise BlockingIOError
        accepted, address = super().accept()
        if self.keeper is None or self.keeper.admit(accepted, address):
            return accepted, address
        accepted.close()
        raise ConnectionAbortedError("all places are taken")


def unread_bytes(connection: socket.socket) -> int:
    """Bytes sent that the peer has not acknowledged yet. 0 if the system does not show them."""
    if sys.platform == "win32":
        return 0
    import fcntl
    import termios

    try:
        if sys.platform == "darwin":
            return connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
        return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError):  # closed meanwhile
        return 0
