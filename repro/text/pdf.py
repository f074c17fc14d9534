"""The document model as PDF, by fpdf2 (extra `pdf`): pure Python, and text stays text, so that nothing from a spec or a
record is markup. The fonts are those that come with matplotlib."""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax.vocabulary.errors import UserError
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
    safe_target,
    spans,
)

if TYPE_CHECKING:
    from fpdf import FPDF

NOT_INSTALLED = "a PDF needs fpdf2 and matplotlib, which are not installed: pip install 'fer-repro[pdf]'"
SIZE, MONO = 9, "mono"  # points
LINE = 4.6  # mm
INDENT, CELL = 5, 5  # mm
MOST_CELL = 2_000  # characters of a cell: a row must fit on a page


_FACES = {"strong": ("sans", "B"), "em": ("sans", "I"), "code": (MONO, "")}


class PdfError(UserError):
    """No PDF can be written here."""


def pdf(document: Document) -> bytes:
    """A4 pages. Equal documents give equal bytes. Raises PdfError if the packages are missing."""
    if importlib.util.find_spec("fpdf") is None or importlib.util.find_spec("matplotlib") is None:
        raise PdfError(NOT_INSTALLED)
    page = _page(document.title)
    _heading(page, document.title, 15)
    _blocks(page, document.blocks, 12)
    return bytes(page.output())


def _page(title: str) -> FPDF:
    import matplotlib
    from fpdf import FPDF

    page = FPDF(format="A4")
    page.set_creation_date(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
    page.set_title(printable(title))
    page.set_lang("en")
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    page.add_font("sans", "", fonts / "DejaVuSans.ttf")
    page.add_font("sans", "B", fonts / "DejaVuSans-Bold.ttf")
    page.add_font("sans", "I", fonts / "DejaVuSans-Oblique.ttf")
    page.add_font(MONO, "", fonts / "DejaVuSansMono.ttf")
    page.set_margin(18)
    page.set_auto_page_break(True, 16)
    page.add_page()
    page.set_font("sans", size=SIZE)
    return page


def _heading(page: FPDF, text: str, size: int) -> None:
    page.ln(LINE / 2)
    page.set_font("sans", "B", size)
    page.multi_cell(0, size * 0.5, _text(text), new_x="LMARGIN", new_y="NEXT")
    page.set_font("sans", size=SIZE)
    page.ln(1)


def _blocks(page: FPDF, blocks: Iterable[Block], size: int) -> None:
    for block in blocks:
        match block:
            case Paragraph():
                _inline(page, block.text)
            case Items():
                for item in block.items:
                    _inline(page, ("\u2022  ", item), INDENT)
            case Table():
                _table(page, block)
            case Figure():
                _inline(page, f"{block.alternative} {block.caption}")  # drawings are on the paper's page
            case Details() | Section():
                _heading(page, block.summary if isinstance(block, Details) else block.title, size)
                _blocks(page, block.blocks, max(size - 2, SIZE))


def _inline(page: FPDF, text: Inline, indent: float = 0) -> None:
    margin = page.l_margin
    page.set_left_margin(margin + indent)
    page.set_x(page.l_margin)
    for span in spans(text):
        family, style = _FACES.get(span.style, ("sans", ""))
        page.set_font(family, style, SIZE)  # type: ignore[arg-type]
        page.write(LINE, _text(span.text), link=_link(span.target))
    page.set_font("sans", size=SIZE)
    page.set_left_margin(margin)
    page.ln(LINE + 1.2)


def _link(target: str) -> str:
    """Addresses of the web alone: a file of the results folder is not beside the PDF."""
    found = safe_target(target)
    return found if found.startswith(("http://", "https://")) else ""


def _table(page: FPDF, shown: Table) -> None:
    heads = [_text(column.heading) for column in shown.columns]
    rows = [[_text(plain(cell.text))[:MOST_CELL] for cell in row.cells] for row in shown.rows]
    widths = [max(8, min(60, max(len(row[k]) for row in [heads, *rows]))) for k in range(len(heads))]
    align: Any = tuple("RIGHT" if column.align == "right" else "LEFT" for column in shown.columns)
    page.set_font("sans", size=SIZE - 1)
    with page.table(col_widths=tuple(widths), text_align=align, line_height=CELL, borders_layout="MINIMAL") as drawn:
        for row in [heads, *rows]:
            line = drawn.row()
            for cell in row:
                line.cell(cell)
    page.set_font("sans", size=SIZE)
    page.ln(2)


def _text(text: str) -> str:
    """On one line, without control characters."""
    return "".join(" " if c in "\n\t\r" else c for c in printable(text))
