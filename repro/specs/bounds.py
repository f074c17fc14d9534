"""Bounds on documents of strangers: sizes, numbers, texts and depth that no spec and no record needs. What of their
texts is printed.

A document within them costs little whatever its values are, so that what works with it needs no other bounds.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

MOST_BYTES = 20_000_000
MOST_NODES = 2_000_000
DEEPEST = 60
LONGEST_KEY = 300
LONGEST_TEXT = 100_000
LARGEST_NUMBER = 10**15  # counts and bytes; a measured value may be any finite number
_LONGEST_DOTTED_KEY = 100  # parts; a parser takes quadratic time for them


def exceeded(document: Any) -> str | None:
    """The first place of a decoded TOML or JSON document that is out of bounds, and how; None if there is none."""
    waiting: list[tuple[Any, str, int]] = [(document, "", 0)]
    nodes = 0
    while waiting:
        node, path, depth = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or depth > DEEPEST:
            return f"{_shown(path)}: more than {MOST_NODES:,} values, or nested deeper than {DEEPEST}"
        if isinstance(node, str) and len(node) > LONGEST_TEXT:
            return f"{_shown(path)}: a text of {len(node):,} characters; at most {LONGEST_TEXT:,} are read"
        if isinstance(node, int) and not -LARGEST_NUMBER <= node <= LARGEST_NUMBER:
            return f"{_shown(path)}: a whole number beyond {LARGEST_NUMBER:,}"
        if isinstance(node, dict):
            if any(len(str(key)) > LONGEST_KEY for key in node):
                return f"{_shown(path)}: a key of more than {LONGEST_KEY} characters"
            waiting += [(value, f"{path}.{key}" if path else str(key), depth + 1) for key, value in node.items()]
        elif isinstance(node, list | tuple):
            waiting += [(value, f"{path}[{index}]", depth + 1) for index, value in enumerate(node)]
    return None


def has_endless_key(text: str) -> bool:
    """Whether a TOML text has a dotted key of more than 100 parts (a.b.c...)."""
    runs = re.split(r"[^\w.\-\"' \t]+", re.sub(r"\.{2,}", "", text))
    return any(run.count(".") > _LONGEST_DOTTED_KEY for run in runs)


def printable(text: str) -> str:
    """Text without control characters and changes of direction; line ends and tabs stay.

    A terminal obeys escape sequences, and an override of direction shows other words than a program reads.
    """
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c
        for c in text
    )


def _shown(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:80]}..."
