"""Timings of contenders in worker processes: calibration, scouting, and duels in alternating rounds.

Only one process works at a time. The measured value is images per second over a call of a few seconds that ends when
the results are on the host. The number of steps is chosen for each contender separately.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from repro.bench.machine import core_time, is_disturbed
from repro.bench.records import Candidate, Duel, Round, Timing
from repro.bench.worker import Worker, WorkerError
from repro.bench.workload import draw_batches
from repro.runs.environment import load_average

SEED = 0
# The thread pools of some frameworks spin for a while after their work, and would take a core from the next contender.
PAUSE_S = 0.5
# Images of the first call, which compiles and gives a rough speed.
PROBE_IMAGES = 128
MOST_STEPS = 1 << 15
CALIBRATIONS = 4


@dataclass
class Entrant:
    """A contender in one mode that trains or predicts with one batch size, alive in a process.

    samples: number of samples to draw batches from. compile_s: the first call minus the second with the same shapes.
    """

    worker: Worker
    name: str
    mode: str
    what: Literal["train", "predict"]
    batch_size: int
    samples: int
    pause_s: float = PAUSE_S
    compile_s: float = 0.0
    timings: list[Timing] = field(default_factory=list)
    error: str = ""
    _rows_SB: np.ndarray | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.mode}, batch {self.batch_size}"

    def calibrate(self, seconds: float) -> None:
        """Find how many steps take about `seconds`, and compile everything. Raises WorkerError."""
        self.worker.reset(SEED)
        steps = max(1, PROBE_IMAGES // self.batch_size)
        first, again = self._call(steps), self._call(steps)
        self.compile_s = max(0.0, first - again)
        for _ in range(CALIBRATIONS):
            wanted = min(max(1, round(steps * seconds / max(again, 1e-6))), MOST_STEPS)
            if wanted == steps or 0.5 <= again / seconds <= 2:
                break
            steps = wanted
            self._call(steps)  # a different number of steps may be a different program: compile it here
            again = self._call(steps)

    def recalibrate(self, seconds: float) -> None:
        """Repeat `calibrate` but keep the compile time. Raises WorkerError."""
        compile_s = self.compile_s
        self.calibrate(seconds)
        self.compile_s = compile_s

    def time(self) -> Timing:
        """One timing from fresh weights, after a pause. Raises WorkerError."""
        assert self._rows_SB is not None, "calibrate comes first"
        if self.what == "train":
            self.worker.reset(SEED)
        time.sleep(self.pause_s)
        processes = (self.worker.pid, os.getpid())
        before = core_time(processes)
        elapsed = self._call(len(self._rows_SB))
        after = core_time(processes)
        other = round(before.other_cores(after), 3) if before and after else None
        return Timing(images_per_s=self._rows_SB.size / elapsed, elapsed_s=elapsed, other_cores=other)

    def _call(self, steps: int) -> float:
        if self._rows_SB is None or len(self._rows_SB) != steps:
            self._rows_SB = draw_batches(self.samples, self.batch_size, steps)
        figures = getattr(self.worker, self.what)(self._rows_SB)
        seconds = self.worker.seconds
        if not np.isfinite(figures).all():
            what = f"its {'losses' if self.what == 'train' else 'probabilities'} are not finite"
            raise WorkerError(self.worker.label, what, what)
        return seconds

    def candidate(self) -> Candidate:
        """The results so far. Raises WorkerError if the process does not report its memory."""
        alive = not self.error
        return Candidate(
            name=self.name,
            mode=self.mode,
            batch_size=self.batch_size,
            timings=tuple(self.timings),
            compile_s=self.compile_s,
            peak_memory_bytes=self.worker.peak_memory_bytes() if alive else 0,
            device_memory_bytes=self.worker.device_memory_bytes() if alive else None,
            versions=self.worker.versions,
            error=self.error,
        )


def scout(
    entrants: list[Entrant], *, rounds: int, seconds: float, say: Callable[[str], None], together: int = 1
) -> None:
    """Time every entrant in interleaved rounds. An entrant that fails keeps its error and is not timed again.

    together: number of workers that compile at the same time; each compiles its entrants in sequence. Timings still run
    alone. If an entrant was calibrated among others, its number of steps is found again first.
    """
    by_worker: dict[int, list[Entrant]] = {}
    for entrant in entrants:
        by_worker.setdefault(id(entrant.worker), []).append(entrant)

    def compile_all(of_worker: list[Entrant]) -> None:
        for entrant in of_worker:
            if _guarded(entrant, lambda e: e.calibrate(seconds), say):
                say(f"  {entrant}: compiled in {entrant.compile_s:.1f} s")

    with ThreadPoolExecutor(together) as pool:
        list(pool.map(compile_all, by_worker.values()))
    if together > 1:
        for entrant in entrants:
            if not entrant.error:
                _guarded(entrant, lambda e: e.recalibrate(seconds), say)
    for number in range(1, rounds + 1):
        for entrant in entrants:
            if entrant.error or not _guarded(entrant, lambda e: e.timings.append(e.time()), say):
                continue
            rate = entrant.timings[-1].images_per_s
            say(f"  scouting {number}/{rounds}: {entrant}: {rate:,.0f} images/s")


def _guarded(entrant: Entrant, action: Callable[[Entrant], None], say: Callable[[str], None]) -> bool:
    try:
        action(entrant)
    except WorkerError as error:
        entrant.error = error.reason
        say(f"  {entrant} is left out: {error}")
        return False
    return True


def finalists(candidates: list[Candidate]) -> list[Candidate]:
    """The fastest candidate of one framework and those within 10 % of it, the fastest first. Each mode enters with
    its best batch size. Candidates without a timing are left out."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.timings and not candidate.error:
            known = best.get(candidate.mode)
            if known is None or candidate.images_per_s > known.images_per_s:
                best[candidate.mode] = candidate
    ranked = sorted(best.values(), key=lambda c: -c.images_per_s)
    return [c for c in ranked if c.images_per_s >= 0.9 * ranked[0].images_per_s]


def duel(
    own: Entrant,
    rival: Entrant,
    *,
    rounds: int,
    cores: int,
    between: Callable[[], object],
    say: Callable[[str], None],
) -> Duel:
    """Time ours and the rival alternately, both calibrated. `between` is called after every round.

    cores: of the machine, used to mark a round as disturbed. Raises WorkerError.
    """
    done: list[Round] = []
    for number in range(1, rounds + 1):
        load = load_average()
        ours, theirs = own.time(), rival.time()
        disturbed = any(is_disturbed(t.other_cores, cores) for t in (ours, theirs))
        done.append(Round(own=ours, rival=theirs, load=(load, load_average()), disturbed=disturbed))
        say(
            f"  round {number}/{rounds}: own {ours.images_per_s:,.0f}, {rival.name} {rival.mode} "
            f"{theirs.images_per_s:,.0f} images/s, ratio {done[-1].ratio:.2f}{' (disturbed)' if disturbed else ''}"
        )
        between()
    own.timings, rival.timings = [r.own for r in done], [r.rival for r in done]
    return Duel(own=_without_timings(own.candidate()), rival=_without_timings(rival.candidate()), rounds=tuple(done))


def _without_timings(candidate: Candidate) -> Candidate:
    """The timings are already in the rounds."""
    import msgspec

    return msgspec.structs.replace(candidate, timings=())
