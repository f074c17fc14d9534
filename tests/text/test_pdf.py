"""repro.text.pdf: the document model as PDF; what a stranger wrote stays text."""

from __future__ import annotations

import re
import zlib

import pytest

from repro.text import pdf as module
from repro.text.document import (
    Cell,
    Column,
    Details,
    Document,
    Items,
    Paragraph,
    Section,
    code,
    link,
    strong,
    table,
)
from repro.text.pdf import NOT_INSTALLED, PdfError, pdf

pytest.importorskip("fpdf")
HOSTILE = "](javascript:x) \x1b[2J\u202e **bold** <b> ä → ✗"


def document(*, rows: int = 3) -> Document:
    shown = table([Column("What"), Column("Number", "right")], [[HOSTILE, Cell(f"{k}", k)] for k in range(rows)])
    return Document(
        "A title",
        (
            Paragraph(("plain, ", strong("strong"), code("code `x`"), link("a page", "https://example.org/x"))),
            Paragraph((HOSTILE, link("nowhere", "javascript:alert(1)"), link("a file", "../../etc/passwd"))),
            Section("Found", (Items((HOSTILE, "two")), Details("More", (shown,)))),
        ),
    )


def test_pages_links_and_equal_bytes():
    made = pdf(document(rows=120))
    assert made.startswith(b"%PDF-") and made.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", made)) > 2, "a long table is broken over pages"
    assert re.findall(rb"/URI \((.*?)\)", made) == [b"https://example.org/x"]
    assert b"/JavaScript" not in made
    assert pdf(document(rows=120)) == made


def test_the_characters_are_drawn():
    made = pdf(Document("Ä", (Paragraph("\u00e4\u2192"),)))
    streams = [zlib.decompress(one) for one in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", made, re.DOTALL)]
    named = made + b"".join(streams)
    assert b"<00E4>" in named.upper() and b"<2192>" in named.upper(), "the map from glyphs to characters"


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PdfError, match=re.escape(NOT_INSTALLED)):
        pdf(document())
