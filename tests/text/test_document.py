"""repro.text.document and its renderers: what a stranger's text may do in each of them, which is nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import FrozenInstanceError

import pytest

from repro.text.document import (
    BREAK,
    Cell,
    Column,
    Details,
    Document,
    Figure,
    Items,
    Paragraph,
    Section,
    Span,
    chip,
    code,
    count,
    joined,
    link,
    plain,
    row_of,
    safe_target,
    say,
    spans,
    strong,
    table,
    ticked,
    walk,
)
from repro.text.export import as_builtins, table_csv
from repro.text.markdown import inline, markdown
from repro.text.terminal import terminal

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) ![x](//evil) *a* `b` | c $d$ "
    "\x1b[31m\u202e =HYPERLINK(1)"
)
BAD_TARGETS = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example/x",
    "/etc/passwd",
    "../../secret.svg",
    "figures/../../secret.svg",
    "figures\\..\\secret.svg",
    "http:",
    "http://[bad",
)


def everywhere(text: str, target: str) -> Document:
    """A document with the text in every place that takes one, and a target in every place that takes one."""
    shown = table(
        [Column(text), Column("Number", "right")],
        [[text, Cell(text, 1.0)], row_of([strong(text), code(text)], text), [link(text, target), chip(text, "yes")]],
    )
    blocks = (
        Paragraph((text, link(text, target))),
        Items((text, say("*ours* {theirs}", theirs=text))),
        Figure(target, text, text, target),
        Details(text, (shown,)),
    )
    return Document(text, (Section(text, blocks),), text)


def test_blocks_are_frozen_and_a_row_has_one_cell_per_column():
    with pytest.raises(FrozenInstanceError):
        Paragraph("a").text = "b"  # type: ignore[misc]
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        table([Column("a"), Column("b")], [["x"]])


def test_a_sentence_of_ours_has_marks_and_its_values_have_none():
    said = say("Run `repro audit {word}`: **now**, *see* [here](a.md),\n {theirs}.", word="x", theirs="`*no*`")
    assert [(one.text, one.style, one.target) for one in spans(said) if one.style != "plain" or one.target] == [
        ("repro audit x", "code", ""),
        ("now", "strong", ""),
        ("see", "em", ""),
        ("here", "plain", "a.md"),
    ]
    assert plain(said) == "Run repro audit x: now, see here, `*no*`."
    assert inline(said).endswith(r"[here](a.md), \`\*no\*\`.")


def test_small_helpers():
    assert plain(joined(["a", "", code("b")])) == "a, b"
    assert [one.style for one in spans(ticked("a `b` c"))] == ["plain", "code", "plain"]
    assert (count(1234).text, count(1234).value) == ("1,234", 1234)
    assert inline(("a", BREAK, "b")) == "a; b"
    inner = Paragraph("x")
    section = Section("s", (Details("d", (inner,)),))
    assert inner in list(walk([section]))
    assert Document("t", (section,)).section("s") is section


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_no_renderer_follows_a_target_that_leaves_the_folder_or_runs_something(target: str):
    pytest.importorskip("markupsafe")
    from repro.report.page.html import Html

    assert safe_target(target) in ("", target.strip()) and not re.match(r"(?i)\s*(java|vb)script", safe_target(target))
    asked: list[str] = []
    html = Html(link=str, image=lambda path: asked.append(path) or "")
    document = everywhere("words", target)
    text = html.blocks(document.blocks, 2, "id")
    assert "href" not in text and "<img" not in text and asked == ["", ""][: len(asked)]
    assert "](" not in markdown(document)


@pytest.mark.parametrize("target", ["https://example.org/a?b=c", "http://example.org", "#place", "runs/a/run.json"])
def test_other_targets_are_kept(target: str):
    assert safe_target(target) == target
    assert inline(Span("x", target=target)).startswith("[x](")


def test_markdown_shows_hostile_text_as_text():
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown(everywhere(HOSTILE, "a.md")))
    inner = [child for token in tokens for child in token.children or ()]
    assert {child.attrs["href"] for child in inner if child.type == "link_open"} == {"a.md"}
    assert {child.attrs["src"] for child in inner if child.type == "image"} == {"a.md"}
    assert not [child for child in inner if child.type == "html_inline"]
    ours = r"<!--.*-->|<details><summary>[^<]*</summary>|</details>"
    assert all(re.fullmatch(ours, token.content.strip(), re.S) for token in tokens if token.type == "html_block")
    widths = {
        line.replace("\\|", "").count("|") for line in markdown(everywhere(HOSTILE, "")).splitlines() if line[:1] == "|"
    }
    assert widths == {3}


def test_html_shows_hostile_text_as_text():
    pytest.importorskip("markupsafe")
    from repro.report.page.html import Html

    hostile = HOSTILE + '" onload="alert(1)'
    text = Html(image=lambda path: f"data:{path}").blocks(everywhere(hostile, "a.md").blocks, 2, "id")
    tags = set(re.findall(r"<(\w+)", text))
    assert not tags & {"script", "iframe"} and text.count("<img") == 1
    for tag in re.findall(r"<[^>]*>", text):
        names = re.findall(r'([\w-]+)="[^"]*"', tag)
        assert not [name for name in names if name.startswith("on") or name == "style"], tag


def test_a_terminal_obeys_nothing_in_hostile_text():
    text = terminal(everywhere(HOSTILE, "a.svg"))
    assert "\x1b" not in text and "\u202e" not in text
    assert "alert(1)" in text, "it is shown, not dropped"


def test_csv_and_json_hold_values_and_words():
    shown = table([Column("a"), Column("b")], [["=1+1", Cell("49.0 %", 0.49)], [HOSTILE, "-2"]])
    rows = list(csv.reader(io.StringIO(table_csv(shown))))
    assert rows[:2] == [["a", "b"], ["'=1+1", "0.49"]], "a spreadsheet takes no cell for a formula"
    assert rows[2][1] == "'-2" and len(rows) == 3
    document = json.loads(json.dumps(as_builtins(everywhere(HOSTILE, "a.svg"))))
    assert document["title"] == HOSTILE
    cell = document["blocks"][0]["blocks"][3]["blocks"][0]["rows"][0][1]
    assert cell == {"text": HOSTILE, "value": 1.0}
