"""What the report shows, before it is Markdown, HTML, terminal text, JSON or CSV.

A document is built once from records and specs; the renderers (`markdown.py`, `terminal.py`, `export.py` and
`repro.report.page.html`) only write it down. Text is plain unless a span says otherwise, so that nothing from a spec or
a record is ever read as markup: each renderer escapes in one place.

This module reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

# break: a new line where there is room for one, else its text.
Style = Literal["plain", "code", "strong", "em", "break"]
Align = Literal["left", "right"]
Verdict = Literal["", "yes", "no", "open", "partly"]


@dataclass(frozen=True)
class Span:
    """A piece of text in one style.

    target: destination of a link, empty if there is none. verdict: makes the text a chip, in the colour of this answer.
    """

    text: str
    style: Style = "plain"
    target: str = ""
    verdict: Verdict = ""


Inline = str | Span | tuple["Inline", ...]


def code(text: str) -> Span:
    return Span(text, "code")


def strong(text: str) -> Span:
    return Span(text, "strong")


BREAK = Span("; ", "break")


def chip(text: str, verdict: Verdict) -> Span:
    return Span(text, "strong", verdict=verdict)


def link(text: str, target: str) -> Span:
    return Span(text, target=target)


def spans(text: Inline) -> Iterator[Span]:
    """The pieces in order, without empty ones."""
    if isinstance(text, str):
        text = Span(text)
    if isinstance(text, Span):
        if text.text:
            yield text
        return
    for part in text:
        yield from spans(part)


def plain(text: Inline) -> str:
    """The words alone."""
    return "".join(span.text for span in spans(text))


def joined(parts: Iterable[Inline], separator: str = ", ") -> Inline:
    """The parts that are not empty, with a separator between them."""
    found: list[Inline] = []
    for part in parts:
        if plain(part):
            found += [separator, part] if found else [part]
    return tuple(found)


def ticked(text: str) -> Inline:
    """Text with the `names` in backticks, as code."""
    return tuple(code(part) if index % 2 else part for index, part in enumerate(text.split("`")))


_MARKS = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(([^)]+)\)|\{(\w+)\}")


def say(template: str, **values: Inline) -> Inline:
    """A sentence of our own, with `code`, *emphasis*, **strong** words, [links](target) and {values}.

    The template is a literal of this program. Values are inserted as they are and never read for marks.
    """
    template = " ".join(template.split())
    parts: list[Inline] = []
    end = 0
    for found in _MARKS.finditer(template):
        parts.append(template[end : found.start()])
        parts.append(_marked(found, values))
        end = found.end()
    return (*parts, template[end:])


def _marked(found: re.Match[str], values: dict[str, Inline]) -> Inline:
    as_code, as_strong, as_em, text, target, name = found.groups()
    if name:
        return values[name]
    words = (as_code or as_strong or as_em or text).format(**{key: plain(value) for key, value in values.items()})
    if target:
        return Span(words, target=target)
    return Span(words, "code" if as_code else "strong" if as_strong else "em")


# --- links ------------------------------------------------------------------------------------------------------------


def safe_target(target: str) -> str:
    """A link's target if it is https, http, a place on the page or a file in the results folder; else empty.

    Specs and records come from strangers. A target such as `javascript:…` or a path out of the folder must lead
    nowhere in every renderer.
    """
    target = "".join(target.split())
    if target.startswith("#"):
        return target
    try:
        parts = urlsplit(target)
    except ValueError:
        return ""
    if parts.scheme in ("http", "https"):
        return target if parts.netloc else ""
    path = PurePosixPath(target)
    inside = not (parts.scheme or parts.netloc or path.is_absolute() or "\\" in target or ".." in path.parts)
    return target if inside else ""


# --- blocks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A heading, and the alignment of its cells: numbers right."""

    heading: str
    align: Align = "left"


@dataclass(frozen=True)
class Cell:
    """text: as shown. value: used for sorting and export; the words if None."""

    text: Inline
    value: float | None = None


@dataclass(frozen=True)
class Row:
    """paper: the paper that the row belongs to, for a reader who looks at one paper alone."""

    cells: tuple[Cell, ...]
    paper: str = ""


@dataclass(frozen=True)
class Table:
    """An empty first cell continues the row above.

    Raises ValueError if a row does not have one cell per column.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                words = [plain(cell.text) for cell in row.cells]
                raise ValueError(f"a row of {len(words)} cells in a table of {len(self.columns)} columns: {words}")


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell | Inline] | Row]) -> Table:
    """A table of cells. Cells without a value may be plain text."""
    return Table(tuple(columns), tuple(row if isinstance(row, Row) else row_of(row) for row in rows))


def row_of(cells: Sequence[Cell | Inline], paper: str = "") -> Row:
    return Row(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells), paper)


def count(number: int) -> Cell:
    """A whole number with thousands separated."""
    return Cell(f"{number:,}", number)


@dataclass(frozen=True)
class Paragraph:
    text: Inline


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Inline, ...]


@dataclass(frozen=True)
class Figure:
    """svg, narrow: paths below the results folder. narrow is for phones, empty if there is none."""

    svg: str
    alternative: str
    caption: str
    narrow: str = ""


@dataclass(frozen=True)
class Details:
    """Blocks that the reader opens."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


Block = Paragraph | Items | Table | Figure | Details | Section


@dataclass(frozen=True)
class Document:
    """comment: for those who open the file itself."""

    title: str
    blocks: tuple[Block, ...]
    comment: str = ""

    def section(self, title: str) -> Section:
        """Raises KeyError if no section directly below has that title."""
        return {block.title: block for block in self.blocks if isinstance(block, Section)}[title]


def details(summary: str, items: Sequence[Inline]) -> tuple[Details, ...]:
    """A list that the reader opens, with its length; nothing if it is empty."""
    return (Details(f"{summary} ({len(items)})", (Items(tuple(items)),)),) if items else ()


def walk(blocks: Iterable[Block]) -> Iterator[Block]:
    """All blocks in reading order, those within others too."""
    for block in blocks:
        yield block
        if isinstance(block, Details | Section):
            yield from walk(block.blocks)
