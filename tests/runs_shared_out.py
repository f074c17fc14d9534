"""Whether runs that several workers shared are those of a single process."""

from __future__ import annotations

from pathlib import Path

from repro.runs.records import RunRecord
from repro.runs.stored_records import find_records


def records_in(results: Path) -> dict[int, RunRecord]:
    """The records of a results folder by their seed."""
    return {record.seed: record for _, record in find_records(results)}


def mistakes(alone: dict[int, RunRecord], shared: dict[int, RunRecord], results: Path) -> list[str]:
    """Runs that are missing or differ in any bit, and files that workers left behind. results: of the shared runs."""
    found = []
    if set(shared) != set(alone):
        found.append(f"{len(shared)} runs, wanted {len(alone)}")
    for seed in sorted(shared.keys() & alone.keys()):
        one, other = shared[seed], alone[seed]
        same = (one.history, one.metrics) == (other.history, other.metrics)
        if not same or one.predictions_sha256 != other.predictions_sha256:
            found.append(f"seed {seed} differs from that of a single process")
    left = [path for pattern in ("claim-*", "aside-*") for path in (results / "runs").rglob(pattern)]
    return [*found, *(f"left behind: {path}" for path in left)]
