"""What a run decides by its own figures: when the learning rate falls on a plateau, and when training stops early."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fer_jax.train.batches import Stretch
from fer_jax.train.schedules import BatchClock, update_rates
from fer_jax.vocabulary.settings import EarlyStopping, ReduceOnPlateau, Schedule


@dataclass
class LearningRate:
    """The rate that the schedule starts from, reduced so far by plateaus, and the memory of that. Lives on the host,
    because it changes once per epoch at most."""

    schedule: Schedule
    value: float
    best: float = math.nan
    waited: int = 0

    def after_epoch(self, figures: dict[str, dict[str, float]]) -> None:
        """Take in an epoch's figures, {split: {"loss": ..., "accuracy": ...}}, and set the rate of the next epoch.

        Like tf.keras.callbacks.ReduceLROnPlateau: an improvement must exceed min_delta. After `patience` epochs
        without one the rate is multiplied by `factor` and the count starts again. With form "pytorch" like
        torch.optim.lr_scheduler.ReduceLROnPlateau.
        """
        if not isinstance(self.schedule, ReduceOnPlateau):
            return
        rule, of_pytorch = self.schedule, self.schedule.form == "pytorch"
        now = figures[rule.split][rule.metric]
        margin = rule.min_delta * self.best if of_pytorch else rule.min_delta
        better = now < self.best - margin if rule.metric == "loss" else now > self.best + margin
        if math.isnan(self.best) or better:
            self.best, self.waited = now, 0
            return
        self.waited += 1
        if self.waited >= rule.patience + of_pytorch:
            self.waited = 0
            self.value = max(self.value * rule.factor, rule.min_learning_rate)

    def of_batches(self, clock: BatchClock, stretch: Stretch) -> np.ndarray:
        """The rate at every batch of a stretch, float64 (stretch.steps,)."""
        return update_rates(self.schedule, self.value, clock, stretch)

    def memory(self) -> dict[str, Any]:
        """What a checkpoint must hold to resume."""
        held = asdict(self)
        del held["schedule"]
        held["best"] = None if math.isnan(self.best) else self.best
        return held

    def restore(self, memory: dict[str, Any]) -> None:
        self.value, self.waited = memory["value"], memory["waited"]
        self.best = math.nan if memory["best"] is None else memory["best"]


def has_stopped(rule: EarlyStopping | None, history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether training ends after the epochs so far. history: entries as `history_entry` makes them.

    Like tf.keras.callbacks.EarlyStopping: the first epoch is the best one until another is better by more than
    min_delta.
    """
    if rule is None:
        return False
    best, waited = math.nan, 0
    for entry in history:
        now = entry["splits"][rule.split][rule.metric]
        better = now < best - rule.min_delta if rule.metric == "loss" else now > best + rule.min_delta
        if math.isnan(best) or better:
            best, waited = now, 0
        else:
            waited += 1
    return waited >= rule.patience
