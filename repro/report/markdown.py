"""GitHub-flavoured Markdown: text that stays text, and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Align = Literal["left", "right"]


def escape(text: str) -> str:
    """Text of a document on one line, so that nothing in it is taken for Markdown, HTML, math or a table's border."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


@dataclass(frozen=True)
class Column:
    """A heading, and the side on which its cells stand: numbers right."""

    heading: str
    align: Align = "left"


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """A GFM table of cells that are Markdown already (`escape` what is not).

    Cells are not padded to the width of their column: a changed digit then changes one line of the file, and the width
    that a terminal gives to a character does not matter.

    Raises ValueError for a row that has not one cell per column.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(columns)} columns: {row}")
    from tabulate import tabulate

    text = tabulate(
        rows,
        headers=[column.heading for column in columns],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=[column.align for column in columns],
    )
    head, rule, *body = text.splitlines()
    rule = "|".join(("", *("---:" if column.align == "right" else ":---" for column in columns), ""))
    return "\n".join([_squeeze(head), rule, *map(_squeeze, body)])


def _squeeze(line: str) -> str:
    return re.sub(r" {2,}", " ", line)
