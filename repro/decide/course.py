"""Seeds until decided: which seeds to train next, when to look, when to stop. Knows no JAX and no statistics.

Looks are fixed beforehand, so that the error rates of the decision hold although it is made several times. A look at n
takes the first n seeds, counted from 0, whose runs did not fail. Existing runs count: the first look is the largest
that they reach. This is valid because their number does not depend on what they measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, Protocol

from repro.decide.question import Question
from repro.decide.time_estimate import TimeEstimate
from repro.runs.records import RunRecord

MAX_FAILED = 3  # this many failed seeds end a question: the paper's settings do not train reliably
StoppedBy = Literal["decided", "no later look", "last look", "budget", "failed runs"]


@dataclass(frozen=True)
class Look:
    """What the statistics say after n seeds.

    outcome: `repro.statistics.Outcome`. reason: one sentence with the numbers. seeds_needed: a later look that would
    decide if mean and spread stay; None if decided, or if none would. may_be_decided: whether a later look could decide
    if the mean moves within its 95 % interval.
    """

    n: int
    outcome: str
    reason: str
    seeds_needed: int | None = None
    may_be_decided: bool = True

    @property
    def decided(self) -> bool:
        return self.outcome != "open"


Judge = Callable[[Question, Sequence[RunRecord], int], Look]


class Trainer(Protocol):
    """Trains, and knows which runs exist. `train` returns one record per seed, in order, including failed runs."""

    seeds_at_once: int | None  # in one program; None: as many as a look needs

    def exists(self, question: Question, seed: int) -> bool: ...

    def train(self, question: Question, seeds: Sequence[int], *, look: int) -> list[RunRecord]: ...

    def seconds_per_seed(self, question: Question) -> TimeEstimate: ...


@dataclass
class Course:
    """The progress of one question."""

    question: Question
    looks: tuple[int, ...]
    existing: frozenset[int]
    estimate: TimeEstimate
    records: dict[int, RunRecord] = field(default_factory=dict)
    failed: dict[int, RunRecord] = field(default_factory=dict)
    look: Look | None = None
    stopped_by: StoppedBy | None = None
    _measured_s: list[float] = field(default_factory=list)

    @property
    def seconds_per_seed(self) -> float:
        """As measured in this call, else as estimated before it."""
        return statistics.fmean(self._measured_s) if self._measured_s else self.estimate.seconds

    @property
    def hopeless(self) -> bool:
        """Whether the last look says that no later one decides if the mean stays. The mean may still move."""
        return self.look is not None and self.look.seeds_needed is None

    @property
    def target(self) -> int | None:
        """The number of seeds of the next look; None after the last."""
        if self.look is not None:
            return next((n for n in self.looks if n > self.look.n), None)
        reached = len(self._leading(self.looks[-1]))
        return max((n for n in self.looks if n <= reached), default=self.looks[0])

    def _leading(self, most: int) -> list[int]:
        """Existing seeds 0, 1, 2, ... without a gap."""
        return list(takewhile(self.existing.__contains__, range(most)))

    def seeds_to(self, target: int) -> list[int]:
        """The seeds still to be trained or read for a look at `target`."""
        missing = target - len(self.records)
        tried = len(self.records) + len(self.failed)
        return list(range(tried, tried + missing))

    def seconds_to(self, target: int) -> float:
        """The time for the seeds up to `target` that do not exist."""
        return self.seconds_per_seed * sum(seed not in self.existing for seed in self.seeds_to(target))

    def add(self, record: RunRecord) -> None:
        if record.status == "failed":
            self.failed[record.seed] = record
            return
        self.records[record.seed] = record
        if record.seed not in self.existing:
            self._measured_s.append(record.time.total_s)


def open_course(question: Question, trainer: Trainer, looks: tuple[int, ...]) -> Course:
    """The course before its start. Raises what `Trainer.seconds_per_seed` raises."""
    existing = frozenset(seed for seed in range(looks[-1]) if trainer.exists(question, seed))
    complete = len(existing) == looks[-1]
    estimate = TimeEstimate(0.0, "nothing to train") if complete else trainer.seconds_per_seed(question)
    return Course(question, looks, existing, estimate)


def run_courses(
    courses: Sequence[Course],
    trainer: Trainer,
    judge: Judge,
    *,
    seconds_left: Callable[[], float],
    report: Callable[[Course], None],
) -> None:
    """Add seeds to all questions until each is decided, has had its last look, cannot be decided by a later look, or
    its next look does not fit in the time left. The question with the cheapest next look comes first, so that little
    time decides many. Questions that no later look would decide if mean and spread stay come last.

    A run that has started is finished. Before each run, all remaining training for the look must fit.

    report: called with a course after each look, and when it stops otherwise.
    """
    while going := [course for course in courses if course.stopped_by is None]:
        course = min(going, key=lambda one: (one.hopeless, one.seconds_to(one.target or 0)))
        target = course.target
        assert target is not None
        if not _reach(course, target, trainer, seconds_left):
            report(course)
            continue
        records = [course.records[seed] for seed in sorted(course.records)]
        course.look = judge(course.question, records, target)
        if course.look.decided:
            course.stopped_by = "decided"
        elif course.target is None:
            course.stopped_by = "last look"
        elif not course.look.may_be_decided:
            course.stopped_by = "no later look"
        report(course)


def _reach(course: Course, target: int, trainer: Trainer, seconds_left: Callable[[], float]) -> bool:
    """Train up to the look. False if training stopped before it, with the reason in `stopped_by`."""
    while seeds := course.seeds_to(target):
        if course.seconds_to(target) > max(0.0, seconds_left()):  # a look that trains nothing always fits
            course.stopped_by = "budget"
            return False
        together = seeds[: trainer.seeds_at_once or len(seeds)]
        for record in trainer.train(course.question, together, look=target):
            course.add(record)
        if len(course.failed) >= MAX_FAILED:
            course.stopped_by = "failed runs"
            return False
    return True
