"""How many contradictions there are: the least number of printed passages that must be wrong for the rest to agree.

One wrong number contradicts every number that it is compared with, so counts of pairs say little. The count is a
smallest hitting set: it contains at least one claim of each set that cannot all be right. The unit is a passage, that
is a sentence or a row of a table, because that is what an author would correct.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repro.forensics.case import where
from repro.forensics.finding import Finding, FindingOutcome
from repro.specs.spec import Claim

Passage = tuple[str, str]  # (place, quote)
MOST_STEPS = 200_000  # of the exact search; beyond it the greedy answer is kept
LESSER: FindingOutcome = "not by the stated convention"


@dataclass(frozen=True)
class ContradictedPassage:
    """A passage that does not fit, and the findings that show it. A finding on several passages appears under each."""

    place: str
    quote: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Points:
    """contradictions: passages that are wrong under every known convention, with all findings that they explain.
    others: passages that are not as the paper states it, though some convention gives them."""

    contradictions: tuple[ContradictedPassage, ...]
    others: tuple[ContradictedPassage, ...]


def points(claims: Iterable[Claim], findings: Sequence[Finding]) -> Points:
    """The contradictions of a paper and its other open points, each counted once."""
    passages = {claim.id: _passage(claim) for claim in claims}
    conflicts = {
        outcome: [
            (frozenset(passages[id_] for id_ in conflict), finding)
            for finding in findings
            if finding.outcome == outcome
            for conflict in finding.conflicts or (finding.claims,)
        ]
        for outcome in ("impossible", LESSER)
    }
    wrong = smallest_hitting_set([group for group, _ in conflicts["impossible"]])
    left = [item for item in conflicts[LESSER] if not item[0] & set(wrong)]
    open_ = smallest_hitting_set([group for group, _ in left])
    explained = [item for item in conflicts[LESSER] if item[0] & set(wrong)]
    return Points(_gathered(wrong, conflicts["impossible"] + explained), _gathered(open_, left))


def _gathered(
    culprits: list[Passage], conflicts: list[tuple[frozenset[Passage], Finding]]
) -> tuple[ContradictedPassage, ...]:
    groups: dict[Passage, list[Finding]] = {culprit: [] for culprit in culprits}
    for group, finding in conflicts:
        found = groups[next(culprit for culprit in culprits if culprit in group)]
        if finding not in found:
            found.append(finding)
    return tuple(ContradictedPassage(place, quote, tuple(found)) for (place, quote), found in groups.items())


def _passage(claim: Claim) -> Passage:
    """The quote, in its section or table: the same words in another section are another passage."""
    return where(claim), claim.quote


def smallest_hitting_set(sets: Sequence[frozenset[Passage]]) -> list[Passage]:
    """The fewest passages that include at least one from each set; those that hit most sets first.

    Exact unless it takes more than `MOST_STEPS`; then the greedy answer, which can only be larger.
    """
    greedy = _greedy(sets)
    steps = 0

    def search(left: list[frozenset[Passage]], size: int) -> list[Passage] | None:
        nonlocal steps
        steps += 1
        if not left:
            return []
        if size == 0 or steps > MOST_STEPS:
            return None
        for passage in _by_hits(min(left, key=len), left):
            rest = search([group for group in left if passage not in group], size - 1)
            if rest is not None:
                return [passage, *rest]
        return None

    for size in range(len(greedy)):
        found = search(list(dict.fromkeys(sets)), size)
        if found is not None:
            return _by_hits(found, sets)
    return _by_hits(greedy, sets)


def _greedy(sets: Sequence[frozenset[Passage]]) -> list[Passage]:
    left, found = list(sets), list[Passage]()
    while left:
        found.append(_by_hits({passage for group in left for passage in group}, left)[0])
        left = [group for group in left if found[-1] not in group]
    return found


def _by_hits(passages: Iterable[Passage], sets: Sequence[frozenset[Passage]]) -> list[Passage]:
    """Passages that hit most sets first; ties by their words, so that the answer is always the same."""
    return sorted(passages, key=lambda passage: (-sum(passage in group for group in sets), passage))
