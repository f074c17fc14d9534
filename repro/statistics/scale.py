"""The scale on which runs and claim are compared: plain numbers, or the logit of accuracies close to 0 or 1.

Above 95 % an interval that is symmetric in per cent reaches beyond 100 %; on the logit scale it cannot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

EXTREME = 0.95


@dataclass(frozen=True)
class Scale:
    """logit: log(p / (1 - p)). margin: how close to 0 or 1 a value may come before it is moved inward."""

    logit: bool = False
    margin: float = 0.0

    def to(self, value: float) -> float:
        """From the claim's unit; -inf or inf for what lies beyond 0 or 1 on the logit scale."""
        if not self.logit:
            return value
        if value <= 0 or value >= 1:
            return -math.inf if value <= 0 else math.inf
        return math.log(value / (1 - value))

    def measured(self, value: float) -> float:
        """`to` of a measured value, moved inward by half a sample if every sample was right or wrong."""
        return self.to(min(max(value, self.margin), 1 - self.margin)) if self.logit else value

    def back(self, value: float) -> float:
        """To the claim's unit."""
        if not self.logit:
            return value
        return 1 / (1 + math.exp(-value)) if value > -700 else 0.0

    def slope(self, value: float) -> float:
        """Derivative of `to`, for carrying a small variance over (the delta method)."""
        return 1 / (value * (1 - value)) if self.logit else 1.0


PLAIN = Scale()


def scale_for(values: Sequence[float], *, fraction: bool, samples: int | None) -> Scale:
    """The logit if the mean of the runs lies above 95 % or below 5 %; else plain."""
    if not fraction or not values:
        return PLAIN
    centre = math.fsum(values) / len(values)
    if 1 - EXTREME <= centre <= EXTREME:
        return PLAIN
    return Scale(logit=True, margin=0.5 / samples if samples else 1e-4)
