"""Work is shared by time, not by the number of requests: whoever has used the least of it lately is served first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")
HALF_LIFE_S = 2.0  # work of that long ago counts half
_FORGOTTEN_S = 1e-3  # less than this is not remembered


@dataclass(eq=False)
class _Waiting:
    names: Sequence[Hashable]
    turn: asyncio.Future[None]


class Turns:
    """Runs functions one after the other in one thread. Use within one event loop.

    clock: seconds that never decrease.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._used_s: dict[Hashable, float] = {}
        self._at = clock()

    async def run(self, names: Sequence[Hashable], function: Callable[..., Result], *arguments: object) -> Result:
        """The function's result. names: who pays for it, the most important first, such as a client and one of its
        connections: of two clients the one that used less time goes first, of one client's connections likewise."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(names, loop.create_future())
        self._waiting.append(mine)
        self._next()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._end()
            raise
        begin = self._clock()
        try:
            return await loop.run_in_executor(self._thread, function, *arguments)
        finally:
            self._charge(names, self._clock() - begin)
            self._end()

    def _end(self) -> None:
        self._busy = False
        self._next()

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        self._charge((), 0.0)
        first = min(self._waiting, key=lambda one: [self._used_s.get(name, 0.0) for name in one.names])
        self._waiting.remove(first)
        self._busy = True
        first.turn.set_result(None)

    def _charge(self, names: Sequence[Hashable], seconds: float) -> None:
        now = self._clock()
        kept = 0.5 ** ((now - self._at) / HALF_LIFE_S)
        self._at = now
        self._used_s = {name: used * kept for name, used in self._used_s.items() if used * kept > _FORGOTTEN_S}
        for name in names:
            self._used_s[name] = self._used_s.get(name, 0.0) + seconds


class Places:
    """At most so many conversations, shared fairly: if all places are taken, the client with the most places gives its
    latest one to a client that has fewer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, list[asyncio.Task[Any]]] = {}

    def take(self, client: str, conversation: asyncio.Task[Any]) -> bool:
        """Whether there is a place for a conversation, which is given back when its task ends. Cancels another task if
        that has to give its place."""
        if sum(map(len, self._held.values())) >= self._most:
            heaviest = max(self._held.values(), key=len)
            if len(heaviest) <= len(self._held.get(client, ())) + 1:
                return False
            heaviest[-1].cancel()
            self._leave(heaviest[-1])
        self._held.setdefault(client, []).append(conversation)
        conversation.add_done_callback(self._leave)
        return True

    def _leave(self, conversation: asyncio.Task[Any]) -> None:
        self._held = {
            client: left
            for client, held in self._held.items()
            if (left := [one for one in held if one is not conversation])
        }
