"""The document model as JSON and its tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from repro.specs.bounds import printable
from repro.text.document import (
    Block,
    Cell,
    Details,
    Document,
    Figure,
    Items,
    Paragraph,
    Section,
    Table,
    plain,
)

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet reads a cell that starts with one of these as a formula


def as_builtins(document: Document) -> dict[str, Any]:
    """Values for `json.dumps`: words without marks, and the raw value of every cell that has one."""
    return {"title": document.title, "blocks": _blocks(document.blocks)}


def table_csv(table: Table) -> str:
    """One line per row: raw values, and words for cells without one."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([column.heading for column in table.columns])
    writer.writerows([[_csv_cell(cell) for cell in row.cells] for row in table.rows])
    return target.getvalue()


def _csv_cell(cell: Cell) -> str | float:
    if cell.value is not None:
        return cell.value
    return csv_text_cell(" ".join(printable(plain(cell.text)).split()))


def csv_text_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _blocks(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [_block(block) for block in blocks]


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Paragraph():
            return {"paragraph": plain(block.text)}
        case Items():
            return {"items": [plain(item) for item in block.items]}
        case Table():
            rows = [[_json_cell(cell) for cell in row.cells] for row in block.rows]
            return {"columns": [column.heading for column in block.columns], "rows": rows}
        case Figure():
            return {"figure": block.svg, "alternative": block.alternative, "caption": block.caption}
        case Details():
            return {"details": block.summary, "blocks": _blocks(block.blocks)}
        case Section():
            return {"section": block.title, "blocks": _blocks(block.blocks)}


def _json_cell(cell: Cell) -> dict[str, Any]:
    shown = {"text": plain(cell.text)}
    return shown if cell.value is None else {**shown, "value": cell.value}
