"""The effect of copies in the training set on accuracy, for a paper's page."""

from __future__ import annotations

from collections.abc import Sequence

from repro.audit.copies import Estimate
from repro.judge.copies import CopiesFinding
from repro.specs.protocols import CLEAN, OFFICIAL
from repro.text.document import Block, Cell, Column, Inline, Paragraph, Section, count, say, table
from repro.text.units import number, signed

TITLE = "What copies are worth"
LEGEND = """\
Accuracy on all of PrivateTest, in points, with 95 % intervals (bootstrap over images and seeds). They
allow for other test images like these; the interval of the inflation is of these images alone. Official minus clean is
the sum of three parts. *Copies*: what a copy in the training set is worth, on the test samples that have one. *Fewer
samples*: what clean loses because it trains on fewer samples (official minus placebo). *Control*: placebo minus clean
on samples without a copy; an interval without 0 would mean that something else separates the protocols."""
RESPONSE_LEGEND = """\
Accuracy by what the copies in Training are labelled. A network that recalls its copies is right where they carry the
sample's own label, and wrong where they carry another one. Clean networks never saw the copies, and are the
baseline."""
PART_COLUMNS = (
    Column("Paper"),
    Column("Seeds"),
    Column("Test samples", "right"),
    Column("with a copy", "right"),
    Column("Official minus clean", "right"),
    Column("Copies", "right"),
    Column("Fewer samples", "right"),
    Column("Control", "right"),
)
RESPONSE_COLUMNS = (
    Column("Paper"),
    Column("Copies in Training"),
    Column("Test samples", "right"),
    Column("Official", "right"),
    Column("Clean", "right"),
    Column("Answers a copy's label: official", "right"),
    Column("clean", "right"),
)


def copies_section(findings: Sequence[CopiesFinding]) -> list[Block]:
    """One section; empty if no paper has the runs."""
    if not findings:
        return []
    parts = [_parts_row(one) for one in findings if one.decomposition]
    rows = [row for one in findings for row in _response_rows(one)]
    places = sorted({one.place for one in findings})
    blocks: list[Block] = [Paragraph(say(LEGEND)), table(PART_COLUMNS, parts)] if parts else []
    blocks += [Paragraph(say(RESPONSE_LEGEND)), table(RESPONSE_COLUMNS, rows)]
    return [Section(TITLE, (*blocks, Paragraph(f"Measured on {'; '.join(places)}.")))]


def _parts_row(finding: CopiesFinding) -> list[Cell | Inline]:
    parts = finding.decomposition
    assert parts is not None
    seeds = ", ".join(f"{number} {name}" for name, number in parts.seeds.items())
    differences = (parts.total, parts.copies, parts.fewer, parts.control)
    shown = [Cell(points(one), one.value) for one in differences]
    return [finding.paper, seeds, count(parts.samples), count(parts.with_copy), *shown]


def _response_rows(finding: CopiesFinding) -> list[list[Cell | Inline]]:
    rows: list[list[Cell | Inline]] = []
    for one in finding.response:
        recalled = one.as_copies
        cells = [Cell("—")] * 2 if recalled is None else [_percent(recalled[name]) for name in (OFFICIAL, CLEAN)]
        accuracy = [_percent(one.accuracy[name]) for name in (OFFICIAL, CLEAN)]
        rows.append([finding.paper, one.copies, count(one.samples), *accuracy, *cells])
    return rows


def _percent(estimate: Estimate) -> Cell:
    return Cell(percent(estimate), estimate.value)


def points(estimate: Estimate) -> str:
    """'+5.2 [4.1, 6.3]'"""
    low, high = (number(100 * value, 1) for value in (estimate.low, estimate.high))
    return f"{signed(100 * estimate.value, 1)} [{low}, {high}]"


def percent(estimate: Estimate) -> str:
    """'81.3 % [77.9, 84.6]'"""
    value, low, high = (number(100 * one, 1) for one in estimate)
    return f"{value} % [{low}, {high}]"
