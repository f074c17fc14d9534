"""A changed setting in one line: `training.epochs=2`."""

from __future__ import annotations

import tomllib
from typing import Any


def parse_setting(text: str) -> tuple[str, Any]:
    """Key path, as in a variant's `set`, and TOML value. Anything else is a string: a word needs no quotes.

    Raises ValueError without a key or a value.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise ValueError(f"{text!r}: write KEY=VALUE, such as training.epochs=2")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def canonical_setting(text: str) -> str:
    """The line without blanks around its parts. Raises ValueError as `parse_setting`."""
    parse_setting(text)
    key, _, value = text.partition("=")
    return f"{key.strip()}={value.strip()}"
