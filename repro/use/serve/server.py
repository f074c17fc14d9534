"""The socket and the process around the application: one port, limits on connections, a clean shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
from typing import Any

import h11
import uvicorn
import websockets  # noqa: F401  # uvicorn imports it when it starts; its absence is found here
from starlette.types import ASGIApp

from repro.use.serve.door import Door, Doorkeeper
from repro.use.serve.errors import ServeError
from repro.use.serve.limits import Limits

LOOK_AROUND_S = 0.2  # what a client that pings without reading makes the server hold grows with it


def listen(host: str, port: int, *, allow_remote: bool) -> Door:
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
            "or omit --host"
        )
    bound = Door(family, socket.SOCK_STREAM)
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


def run_server(app: ASGIApp, bound: Door, limits: Limits) -> None:
    """Answer until Ctrl-C or SIGTERM; returns after Ctrl-C."""
    _log_errors_only()
    keeper = bound.keeper = Doorkeeper(limits)
    config = uvicorn.Config(
        keeper.watched(app),
        http="h11",
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=limits.connections,
        h11_max_incomplete_event_size=limits.header_bytes,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,  # a small message could hold a large one, and JPEG does not compress further
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
    )
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(uvicorn.Server(config), bound, keeper))  # uvicorn has ended when it re-raises the signal


async def _serve(server: uvicorn.Server, bound: Door, keeper: Doorkeeper) -> None:
    async def look_around() -> None:
        while True:
            await asyncio.sleep(LOOK_AROUND_S)
            keeper.look_around()

    async with asyncio.TaskGroup() as tasks:  # a fault in either ends both: without its limits it does not serve on
        looking = tasks.create_task(look_around())
        await server.serve(sockets=[bound])
        looking.cancel()


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that calls `accept` of its listening sockets, as `Door` needs (on Windows the default loop does not), and
    that is silent about faults of clients."""
    loop = asyncio.SelectorEventLoop()
    loop.set_exception_handler(_report)
    return loop


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), _FAULTS_OF_CLIENTS):
        loop.default_exception_handler(context)


# Text that is not UTF-8; nonsense after a request, to which h11 refuses a second answer; requests that the server's
# shutdown cut short.
_FAULTS_OF_CLIENTS = (UnicodeDecodeError, h11.LocalProtocolError, asyncio.CancelledError)


class _OwnFaults(logging.Filter):
    """Drops errors that clients caused."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], _FAULTS_OF_CLIENTS))


def _log_errors_only() -> None:
    """Log errors of the server to standard error; requests and their errors are not logged."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("error: %(message)s"))
    handler.addFilter(_OwnFaults())
    logger = logging.getLogger("uvicorn")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.ERROR)
    logger.propagate = False
