"""Many claims at once: Holm's correction, and how many differences chance alone would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values by claim: below 0.05 means that the family errs in at most 5 % of papers, whatever the
    dependence (Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics
    6, 65-70)."""
    adjusted: dict[str, float] = {}
    running, left = 0.0, len(p_values)
    for name in sorted(p_values, key=lambda name: p_values[name]):
        running = max(running, min(1.0, left * p_values[name]))
        adjusted[name] = running
        left -= 1
    return {name: adjusted[name] for name in p_values}


@dataclass(frozen=True)
class ByChance:
    """Beside a total: `found` of `claims` differ; chance gives `expected` if all claims are true (no correction)."""

    claims: int
    found: int
    expected: float


def by_chance(p_values: Sequence[float], level: float = 0.05) -> ByChance:
    return ByChance(len(p_values), sum(p < level for p in p_values), level * len(p_values))
