"""Numbers with their nouns in messages."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 face`, `2 faces`, `1,000 faces`; for nouns with a regular plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
