"""The same quantity reported twice: in the abstract and in a table, in the text and in the listing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from repro.forensics.case import Case, grouped
from repro.forensics.finding import Finding
from repro.forensics.granted import judge, plain
from repro.forensics.printed import number, percent, window
from repro.specs.conventions import Explanations
from repro.specs.decode import DEFAULT_VARIANT
from repro.specs.spec import Claim

TWICE = "stated twice"


def check(case: Case) -> Iterator[Finding]:
    comparable = (claim for claim in case.claims if claim.quantity != "other")
    for claims in grouped(comparable, lambda claim: _what(case, claim)).values():
        if len(claims) > 1:
            yield _told(case, claims)


def _what(case: Case, claim: Claim) -> tuple[object, ...]:
    """The subject of a claim. Sizes and settings from another reading of the paper count as the same subject."""
    variant = claim.variant
    if claim.quantity in ("rows", "setting") and variant in case.readings:
        variant = DEFAULT_VARIANT
    moment = claim.epoch if claim.quantity == "speedup" else case.moment(claim)  # without epoch: an average, mostly
    place = (claim.split, variant, moment, claim.emotion, claim.actual)
    return claim.quantity, claim.setting, *place, claim.device, claim.hardware if claim.quantity == "time" else ""


def _told(case: Case, claims: list[Claim]) -> Finding:
    """Two values in two places are a contradiction only if the paper's words make them the same thing. A paper may
    describe two networks, or report a single one here and an ensemble there."""
    odd = [(one, other) for one, other in combinations(claims, 2) if not _agree(one, other)]
    what = claims[0].setting or " ".join(
        word for word in (claims[0].quantity.replace("_", " "), claims[0].split, claims[0].emotion) if word
    )
    values = " and ".join(dict.fromkeys(f"{_shown(claim)} ({claim.place})" for claim in claims))
    shown = f"{what}: {values}"
    if not odd:
        return plain(TWICE, claims, "consistent", shown, "It is the same figure in each place.")
    explained: Explanations = {"two_things": ""}
    if claims[0].quantity == "accuracy":
        explained |= {"mean_of_runs": "in one place, a single run in the other", "other_accuracy": "in one place"}
    if claims[0].quantity == "rows":
        explained["copies"] = "counted in one place"
        explained["other_samples"] = ""
    meaning = "The paper gives two values under one name."
    return judge(case, TWICE, claims, shown, meaning, explained=explained, conflicts=odd)


def _agree(one: Claim, other: Claim) -> bool:
    """Whether one number can be printed as both, rounded or cut."""
    first, second = window(one), window(other)
    return first.low <= second.high_if_cut and second.low <= first.high_if_cut and one.unit == other.unit


def _shown(claim: Claim) -> str:
    return percent(claim.value) if claim.unit == "fraction" else number(claim.value)
