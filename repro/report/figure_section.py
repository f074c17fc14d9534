"""The figures of a results folder, embedded in its Markdown pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.report.markdown import escape

if TYPE_CHECKING:
    from repro.figures.folder import IndexEntry  # its modules import this package

FIGURES_TITLE = "Figures"


def figure_section(figures: Sequence[IndexEntry], paper: str | None = None, missing: Sequence[str] = ()) -> list[str]:
    """Blocks with the figures of a paper, by default those of all papers together; none where there is none.

    missing: what is not drawn for want of runs.
    """
    blocks = [
        f"![{escape(one.alternative)}]({one.svg})\n\n*{escape(one.caption)}*" for one in figures if one.paper == paper
    ]
    if missing and blocks:
        blocks += ["Not drawn for want of runs:", "\n".join(f"- {sentence}" for sentence in missing)]
    return [f"## {FIGURES_TITLE}", *blocks] if blocks else []
