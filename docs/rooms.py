"""The rooms of the two packages and what imports what, read from the code: a picture and a table for how-it-works.md.

A room is a package below ``fer_jax`` or ``repro``, with all that is in it.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("fer_jax", "repro")
Arrows = dict[str, set[str]]


def rooms() -> list[str]:
    """Such as ``repro/judge``."""
    found = [path.parent for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def arrows() -> Arrows:
    """From each room to those that it imports, at any depth of its files."""
    known = rooms()
    found: Arrows = {}
    for room in known:
        imported = {name for path in (ROOT / room).rglob("*.py") for name in _imports(path)}
        found[room] = (imported & set(known)) - {room}
    return found


def _imports(path: Path) -> set[str]:
    """The first two parts of every imported module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {"/".join(name.split(".")[:2]) for name in names}


def from_top(found: Arrows) -> list[str]:
    """The rooms in an order in which every arrow points on.

    Raises ValueError if rooms import each other in a circle.
    """
    order: list[str] = []
    waiting = dict(found)
    while waiting:
        imported = set().union(*waiting.values())
        free = sorted(room for room in waiting if room not in imported)
        if not free:
            raise ValueError(f"these rooms import each other in a circle: {', '.join(sorted(waiting))}")
        order += free
        for room in free:
            del waiting[room]
    return order


def shown(found: Arrows) -> Arrows:
    """Without the arrows that follow from others."""
    reached: Arrows = {}
    for room in reversed(from_top(found)):
        reached[room] = found[room].union(*(reached[below] for below in found[room]))
    return {room: below - set().union(*(reached[one] for one in below)) for room, below in found.items()}


def picture() -> str:
    found = arrows()
    kept, order = shown(found), from_top(found)
    lines = ["flowchart TD"]
    for package in reversed(PACKAGES):
        mine = [room for room in order if room.startswith(f"{package}/")]
        lines += [f"  subgraph {package}", *(f"    {_id(room)}[{room.partition('/')[2]}]" for room in mine), "  end"]
    lines += [f"  {_id(room)} --> {_id(below)}" for room in order for below in sorted(kept[room])]
    table = ["| Room | What is in it |", "|---|---|"]
    table += [f"| [`{room}/`](../{room}) | {_about(room)} |" for room in order]
    return "\n".join(["```mermaid", *lines, "```", "", *table]) + "\n"


def _id(room: str) -> str:
    return room.replace("/", "_")


def _about(room: str) -> str:
    """The first paragraph of the package's description."""
    text = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")
