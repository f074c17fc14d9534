"""GitHub-flavoured Markdown: text that stays text, tables, and whole documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from repro.specs.bounds import printable
from repro.text.document import (
    Block,
    Column,
    Details,
    Document,
    Figure,
    Inline,
    Items,
    Paragraph,
    Section,
    Span,
    Table,
    safe_target,
    spans,
)

__all__ = ["Column", "block_markdown", "escape", "inline", "markdown", "table"]


def escape(text: str) -> str:
    """Text on one line, escaped so that nothing in it is read as Markdown, HTML, math or a table's border."""
    text = " ".join(printable(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """A GFM table of cells that are Markdown already (`escape` what is not).

    Cells are not padded to the width of their column. So a changed digit changes one line of the file, and the width
    that a terminal gives to a character does not matter.

    Raises ValueError if a row does not have one cell per column.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(columns)} columns: {row}")
    rule = "|".join(("", *("---:" if column.align == "right" else ":---" for column in columns), ""))
    return "\n".join([_table_row([column.heading for column in columns]), rule, *map(_table_row, rows)])


def _table_row(cells: Sequence[str]) -> str:
    return "".join(("|", *(f" {cell} |" if cell else " |" for cell in cells)))


# --- the document model -----------------------------------------------------------------------------------------------


def markdown(document: Document) -> str:
    """The whole file, with a newline at its end."""
    comment = f"<!-- {document.comment.replace('-->', '')} -->" if document.comment else ""
    blocks = [comment, f"# {escape(document.title)}", *_blocks(document.blocks, 2)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def block_markdown(blocks: Iterable[Block]) -> str:
    """Blocks without a document around them; the headings of their sections have level 2."""
    return "\n\n".join(block for block in _blocks(blocks, level=2) if block)


def inline(text: Inline) -> str:
    """One line."""
    return " ".join("".join(map(_span, spans(text))).split())


def _line(text: Inline) -> str:
    """One line that is not read as a heading, list, quote or rule, whatever it begins with."""
    shown = inline(text)
    first = next((span for span in spans(text)), None)
    ours = first is None or first.style not in ("plain", "break")
    return shown if ours else _BLOCK_MARK.sub(r"\1\\\2", shown)


def _blocks(blocks: Iterable[Block], level: int) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph():
                yield _line(block.text)
            case Items():
                yield "\n".join(f"- {_line(item)}" for item in block.items)
            case Table():
                columns = [Column(escape(column.heading), column.align) for column in block.columns]
                yield table(columns, [[inline(cell.text) for cell in row.cells] for row in block.rows])
            case Figure():
                if safe_target(block.svg):
                    yield f"![{escape(block.alternative)}]({quote(block.svg)})"
                    yield f"*{escape(block.caption)}*" if block.caption else ""
            case Details():
                yield f"<details><summary>{escape(block.summary)}</summary>"
                yield from _blocks(block.blocks, level)
                yield "</details>"
            case Section():
                yield f"{'#' * level} {escape(block.title)}"
                yield from _blocks(block.blocks, level + 1)


def _span(span: Span) -> str:
    text, space, after = printable(span.text), " " * span.text[:1].isspace(), " " * span.text[-1:].isspace()
    match span.style:
        case "code":
            # A code span shows everything as it is, except backticks and a table's border.
            shown = escape(text) if "`" in text or "|" in text else f"`{' '.join(text.split())}`"
        case "strong":
            shown = f"**{escape(text)}**"
        case "em":
            shown = f"*{escape(text)}*"
        case _:
            shown = f"{space}{escape(text)}{after}" if text.strip() else " "
    target = safe_target(span.target)
    if not target:
        return shown
    leads = f"<{quote(target, safe=_URL)}>" if "://" in target else quote(target, safe=_URL)
    return f"[{shown.strip()}]({leads})"


# Of a heading, list, quote, underline or rule. `*`, `~` and backticks are escaped everywhere.
_BLOCK_MARK = re.compile(r"^(\d{0,9})([#>+=.)-])(?=\s|[#>+=-]|$)")
_URL = "/:?#@!$&'*+,;=%~-._"
