"""The learning rate over a run: constant, or reduced on a plateau as Keras' callback does."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from fer_jax.vocabulary.settings import ReduceOnPlateau, Schedule


@dataclass
class LearningRate:
    """The present rate and the memory of the schedule. Lives on the host, because it changes once per epoch at most."""

    schedule: Schedule
    value: float
    best: float = math.nan
    waited: int = 0

    def after_epoch(self, figures: dict[str, dict[str, float]]) -> None:
        """Take in an epoch's figures, {split: {"loss": ..., "accuracy": ...}}, and set the rate of the next epoch.

        Like tf.keras.callbacks.ReduceLROnPlateau: an improvement must exceed min_delta. After `patience` epochs
        without one the rate is multiplied by `factor` and the count starts again.
        """
        if not isinstance(self.schedule, ReduceOnPlateau):
            return
        rule = self.schedule
        now = figures[rule.split][rule.metric]
        better = now < self.best - rule.min_delta if rule.metric == "loss" else now > self.best + rule.min_delta
        if math.isnan(self.best) or better:
            self.best, self.waited = now, 0
            return
        self.waited += 1
        if self.waited >= rule.patience:
            self.waited = 0
            self.value = max(self.value * rule.factor, rule.min_learning_rate)

    def memory(self) -> dict[str, Any]:
        """What a checkpoint must hold to resume."""
        held = asdict(self)
        del held["schedule"]
        held["best"] = None if math.isnan(self.best) else self.best
        return held

    def restore(self, memory: dict[str, Any]) -> None:
        self.value, self.waited = memory["value"], memory["waited"]
        self.best = math.nan if memory["best"] is None else memory["best"]
