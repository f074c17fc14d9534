"""repro.specs.lines: the line of every key that tomllib finds, however the file is laid out."""

from __future__ import annotations

import tomllib

import pytest
from tiny_paper import TINY

from repro.specs.catalog import TEMPLATE, papers_folder
from repro.specs.lines import key_lines, line_of


def paths(node, path=()):
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from paths(value, (*path, key))


ODD = '''\
# a comment with [brackets] = and "quotes"
"a.b" = 1 # behind
'lit' . "x y" = """
[not.a.table]
three \\""" quotes"""
list = [ # one
  1, "]", [2,
  3], { k = 'v', "q" = [true] },
]
when = 1979-05-27 07:32:00
[t] # header
e = \'\'\'it''s\'\'\'
[[t.s]]
k = 1
[t.s.sub]
m = {}
[[t.s]]
k = 2
'''


@pytest.mark.parametrize("text", [ODD, TINY, ODD.replace("\n", "\r\n"), (papers_folder() / TEMPLATE).read_text()])
def test_every_key_and_item_has_the_line_that_it_is_written_in(text):
    found, lines = key_lines(text), text.splitlines()
    assert found.keys() == set(paths(tomllib.loads(text)))
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert path[-1] in lines[line - 1], (path, line)


def test_items_of_a_list_over_several_lines():
    lines = key_lines(ODD)
    assert [line_of(place, lines) for place in ("list[0]", "list[2]", "list[2][1]", "list[3].q[0]")] == [7, 7, 8, 8]
    assert [line_of(place, lines) for place in ("t.s[0].sub.m", "t.s[1].k", "t.s[1] (name)")] == [16, 18, 17]


def test_a_key_that_is_not_there_has_the_line_of_its_table():
    lines = key_lines(TINY)
    assert line_of("model.layers[0].strides", lines) == line_of("model.layers[0]", lines)
    assert line_of("nothing", lines) is None
