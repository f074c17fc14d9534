"""What the kinds of correct papers share: how a kind is named, and what an author knows of the experiment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from invented_papers import printed

from fer_jax.vocabulary.fer2013 import EMOTIONS, OFFICIAL_COUNTS
from repro.specs.conventions import Convention
from repro.specs.spec import Claim

Claims = dict[str, Claim]
Numbers = dict[str, Any]  # claim id -> its new value, or a new claim
Make = Callable[[random.Random, Claims], Numbers]
EVERYWHERE = (8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 512)  # batch sizes of evaluations
ALL = sum(sum(counts) for counts in OFFICIAL_COUNTS.values())


@dataclass(frozen=True)
class Kind:
    """make: the numbers as this author prints them. uses: how they come about. accusable: whether a check would call
    them impossible if the paper (falsely) ruled those conventions out, so that the kind tests something."""

    make: Make
    uses: frozenset[Convention]
    accusable: bool = True


KINDS: dict[str, Kind] = {}


def correct(*uses: Convention, accusable: bool = True) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        KINDS[make.__name__] = Kind(make, frozenset(uses), accusable)
        return make

    return add


# --- what an author knows -------------------------------------------------------------------------------------------


def size(c: Claims, split: str = "test") -> int:
    return int(c[f"rows-{split}"].value)


def batch(c: Claims) -> int:
    return int(c["batch-text"].value)


def right(c: Claims) -> int:
    return int(sum(c[f"hits-{e}"].value for e in EMOTIONS))


def matrix(c: Claims) -> list[list[int]]:
    return [[int(c[f"cell-{actual}-{e}"].value) for e in EMOTIONS] for actual in EMOTIONS]


def told(draw: random.Random, value: float, decimals: tuple[int, ...] = (4, 5)) -> Numbers:
    """An accuracy in the table, and more coarsely in the abstract."""
    return {"accuracy": printed(draw, value, decimals), "abstract": printed(draw, value, (2, 3))}


def in_batches(rows: int, of: int) -> list[int]:
    return [min(of, rows - start) for start in range(0, rows, of)]


def outcomes(draw: random.Random, c: Claims) -> list[bool]:
    """Which test samples are right, in the order of evaluation."""
    found = [True] * right(c) + [False] * (size(c) - right(c))
    draw.shuffle(found)
    return found


def network(c: Claims) -> tuple[int, int]:
    """(parameters, filters of the one convolution of the tiny network on 8 x 8 pixels)."""
    count = int(c["parameters"].value)
    (filters,) = [f for f in range(1, 41) if 10 * f + 7 * 36 * f + 7 == count]
    return count, filters
