"""Connections on real sockets without a server: who is let in, who has to go, and who is ended for holding a place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from repro.use.serve.door import ACCEPTED_AT_ONCE, MOST_UNREAD, Door, Doorkeeper, client_of, unread_bytes
from repro.use.serve.limits import Limits

MOST = 4
LIMITS = Limits(connections=MOST, request_s=3.0, answer_s=5.0, closing_s=2.0, send_s=1.0)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_client_of(address, client):
    assert client_of(address) == client


class Street:
    """A doorkeeper, a clock, and connections that come from anywhere."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.now, self._stack, self._port = 0.0, stack, 0
        self.keeper = Doorkeeper(LIMITS, lambda: self.now)

    def come(self, address: str, *, wait_s: float = 1.0) -> Visitor:
        self.now += wait_s
        self._port += 1
        ours, theirs = (self._stack.enter_context(one) for one in socket.socketpair())
        theirs.setblocking(False)
        key = (address, self._port)
        return Visitor(self, key, ours, theirs, self.keeper.admit(ours, key))

    def look(self, wait_s: float) -> None:
        self.now += wait_s
        self.keeper.look_around()


class Visitor:
    def __init__(self, street: Street, key, ours: socket.socket, theirs: socket.socket, is_in: bool) -> None:
        self.street, self.key, self.ours, self.theirs, self.is_in = street, key, ours, theirs, is_in

    @property
    def was_ended(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return self.theirs.recv(1) == b""
        return False

    @contextlib.contextmanager
    def busy(self, kind: str = "http") -> Iterator[None]:
        """While the application answers a request of this connection."""
        loop = asyncio.new_event_loop()
        done = loop.create_future()

        async def app(scope, receive, send):
            await done

        async def receive():
            return {}

        async def send(message):
            pass

        watched = self.street.keeper.watched(app)({"type": kind, "client": self.key}, receive, send)
        task = asyncio.ensure_future(watched, loop=loop)
        loop.run_until_complete(asyncio.sleep(0))
        try:
            yield
        finally:
            done.set_result(None)
            loop.run_until_complete(task)
            loop.close()


@pytest.fixture
def street() -> Iterator[Street]:
    with contextlib.ExitStack() as stack:
        yield Street(stack)


def test_the_client_with_the_most_gives_the_place_that_waited_longest(street):
    first, *others = [street.come("a") for _ in range(MOST)]
    newcomer = street.come("b", wait_s=0.0)
    assert newcomer.is_in and first.was_ended and not any(one.was_ended for one in others)
    fair = street.come("b", wait_s=0.0)
    assert fair.is_in and others[0].was_ended, "two and two"
    third = street.come("b")
    assert third.is_in and newcomer.was_ended and not others[1].was_ended, "from now on each client pays for itself"


def test_a_client_pushes_out_its_own_idle_connections_but_no_busy_ones(street):
    mine = [street.come("a") for _ in range(MOST)]
    with contextlib.ExitStack() as stack:
        for one in mine[:-1]:
            stack.enter_context(one.busy())
        last = street.come("a")
        assert last.is_in and mine[-1].was_ended
        stack.enter_context(last.busy())
        assert not street.come("a").is_in
        assert not any(one.was_ended for one in (*mine[:-1], last))


def test_conversations_are_never_pushed_out(street):
    live = [street.come("a") for _ in range(MOST)]
    with contextlib.ExitStack() as stack:
        for one in live:
            stack.enter_context(one.busy("websocket"))
        assert not street.come("b").is_in and not any(one.was_ended for one in live)
    assert street.come("b").is_in, "they are over"


def test_closed_connections_leave_their_places(street):
    for one in [street.come("a") for _ in range(MOST)]:
        one.ours.close()
    assert all(street.come("a", wait_s=0.0).is_in for _ in range(MOST))


def test_a_place_without_a_request_or_with_a_slow_one_is_ended(street):
    silent, slow, talking = (street.come("a", wait_s=0.0) for _ in range(3))
    with slow.busy(), talking.busy("websocket"):
        street.look(LIMITS.request_s + 0.1)
        assert (silent.was_ended, slow.was_ended) == (True, False)
        street.look(LIMITS.answer_s)
        assert (slow.was_ended, talking.was_ended) == (True, False)
        street.look(1000.0)
        assert not talking.was_ended
    street.look(LIMITS.closing_s + 0.1)
    assert talking.was_ended, "its end took too long"


def test_a_conversation_whose_answers_are_not_read_is_ended(street):
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as server:
        theirs = stack.enter_context(socket.socket())
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # a small window
        theirs.connect(server.getsockname())
        ours, address = server.accept()
        stack.enter_context(ours)
        assert street.keeper.admit(ours, address)
        visitor = Visitor(street, address, ours, theirs, True)
        with visitor.busy("websocket"):
            street.look(1.0)
            street.look(1.0)
            ours.setblocking(False)
            fill(ours, theirs)
            assert 0 < unread_bytes(ours) < MOST_UNREAD
            street.look(0.1)
            assert not is_shut(ours)
            street.look(LIMITS.send_s)
            assert is_shut(ours)


def test_a_conversation_that_leaves_more_unread_than_an_answer_is_ended_at_once(street):
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as server:
        theirs = stack.enter_context(socket.create_connection(server.getsockname()))
        ours, address = server.accept()
        stack.enter_context(ours)
        assert street.keeper.admit(ours, address)
        with Visitor(street, address, ours, theirs, True).busy("websocket"):
            ours.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(bytes(65536))
            assert unread_bytes(ours) > MOST_UNREAD
            street.look(0.1)
            assert is_shut(ours)


def fill(ours: socket.socket, theirs: socket.socket) -> None:
    """Send until the peer's window is closed, and some bytes more."""
    while unread_bytes(ours) == 0:
        ours.send(bytes(16_384))
        time.sleep(0.001)


def is_shut(ours: socket.socket) -> bool:
    try:
        ours.send(b"x")
    except BlockingIOError:
        return False
    except BrokenPipeError:
        return True
    return False


def test_the_door_asks_its_keeper_and_gives_others_a_turn():
    with Door() as door, contextlib.ExitStack() as stack:
        door.bind(("127.0.0.1", 0))
        door.listen()
        door.keeper = Doorkeeper(Limits(connections=0))
        turned_away = stack.enter_context(socket.create_connection(door.getsockname()))
        with pytest.raises(ConnectionAbortedError):
            door.accept()
        assert turned_away.recv(1) == b""
        door.keeper = Doorkeeper(Limits())
        for _ in range(ACCEPTED_AT_ONCE):
            stack.enter_context(socket.create_connection(door.getsockname()))
        taken = [stack.enter_context(door.accept()[0]) for _ in range(ACCEPTED_AT_ONCE - 1)]
        with pytest.raises(BlockingIOError):
            door.accept()
        taken.append(stack.enter_context(door.accept()[0]))
        assert len({one.fileno() for one in taken}) == ACCEPTED_AT_ONCE
