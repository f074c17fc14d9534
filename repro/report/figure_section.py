"""The figures of a results folder, embedded in its Markdown pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.report.markdown import escape

if TYPE_CHECKING:
    from repro.figures.folder import IndexEntry  # its modules import this package

FIGURES_TITLE = "Figures"


def figure_section(figures: Sequence[IndexEntry], paper: str | None = None) -> list[str]:
    """Blocks with the figures of a paper, by default those of all papers together; none where there is none."""
    blocks = [
        f"![{escape(one.alternative)}]({one.svg})\n\n*{escape(one.caption)}*" for one in figures if one.paper == paper
    ]
    return [f"## {FIGURES_TITLE}", *blocks] if blocks else []
