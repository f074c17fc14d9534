"""The document model as HTML. Only this module and the templates escape, and they escape everything but Markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from repro.specs.bounds import printable
from repro.text.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Inline,
    Items,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    plain,
    safe_target,
    spans,
)

# The browser shows the named popover without a script.
QUOTE_BUTTON = Markup(
    '<button type="button" class="quote" popovertarget="{}" popovertargetaction="show"><code>{}</code></button>'
)
LONG_TEXT = 60  # characters in a cell that needs room
LONG_FIGURE = 24  # a value with its deviation and unit is shorter
NO_BREAK = "\N{NO-BREAK SPACE}"
TAGS = {"code": Markup("<code>{}</code>"), "strong": Markup("<strong>{}</strong>"), "em": Markup("<em>{}</em>")}


@dataclass(frozen=True)
class Html:
    """Renders blocks.

    link: from a link's target to its address on the page. image: from an image's path to a data address, empty if it
    may not be shown. claims: from the id of a claim to the id of the element that holds its quote.
    """

    link: Callable[[str], str] = str
    image: Callable[[str], str] = str
    claims: Mapping[str, str] = field(default_factory=dict)

    def blocks(self, blocks: Iterable[Block], level: int, id: str, label: str = "") -> Markup:
        """level: of section headings. id: the prefix of section ids. label: the name of tables."""
        return Markup("\n").join(self._block(block, level, id, label) for block in blocks)

    def inline(self, text: Inline) -> Markup:
        return Markup("").join(map(self._span, spans(text)))

    def _block(self, block: Block, level: int, id: str, label: str) -> Markup:
        match block:
            case Paragraph():
                return Markup("<p>{}</p>").format(self.inline(block.text))
            case Items():
                items = (Markup("<li>{}</li>").format(self.inline(item)) for item in block.items)
                return Markup("<ul>{}</ul>").format(Markup("").join(items))
            case Table():
                return self._table(block, label or id)
            case Figure():
                return self._figure(block)
            case Details():
                inner = self.blocks(block.blocks, level, id, label)
                return Markup("<details><summary>{}</summary>\n{}\n</details>").format(block.summary, inner)
            case Section():
                own = f"{id}-{slug(block.title)}"
                inner = self.blocks(block.blocks, level + 1, own, block.title)
                return Markup('<section id="{}">\n<h{n}>{}</h{n}>\n{}\n</section>').format(
                    own, block.title, inner, n=level
                )

    def _span(self, span: Span) -> Markup:
        if span.style == "code" and span.text in self.claims:
            return QUOTE_BUTTON.format(self.claims[span.text], span.text)
        if span.style == "break":
            return Markup("<br>")
        shown = escape(_kept_together(printable(span.text)))
        if span.verdict:
            shown = Markup('<strong class="chip" data-verdict="{}">{}</strong>').format(span.verdict, shown)
        elif span.style in TAGS:
            shown = TAGS[span.style].format(shown)
        target = self.link(safe_target(span.target)) if safe_target(span.target) else ""
        return Markup('<a href="{}">{}</a>').format(target, shown) if target else shown

    def _table(self, table: Table, label: str) -> Markup:
        head = Markup("").join(_heading(column) for column in table.columns)
        rows = Markup("\n").join(
            self._row(row, table.columns, first=index == 0) for index, row in enumerate(table.rows)
        )
        return Markup(
            '<div class="scroll" role="group" aria-label="{}" tabindex="0">\n<table>\n<thead><tr>{}</tr></thead>\n'
            "<tbody>\n{}\n</tbody>\n</table>\n</div>"
        ).format(label, head, rows)

    def _row(self, row: Row, columns: tuple[Column, ...], *, first: bool) -> Markup:
        cells = Markup("").join(self._cell(cell, column) for cell, column in zip(row.cells, columns, strict=True))
        more = Markup(' class="more"') if not first and not plain(row.cells[0].text) else Markup("")
        paper = Markup(' data-paper="{}"').format(row.paper) if row.paper else Markup("")
        return Markup("<tr{}{}>{}</tr>").format(more, paper, cells)

    def _cell(self, cell: Cell, column: Column) -> Markup:
        words = plain(cell.text)
        number = column.align == "right"
        classes = ["number"] if number else []
        if not number and len(words) > LONG_TEXT:
            classes.append("long")
        named = Markup(' class="{}"').format(" ".join(classes)) if classes else Markup("")
        value = "" if cell.value is None else Markup(' data-value="{}"').format(f"{cell.value:.12g}")
        shown = self._number(words) if number and isinstance(cell.text, str) else self.inline(cell.text)
        return Markup('<td data-label="{}"{}{}>{}</td>').format(column.heading, named, value, shown)

    def _number(self, text: str) -> Markup:
        """The value on one line; text in brackets may move to the next."""
        figure, bracket, rest = text.partition(" (")
        if len(figure) > LONG_FIGURE:
            return escape(_kept_together(text))
        shown = Markup('<span class="figure">{}</span>').format(_kept_together(figure))
        return shown + Markup(' <span class="aside">{}</span>').format(_kept_together(f"({rest}")) if bracket else shown

    def _figure(self, figure: Figure) -> Markup:
        wide = self.image(safe_target(figure.svg))
        if not wide:
            return Markup("<p>{}</p>").format(figure.alternative)
        narrow = self.image(safe_target(figure.narrow)) if figure.narrow else ""
        source = Markup('<source media="(max-width: 45rem)" srcset="{}">').format(narrow) if narrow else Markup("")
        caption = Markup("<figcaption>{}</figcaption>").format(_kept_together(figure.caption)) if figure.caption else ""
        return Markup('<figure>\n<picture>{}<img src="{}" alt="{}"></picture>\n{}\n</figure>').format(
            source, wide, figure.alternative, caption
        )


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _heading(column: Column) -> Markup:
    named = Markup(' class="number"') if column.align == "right" else ""
    return Markup('<th scope="col"{}>{}</th>').format(named, column.heading)


def _kept_together(text: str) -> str:
    """A value with its deviation and its unit on one line."""
    return re.sub(r" (?=[±=%])|(?<=[±=]) ", NO_BREAK, text)
