"""What the numbers of a paper show alone, without any training: arithmetic on its claims, data steps and network.

Each check is a pure function of one spec. It yields findings, and each finding shows its arithmetic, so that a reader
can do it again by hand. To add a family of checks: a module here with ``check(case) -> Iterator[Finding]``, and its
name in ``FAMILIES``.
"""

from __future__ import annotations

from repro.forensics import (
    ceilings,
    confusion,
    counts,
    curves,
    evaluated,
    network,
    ratios,
    sizes,
    tables,
    throughput,
    twice,
)
from repro.forensics.case import Case
from repro.forensics.finding import OUTCOMES, Finding, FindingOutcome
from repro.specs.decode import LoadedSpec

__all__ = ["FAMILIES", "OUTCOMES", "Finding", "FindingOutcome", "examine"]

# In the order in which their findings are shown.
FAMILIES = (counts, evaluated, confusion, tables, sizes, network, ratios, curves, ceilings, throughput, twice)


def examine(loaded: LoadedSpec) -> tuple[Finding, ...]:
    """All findings on one paper, in the order of the checks. Needs no dataset, no run and no JAX."""
    case = Case(loaded)
    return tuple(finding for family in FAMILIES for finding in family.check(case))
