"""The line of every key and list item of a TOML text. `tomllib` gives values without their places.

The text is one that `tomllib` has accepted, so that this reader needs no errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

KeyPath = tuple[str | int, ...]
_TOKEN = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}'
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|\n|[\[\]{},=]|[^\s\[\]{},=#\"']+",
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class _Token(NamedTuple):
    text: str
    line: int
    start: int


def line_of(place: str, lines: dict[KeyPath, int]) -> int | None:
    """The line of a key path as messages write it (``model.layers[0].filters``), or of the nearest table around it;
    None if even that is not in the file. lines: as `key_lines` gives them."""
    path = tuple(int(index) if index else key for index, key in _PART.findall(place))
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line, counted from 1, by key path from the root."""
    return _Reader(text).read()


class _Reader:
    """A recursive descent over the tokens of a TOML text."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.tokens = list(_tokens(self.text))
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.lists: dict[KeyPath, int] = {}  # by the path of a list of tables: the index of its last table

    def read(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.text == "\n" or token.text.startswith("#"):
                self.at += 1
            elif token.text == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _header(self) -> KeyPath:
        """``[a.b]`` or ``[[a.b]]``: the path of the table that begins here."""
        line, doubled = self.tokens[self.at].line, self.tokens[self.at + 1].text == "["
        self.at += 2 if doubled else 1
        parts = self._key("]")
        self.at += 2 if doubled else 1
        path: KeyPath = ()
        for depth, part in enumerate(parts):
            path += (part,)
            last = depth == len(parts) - 1
            if last and doubled:
                self.lists[path] = self.lists.get(path, -1) + 1
            self.lines.setdefault(path, line)
            if path in self.lists:
                path += (self.lists[path],)
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        """``a.b = value``."""
        line = self.tokens[self.at].line
        path = table
        for part in self._key("="):
            path += (part,)
            self.lines.setdefault(path, line)
        self.at += 1
        self._value(path)

    def _key(self, end: str) -> list[str]:
        """The parts of a dotted key, up to a token that ends it."""
        first = self.tokens[self.at]
        while self.tokens[self.at].text != end:
            self.at += 1
        written = self.text[first.start : self.tokens[self.at].start].strip()
        if _BARE.fullmatch(written):
            return written.split(".")
        found, parts = tomllib.loads(f"{written} = 0"), []
        while isinstance(found, dict):
            ((part, found),) = found.items()
            parts.append(part)
        return parts

    def _value(self, path: KeyPath) -> None:
        match self._next().text:
            case "[":
                self.at += 1
                index = 0
                while (token := self._next()).text != "]":
                    if token.text == ",":
                        self.at += 1
                        continue
                    self.lines.setdefault((*path, index), token.line)
                    self._value((*path, index))
                    index += 1
                self.at += 1
            case "{":
                self.at += 1
                while self._next().text != "}":
                    if self._next().text == ",":
                        self.at += 1
                    else:
                        self._pair(path)
                self.at += 1
            case _:
                self.at += 1
                while self.at < len(self.tokens) and self.tokens[self.at].text not in ("\n", ",", "]", "}"):
                    self.at += 1  # a date and its time are two tokens, a comment may follow

    def _next(self) -> _Token:
        """The next token of a value, beyond line ends and comments."""
        while self.tokens[self.at].text == "\n" or self.tokens[self.at].text.startswith("#"):
            self.at += 1
        return self.tokens[self.at]


def _tokens(text: str) -> Iterator[_Token]:
    line, counted = 1, 0
    for found in _TOKEN.finditer(text):
        line += text.count("\n", counted, found.start())
        counted = found.start()
        yield _Token(found.group(), line, found.start())
