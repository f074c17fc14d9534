"""What the records measured of a curve: one curve per run, at the paper's own epochs or steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from repro.judge.measured import figure, is_comparable, metrics_of
from repro.runs.records import RunRecord
from repro.specs.spec import Curve


@dataclass(frozen=True)
class MeasuredCurve:
    """runs: one curve per full run, each with one value per point of the paper's curve, in its unit.

    seeds: of these runs, in the same order. records_left_out: full runs that did not record every point.
    """

    runs: tuple[tuple[float, ...], ...]
    seeds: tuple[int, ...]
    records_left_out: int = 0

    @property
    def n(self) -> int:
        return len(self.runs)

    @property
    def values(self) -> np.ndarray:
        """(runs, points), float64."""
        return np.array(self.runs, np.float64)

    @property
    def mean(self) -> np.ndarray:
        """(points,), over runs."""
        return self.values.mean(0)

    @property
    def std(self) -> np.ndarray | None:
        """(points,): sample standard deviation (n - 1) over runs; None for one run."""
        return self.values.std(0, ddof=1) if self.n > 1 else None


def measure_curve(curve: Curve, records: Iterable[RunRecord]) -> MeasuredCurve | None:
    """The curves of the full runs that recorded every point, or None.

    records: of the curve's paper; those of other variants and protocols and of synthetic faces are left out.
    """
    if curve.not_measured:
        return None
    points = curve.points
    full = [record for record in records if record.status == "done" and is_comparable(points[0], record)]
    found: list[tuple[int, tuple[float, ...]]] = []
    for record in full:
        values = [
            None if (metrics := metrics_of(point, record)) is None else figure(point, metrics) for point in points
        ]
        known = tuple(value for value in values if value is not None)
        if len(known) == len(points):
            found.append((record.seed, known))
    if not found:
        return None
    return MeasuredCurve(tuple(values for _, values in found), tuple(seed for seed, _ in found), len(full) - len(found))
