"""Audits of leakage with chosen overlaps and selections."""

from __future__ import annotations

from repro.audit.leakage import DATA_SET, LeakageAudit, Overlap, Selection
from repro.specs.protocols import AS_PUBLISHED

STEPS = ("repeat_class1", "split_fraction1", "copy_split1", "normalise1")


def audit(*overlaps: Overlap, selections: tuple[Selection, ...] = ()) -> LeakageAudit:
    return LeakageAudit(
        paper="someone2020",
        variant="default",
        protocol=AS_PUBLISHED,
        seed=0,
        steps=STEPS,
        rows={"train": 4000, "test": 1000, "validation": 500},
        overlaps=overlaps,
        selections=selections,
    )


def overlap(kind: str, rows: int, cause: str = DATA_SET, by: str = "split_fraction1", split: str = "test") -> Overlap:
    return Overlap(split=split, kind=kind, cause=cause, separated_by=by, rows=rows, share=rows / 1000)  # type: ignore[arg-type]
