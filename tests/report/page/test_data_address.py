"""A picture's address holds the same drawing, and nothing in it ends an attribute or the address."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import canonicalize

import pytest
from results_folders import RESULTS

from repro.report.page.data_address import data_address

DRAWN = sorted((RESULTS / "figures").glob("*.svg"))
HARD = """<svg xmlns="http://www.w3.org/2000/svg" width="1">
<title>it's 5 % &amp; "50" &lt; #1</title>
<text x="1" class='a"b'>\u00b1 1
2</text>

<path d="M0 0h1"/>
</svg>
"""


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for _, value in attrs]


def drawn_from(address: str) -> str:
    """The drawing, as a browser reads the attribute and the address."""
    reader = _Sources()
    reader.feed(f'<img src="{address}">')
    (source,) = reader.found
    kind, _, text = source.partition(",")
    assert kind == "data:image/svg+xml" and not re.search(r'[\s#"]', text)
    return unquote(text)


def same(first: str, second: str) -> bool:
    return canonicalize(first, strip_text=True) == canonicalize(second, strip_text=True)


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_every_drawing_is_the_same_in_its_address(path: Path):
    """But for what says to a file alone what it shows."""
    drawing = path.read_text(encoding="utf-8")
    begin, end = drawing.index("<metadata>"), drawing.index("</metadata>") + len("</metadata>")
    assert same(drawn_from(data_address(path)), drawing[:begin] + drawing[end:])


def test_quotes_signs_and_lines_survive(tmp_path: Path):
    path = tmp_path / "a.svg"
    path.write_text(HARD, encoding="utf-8")
    found = drawn_from(data_address(path))
    assert same(found, HARD) and 'it\'s 5 % &amp; "50" &lt; #1' in found and "\u00b1 1\n2" in found


def test_pixels_stay_as_they_are(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(range(256)))
    kind, _, text = data_address(path).partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(text) == bytes(range(256))
