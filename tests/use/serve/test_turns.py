"""Whose work is done first, and who keeps a place."""

from __future__ import annotations

import asyncio
import threading

import pytest

from repro.use.serve.turns import Places, Turns


class Work:
    """Jobs in one thread whose clock is turned by what they cost."""

    def __init__(self) -> None:
        self.now, self.done = 0.0, []
        self.turns = Turns("test", lambda: self.now)
        self.gate = threading.Event()

    def job(self, name: str, cost_s: float) -> str:
        self.gate.wait(10)
        self.now += cost_s
        self.done.append(name)
        return name


def test_who_used_less_time_goes_first():
    work = Work()

    async def run() -> None:
        first = [asyncio.create_task(work.turns.run(("dear", i), work.job, f"dear{i}", 0.3)) for i in range(4)]
        await asyncio.sleep(0)  # they came first
        second = [asyncio.create_task(work.turns.run(("cheap", 9), work.job, f"cheap{i}", 0.01)) for i in range(3)]
        work.gate.set()
        assert await asyncio.gather(*first) == [f"dear{i}" for i in range(4)]
        await asyncio.gather(*second)

    asyncio.run(run())
    assert work.done == ["dear0", "cheap0", "cheap1", "cheap2", "dear1", "dear2", "dear3"]


def test_of_one_client_the_connection_that_used_less_goes_first():
    work = Work()
    work.gate.set()

    async def run() -> None:
        await work.turns.run(("one", 1), work.job, "a", 0.5)
        work.gate.clear()
        jobs = [work.turns.run(("two", 3), work.job, "b", 0.6), work.turns.run(("one", 1), work.job, "c", 0.1)]
        jobs.append(work.turns.run(("one", 2), work.job, "d", 0.1))
        tasks = [asyncio.create_task(job) for job in jobs]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert work.done == ["a", "b", "d", "c"]


def test_old_work_is_forgotten_and_errors_and_cancelled_waits_block_nobody():
    work = Work()
    work.gate.set()

    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await work.turns.run(("a",), lambda: 1 / 0)
        await work.turns.run(("a",), work.job, "a", 5.0)
        work.now += 60
        work.gate.clear()
        blocked = asyncio.create_task(work.turns.run(("b",), work.job, "b", 0.1))
        await asyncio.sleep(0)
        waits = asyncio.create_task(work.turns.run(("c",), work.job, "never", 0.1))
        again = asyncio.create_task(work.turns.run(("a",), work.job, "again", 0.1))
        await asyncio.sleep(0)
        waits.cancel()
        work.gate.set()
        assert [await blocked, await again] == ["b", "again"]
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(run())
    assert work.done == ["a", "b", "again"]


def test_places_are_shared_by_clients_not_by_who_came_first():
    async def run() -> list[str]:
        places, tasks = Places(3), {}

        def come(name: str) -> bool:
            tasks[name] = asyncio.create_task(asyncio.sleep(60))
            return places.take(name[0], tasks[name])

        taken = [come(name) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
        assert taken == [True, True, True, False, True, False, True]
        await asyncio.sleep(0)
        gone = [name for name, task in tasks.items() if task.cancelled()]
        tasks["c1"].cancel()
        await asyncio.wait([tasks["c1"]])
        await asyncio.sleep(0)
        assert come("a5"), "the place of c1"
        for task in tasks.values():
            task.cancel()
        return gone

    assert asyncio.run(run()) == ["a2", "a3"]
