"""What makes two runs the same."""

from __future__ import annotations

from typing import Any

import msgspec


def run_identity(**parts: Any) -> bytes:
    """The parts as canonical JSON. `duplicates_version` is omitted if no step compares images, `precision` if it is the
    default, `switches` if there are none. Identities then equal those of runs from before these keys existed."""
    later = ("duplicates_version", "precision", "switches")
    said = {name: part for name, part in parts.items() if name not in later or part}
    return msgspec.json.encode(said, order="sorted")
