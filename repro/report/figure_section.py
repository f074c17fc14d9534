"""The figures of a results folder as blocks of the pages."""

from __future__ import annotations

from collections.abc import Sequence

from repro.report.figures.folder import IndexEntry
from repro.text.document import Block, Figure, Section, details, ticked

FIGURES_TITLE = "Plots"


def figure_blocks(figures: Sequence[IndexEntry], paper: str | None = None) -> list[Figure]:
    """The figures of one paper; by default, those that show all papers together."""
    return [Figure(one.svg, one.alternative, one.caption, one.narrow) for one in figures if one.paper == paper]


def figure_section(figures: Sequence[IndexEntry], paper: str | None = None, missing: Sequence[str] = ()) -> list[Block]:
    """One section; empty if there is no figure.

    missing: figures that cannot be drawn because runs are missing.
    """
    blocks: list[Block] = list(figure_blocks(figures, paper))
    if missing and blocks:
        blocks += details("Plots missing because runs are missing", [ticked(sentence) for sentence in missing])
    return [Section(FIGURES_TITLE, tuple(blocks))] if blocks else []
