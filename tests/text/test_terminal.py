"""The document model on a terminal."""

from __future__ import annotations

import pytest

from repro.text.document import Cell, Column, Details, Document, Items, Paragraph, Section, strong, table
from repro.text.terminal import terminal, terminal_blocks

TABLE = table(
    [Column("Split"), Column("Samples", "right"), Column("What happens to them in the end")],
    [["test", Cell("7,174", 7174), "some of these samples are also in the training set"], ["", "12", "x"]],
)


@pytest.fixture
def narrow(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")


def test_a_list_follows_its_paragraph_and_empty_lines_separate_the_rest(narrow):
    blocks = (
        Paragraph((strong("a:"), " first")),
        Items(("one", "two two " * 8)),
        Paragraph("b"),
        Details("More (1)", (Paragraph("inside"), Section("Deep", (Items(("three",)),)))),
    )
    assert terminal(Document("Title", blocks)).splitlines() == [
        *("Title", "", "a: first", "  - one", "  - two two two two two two two two two two two"),
        *("    two two two two two", "", "b", "", "More (1)", "  inside", "", "  Deep", "      - three"),
    ]


def test_a_table_is_wrapped_to_the_width_and_keeps_its_numbers_whole(narrow):
    lines = terminal(Document("T", (TABLE,))).splitlines()
    assert max(map(len, lines)) <= 50
    assert any(line.split()[:3] == ["test", "7,174", "some"] for line in lines)


def test_control_characters_of_a_stranger_reach_no_terminal(narrow):
    bad = "\x1b]0;title\x07\u202ered\x9b31m"
    blocks = (Paragraph(bad), Items((bad,)), table([Column(bad)], [[bad]]), Section(bad, ()), Details(bad, ()))
    shown = terminal(Document(bad, blocks))
    assert not set(shown) & set("\x1b\x07\u202e\x9b") and "title" in shown


def test_a_table_without_rows_is_its_heads():
    assert terminal_blocks([table([Column("One"), Column("Two")], [])]).splitlines()[0].split() == ["One", "Two"]
