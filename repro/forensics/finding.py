"""The result of one check, and its premises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec

MANY_POINTS = 4  # of one curve; fewer are shown one by one

FindingOutcome = Literal["impossible", "not by the stated convention", "cannot tell", "consistent"]
OUTCOMES: tuple[FindingOutcome, ...] = get_args(FindingOutcome)
Source = Literal["stated", "inferred", "upstream", "assumed"]
# From the paper's own words to our choice, as `repro.specs.spec.Provenance` has them.
DISTANCE: dict[Source, int] = {"stated": 0, "inferred": 1, "upstream": 2, "assumed": 3}


class Premise(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a check takes for granted besides the printed values, and its source."""

    what: str
    source: Source


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of one check.

    check: name of the check, the same for every paper ("steps x batch size").
    claims: ids of the claims that it is about, at least one.
    outcome: "impossible": no convention known here gives the values, and the paper states all that the check rests on.
        "not by the stated convention": they do not follow as the paper states it, but `conventions` give them.
        "cannot tell": the check rests on something that the paper does not state, or the values are too coarse.
    arithmetic: one line with the values.
    meaning: one sentence for a reader.
    premises: what the check takes for granted.
    conventions: ways to obtain the values that the paper does not rule out.
    conflicts: sets of claims; each set contains at least one wrong claim. Empty: `claims` are one such set.

    Raises ValueError for an "impossible" that rests on something not stated, or that a convention explains: nothing
    assumed can accuse.
    """

    check: str
    claims: tuple[str, ...]
    outcome: FindingOutcome
    arithmetic: str
    meaning: str
    premises: tuple[Premise, ...] = ()
    conventions: tuple[str, ...] = ()
    conflicts: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.outcome != "impossible":
            return
        unstated = [premise.what for premise in self.premises if premise.source != "stated"]
        if unstated or self.conventions:
            raise ValueError(f"{self.check}: not impossible: {'; '.join((*unstated, *self.conventions))}")


def weakest(sources: Iterable[Source]) -> Source:
    """The source furthest from the paper's own words; "stated" if there is none."""
    return max(["stated", *sources], key=lambda source: DISTANCE[source])


def short_ids(ids: Sequence[str]) -> list[str]:
    """Ids for readers: many points of one curve (`repro.specs.claim_tables.Curve.points`) as "<id>-1 to -50 (50
    points)"."""
    series: dict[str, list[int]] = {}
    for id_ in ids:
        name, _, moment = id_.rpartition("-")
        if name and re.fullmatch(r"\d+", moment):
            series.setdefault(name, []).append(int(moment))
    many = {name: moments for name, moments in series.items() if len(moments) >= MANY_POINTS}
    shown = []
    for id_ in ids:
        name, _, moment = id_.rpartition("-")
        if name not in many or not moment.isdigit():
            shown.append(id_)
        else:
            moments = many[name]
            shown.append(f"{name}-{min(moments)} to -{max(moments)} ({len(moments)} points)")
    return list(dict.fromkeys(shown))
