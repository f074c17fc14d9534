"""repro.text.markdown: nothing that a document says breaks a table or turns into markup."""

from __future__ import annotations

import pytest

from repro.text.markdown import Column, escape, table


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("p(a|b)", r"p(a\|b)"),
        ("two\n lines", "two lines"),
        ("<b> & *c*", r"&lt;b> &amp; \*c\*"),
        ("[x](y) `z` $w$", r"\[x\](y) \`z\` \$w\$"),
        ("snake_case _x_", r"snake_case \_x\_"),
        (r"d\_b", r"d\\\_b"),
    ],
)
def test_escape(text, safe):
    assert escape(text) == safe


def test_table_is_gfm_and_a_changed_cell_changes_one_line():
    columns = [Column("name"), Column("value", "right")]
    before = table(columns, [["a", "1"], [escape("b|c"), ""]]).splitlines()
    after = table(columns, [["a much longer name", "1"], [escape("b|c"), ""]]).splitlines()
    assert before == ["| name | value |", "|:---|---:|", "| a | 1 |", r"| b\|c | |"]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, False, True]


def test_table_keeps_numbers_as_they_are_written():
    assert "| 1,000.50 |" in table([Column("x", "right")], [["1,000.50"], ["007"]])


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        table([Column("a"), Column("b")], [["only one"]])
