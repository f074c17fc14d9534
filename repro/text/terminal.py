"""The document model as text for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from repro.text.document import Block, Details, Document, Figure, Inline, Items, Paragraph, Section, Table, plain

WIDTH = 120


def terminal(document: Document) -> str:
    return "\n\n".join([_printable(document.title), *_blocks(document.blocks)])


def terminal_blocks(blocks: Iterable[Block]) -> str:
    return "\n\n".join(_blocks(blocks))


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph():
                yield _line(block.text)
            case Items():
                yield "\n".join(f"- {_line(item)}" for item in block.items)
            case Table():
                yield _table(block)
            case Figure():
                yield f"{_printable(block.alternative)} ({_printable(block.svg)})"
            case Details() | Section():
                yield _printable(block.summary if isinstance(block, Details) else block.title).upper()
                yield from _blocks(block.blocks)


def _table(shown: Table) -> str:
    from tabulate import tabulate

    return tabulate(
        [[_line(cell.text) for cell in row.cells] for row in shown.rows],
        headers=[_printable(column.heading) for column in shown.columns],
        tablefmt="simple",
        disable_numparse=True,
        colalign=[column.align for column in shown.columns],
        maxcolwidths=[WIDTH // 4] * len(shown.columns),
    )


def _line(text: Inline) -> str:
    return _printable(plain(text))


def _printable(text: str) -> str:
    """On one line, without terminal control: escape sequences, control characters and changes of direction."""
    text = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)
