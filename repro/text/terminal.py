"""The document model as text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from repro.specs.bounds import printable
from repro.text.document import (
    Block,
    Details,
    Document,
    Figure,
    Inline,
    Items,
    Paragraph,
    Section,
    Table,
    plain,
)

WIDEST = 120  # longer lines are hard to read
INDENT = "  "
GAP = "  "  # between two columns
PADDING = 2  # that tabulate adds to a heading
NARROWEST = 10  # of a column that is wrapped


def terminal(document: Document) -> str:
    """Title and blocks, wrapped to the terminal's width."""
    return "\n\n".join(["\n".join(_wrapped(document.title, _width())), *_groups(document.blocks, _width())])


def terminal_blocks(blocks: Iterable[Block]) -> str:
    """Blocks without a title, wrapped to the terminal's width."""
    return "\n\n".join(_groups(blocks, _width()))


def _width() -> int:
    """COLUMNS or the terminal's width; WIDEST if the output is not a terminal."""
    return max(40, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def _groups(blocks: Iterable[Block], width: int) -> Iterator[str]:
    """Blocks that an empty line separates. A list belongs to the paragraph before it."""
    group: list[str] = []
    for block in blocks:
        text = _block(block, width)
        if group and not isinstance(block, Items):
            yield "\n".join(group)
            group = []
        if text:
            group.append(text)
        if not isinstance(block, Paragraph) and group:
            yield "\n".join(group)
            group = []
    if group:
        yield "\n".join(group)


def _block(block: Block, width: int) -> str:
    match block:
        case Paragraph():
            return "\n".join(_wrapped(plain(block.text), width))
        case Items():
            return "\n".join("\n".join(_wrapped(plain(item), width, "- ")) for item in block.items)
        case Table():
            return _table(block, width)
        case Figure():
            return f"{_printable(block.alternative)} ({_printable(block.svg)})"
        case Details() | Section():
            title = _printable(block.summary if isinstance(block, Details) else block.title)
            inner = "\n\n".join(_groups(block.blocks, width - len(INDENT)))
            return f"{title}\n{textwrap.indent(inner, INDENT)}"


def _wrapped(text: str, width: int, mark: str = "") -> list[str]:
    """Lines of a paragraph or of a list's item. Long words, such as paths, are kept whole."""
    return textwrap.wrap(
        _printable(text),
        width,
        initial_indent=f"{INDENT}{mark}" if mark else "",
        subsequent_indent=f"{INDENT}{' ' * len(mark)}" if mark else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(shown: Table, width: int) -> str:
    from tabulate import tabulate

    heads = [_printable(column.heading) for column in shown.columns]
    rows = [[_printable(plain(cell.text)) for cell in row.cells] for row in shown.rows]
    natural = [
        max([len(head) + PADDING, *(len(cell) for cell in cells)]) for head, *cells in zip(heads, *rows, strict=True)
    ]
    widest = _widest_column(natural, width - len(GAP) * (len(heads) - 1))
    # Wrapped here: tabulate's own `maxcolwidths` fails on text such as 7,174.
    return tabulate(
        [["\n".join(_wrapped(cell, widest)) for cell in row] for row in rows],
        headers=["\n".join(_wrapped(head, widest - PADDING)) for head in heads],
        tablefmt="simple",
        disable_numparse=True,
        colalign=[column.align for column in shown.columns],
    )


def _widest_column(natural: Sequence[int], width: int) -> int:
    """The width at which the wide columns are wrapped, so that all fit if they can."""
    widest = max(natural)
    while sum(min(one, widest) for one in natural) > width and widest > NARROWEST:
        widest -= 1
    return widest


def _printable(text: Inline) -> str:
    """On one line, without terminal control: escape sequences, control characters and changes of direction."""
    return printable(" ".join(plain(text).split()))


def printable_lines(text: str) -> str:
    """Text of several lines without terminal control in any of them: for errors and lists that quote a file."""
    return "\n".join(printable(line) for line in text.split("\n"))
