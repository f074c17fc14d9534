"""The learning rate of every update, as a function of the number of updates alone: nothing to remember, nothing to
resume. Computed in float64 on the host; `fer_jax.vocabulary.schedules` names the source of each formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_jax.train.batches import Stretch, steps_per_epoch, stretches
from fer_jax.vocabulary.schedules import (
    Cosine,
    DecayPerUpdate,
    Exponential,
    LongSchedule,
    OneCycle,
    Piecewise,
    Polynomial,
    ScheduleStruct,
    StepDecay,
    Unit,
)
from fer_jax.vocabulary.settings import Training


@dataclass(frozen=True)
class BatchClock:
    """What a schedule must know of a run: batches of an epoch, batches of the whole run, batches of an update."""

    epoch: int
    whole: int
    accumulate: int = 1

    def at(self, batches: np.ndarray, unit: Unit) -> np.ndarray:
        """Whole epochs or updates before these batches, which are counted from 0."""
        return batches // (self.epoch if unit == "epochs" else self.accumulate)

    def batches(self, count: float, unit: Unit) -> int:
        """Batches of so many epochs or updates, rounded to whole updates."""
        updates = count * self.epoch / self.accumulate if unit == "epochs" else count
        return round(updates) * self.accumulate


def clock_of(training: Training, rows: int) -> BatchClock:
    """The clock of a run on `rows` training samples."""
    last = stretches(training, rows)[-1]
    return BatchClock(steps_per_epoch(training, rows), last.first + last.steps, training.accumulate)


def warmup_batches(schedule: ScheduleStruct, clock: BatchClock) -> int:
    if schedule.warmup_updates:
        return clock.batches(schedule.warmup_updates, "updates")
    return clock.batches(schedule.warmup_epochs, "epochs")


def update_rates(schedule: ScheduleStruct, rate: float, clock: BatchClock, stretch: Stretch) -> np.ndarray:
    """The learning rate at every batch of a stretch, float64 (stretch.steps,). rate: where the schedule starts. For
    `reduce_on_plateau` it is the present rate."""
    batch = np.arange(stretch.first, stretch.first + stretch.steps)
    warmup = warmup_batches(schedule, clock)
    rates = rate_behind(schedule, rate, clock, batch, warmup)
    if not warmup:
        return rates
    share = (batch // clock.accumulate) / (warmup // clock.accumulate)
    rising = rate * (schedule.warmup_from + (1 - schedule.warmup_from) * share)
    return np.where(batch < warmup, rising, rates)


def rate_behind(schedule: ScheduleStruct, rate: float, clock: BatchClock, batch: np.ndarray, warmup: int) -> np.ndarray:
    """The rate at batches behind a warm-up of so many batches; what it is before them does not matter."""
    later = np.maximum(batch - warmup, 0)
    match schedule:
        case DecayPerUpdate():
            return rate / (1 + schedule.decay * clock.at(later, "updates"))
        case StepDecay():
            steps = np.maximum(clock.at(batch, schedule.unit) - schedule.start, 0) // schedule.every
            return rate * schedule.factor ** steps.astype(np.float64)
        case Piecewise():
            passed = np.searchsorted(np.array(schedule.at), clock.at(batch, schedule.unit), side="right")
            return rate * np.array([1.0, *schedule.factors])[passed]
        case Exponential():
            exponent = clock.at(later, schedule.unit) / schedule.every
            return rate * schedule.factor ** (np.floor(exponent) if schedule.staircase else exponent)
        case LongSchedule():
            return _long(schedule, rate, clock, later, warmup)
        case _:
            return np.full(len(batch), rate)


def _long(schedule: LongSchedule, rate: float, clock: BatchClock, later: np.ndarray, warmup: int) -> np.ndarray:
    whole = clock.batches(schedule.length, schedule.length_in) if schedule.length else clock.whole
    unit = clock.epoch if schedule.unit == "epochs" else clock.accumulate
    length = max(-(-(whole - warmup) // unit), 1)
    t = np.minimum(clock.at(later, schedule.unit), length)
    match schedule:
        case Cosine(min_learning_rate=least):
            return least + (rate - least) / 2 * (1 + np.cos(np.pi * t / length))
        case Polynomial(min_learning_rate=least):
            return least + (rate - least) * (1 - t / length) ** schedule.power
        case OneCycle():
            # PyTorch's steps are 0 to length - 1: the last update has the lowest rate.
            last = max(length - 1, 1)
            top = schedule.rising_share * length - 1
            first = rate / schedule.initial_divisor
            falling = _half_cosine(rate, first / schedule.final_divisor, (t - top) / (last - top))
            return np.where(t <= top, _half_cosine(first, rate, t / max(top, 1e-12)), falling)
    raise AssertionError(f"no formula for {schedule}")


def _half_cosine(begin: float, end: float, share: np.ndarray) -> np.ndarray:
    """From `begin` at 0 to `end` at 1 along half a cosine."""
    return end + (begin - end) / 2 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))
