"""Numbers with their nouns in messages."""

from __future__ import annotations

import re


def counted(count: int, noun: str) -> str:
    """`1 face`, `2 faces`, `1,000 training samples`, `2 entries`, `2 hashes`, `2 epochs`; for regular nouns."""
    return f"{count:,} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|[^o]ch|sh)$", noun) else f"{noun}s"
