"""The socket and the process around the application: one port, limits on connections, a clean shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import time
from functools import partial
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from repro.use.serve.errors import ServeError
from repro.use.serve.limits import Limits


def listen(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A bound socket; port 0 takes any free port.

    Raises ServeError if other computers could reach the address without `allow_remote`, if the address is not this
    computer's, or if the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise ServeError(f"--host {host}: no such address ({error.strerror})") from None
    if not ipaddress.ip_address(address[0]).is_loopback and not allow_remote:
        raise ServeError(
            f"--host {host}: other computers could reach this address; add --allow-remote (a token is then asked for), "
            "or leave --host away"
        )
    bound = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere the option lets two servers share a port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        why = "something else listens there, perhaps another `repro serve`" if taken else f"{error.strerror}"
        raise ServeError(f"{host} port {port}: {why}; choose another with --port") from None
    return bound


def run_server(app: ASGIApp, bound: socket.socket, limits: Limits) -> None:
    """Answer until Ctrl-C or SIGTERM; returns after Ctrl-C."""
    _log_errors_only()
    doorkeeper = Doorkeeper(limits)
    config = uvicorn.Config(
        app,
        http=partial(_Http, limits.connections),  # pyright: ignore[reportArgumentType]
        ws=_WebSocket,
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.header_bytes,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,  # a small message could hold a large one, and JPEG does not compress further
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        callback_notify=doorkeeper.look_around,
        timeout_notify=1,
    )
    server = uvicorn.Server(config)
    doorkeeper.connections = server.server_state.connections
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has ended by then, and re-raises the signal
        server.run(sockets=[bound])


class Doorkeeper:
    """Closes connections that hold a place without using it. uvicorn waits without limit for the first request, for the
    rest of a slow request, and for clients that do not read their answers."""

    def __init__(self, limits: Limits) -> None:
        self.connections: set[Any] = set()
        self._limit_s = {
            "request": limits.request_s,
            "answer": limits.answer_s,
            "handshake": limits.handshake_s,
            "closing": limits.closing_s,
            "live": float("inf"),  # has separate limits
        }
        self._since: dict[Any, tuple[tuple[str, object], float]] = {}

    async def look_around(self) -> None:
        """Call this about once a second."""
        now = time.monotonic()
        before, self._since = self._since, {}
        for connection in self.connections:
            state = _state(connection)
            then, since = before.get(connection, (state, now))
            self._since[connection] = state, since if then == state else now
        for connection, ((name, _), since) in self._since.items():
            if now - since > self._limit_s[name]:
                connection.transport.abort()


def _state(connection: H11Protocol | WebSocketsSansIOProtocol) -> tuple[str, object]:
    """The state of a connection, and a key that distinguishes one request from the next."""
    if isinstance(connection, WebSocketsSansIOProtocol):
        closing = connection.close_sent or connection.transport.is_closing()
        return "closing" if closing else "live" if connection.handshake_complete else "handshake", None
    if connection.transport.is_closing():
        return "closing", None
    cycle = connection.cycle
    return "request" if cycle is None or cycle.response_complete else "answer", cycle


class _Http(H11Protocol):
    """uvicorn's protocol with a limit on connections, and without its own errors after a client's error."""

    def __init__(self, most: int, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._most = most

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()

    def send_400_response(self, msg: str) -> None:
        """If an answer is in progress, h11 raises on a second one, and again when the application continues."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
        else:
            super().send_400_response(msg)


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol, but a client that sends pings and reads no answers cannot fill the memory with pongs."""

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # dropped


class _OwnFaults(logging.Filter):
    """Drops errors caused by clients: text that is not UTF-8, and requests cut short by the server's shutdown."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError | asyncio.CancelledError))


def _log_errors_only() -> None:
    """Log errors of the server to standard error; requests and their errors are not logged."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("error: %(message)s"))
    handler.addFilter(_OwnFaults())
    logger = logging.getLogger("uvicorn")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.ERROR)
    logger.propagate = False
