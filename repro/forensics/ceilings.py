"""Claims above the best result on FER-2013 that we could confirm. The results are data: published.toml."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from fer_jax.vocabulary.counted import counted
from repro.forensics.case import RUNNING, Case, grouped
from repro.forensics.finding import Finding
from repro.forensics.granted import judge, plain
from repro.forensics.printed import percent, window
from repro.specs.conventions import Explanations
from repro.specs.spec import Claim

CEILING = "above the best confirmed result on FER-2013"
STANDARD_ERRORS = 3.0
# A network better than all that we know: rare, but no arithmetic excludes it.
NEW_BEST = "a network better than every confirmed one"
# Why there is a ceiling at all: ten new votes per face disagree with many of the labels.
LABEL_NOISE = "Barsoum et al. 2016, arXiv:1608.01041 (FER+)"
_FILE = Path(__file__).with_name("published.toml")


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An accuracy on FER-2013's seven emotions (a fraction), its authors, and where it is printed."""

    accuracy: float
    kind: Literal["people", "single", "ensemble"]
    who: str
    source: str
    confirmed: bool
    note: str = ""


class PublishedResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list, and when it was last compared with the literature."""

    checked: datetime.date
    result: tuple[Published, ...]

    def best(self, *kinds: str) -> Published:
        """The best confirmed result of these kinds."""
        return max((r for r in self.result if r.confirmed and r.kind in kinds), key=lambda r: r.accuracy)


@cache
def published() -> PublishedResults:
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), PublishedResults)


def check(case: Case) -> Iterator[Finding]:
    evaluated = (c for c in case.of("accuracy") if c.split and c.split not in RUNNING and not c.emotion)
    for claims in grouped(evaluated, lambda claim: (claim.variant, claim.split)).values():
        yield _highest(case, claims)


def fewest_samples(accuracy: float, ceiling: float) -> int:
    """The least number of test samples for which an accuracy exceeds the ceiling by more than `STANDARD_ERRORS`."""
    spread = STANDARD_ERRORS**2 * accuracy * (1 - accuracy)
    return max(1, math.ceil(spread / (accuracy - ceiling) ** 2))


def _highest(case: Case, claims: list[Claim]) -> Finding:
    """The highest accuracy of a split. The size of a test split may be our reading, so the finding states the number of
    samples from which it holds."""
    results, claim = published(), max(claims, key=lambda c: c.value)
    low, single, best = window(claim).low, results.best("single"), results.best("single", "ensemble")
    people = results.best("people")
    shown, date = f"'{claim.split}' {percent(claim.value)}", results.checked.isoformat()
    if low <= single.accuracy:
        shown += f" <= {percent(single.accuracy)} of the best single network confirmed by {date} ({single.source})"
        meaning = f"A single network can reach it; {people.who} ({people.source})."
        return plain(CEILING, [claim], "consistent", shown, meaning)
    if low <= best.accuracy:
        shown += f" <= {percent(best.accuracy)} of the best ensemble confirmed by {date} ({best.source})"
        meaning = "It would be among the best confirmed results."
        return plain(CEILING, [claim], "cannot tell", shown, meaning)
    least = fewest_samples(low, best.accuracy)
    shown += f" > {percent(best.accuracy)}, the best result that we could confirm ({date}; {best.source})"
    shown += f", by more than {STANDARD_ERRORS:g} standard errors on {counted(least, 'sample')} or more"
    known = case.printed_samples(claim) or case.evaluated_samples(claim)
    samples = known[0] if isinstance(known, tuple) else known
    if samples is None or samples < least:
        of = "their number is not known" if samples is None else f"there are {samples:,}"
        meaning = "So few samples leave it open whether it is above the best confirmed result."
        return plain(CEILING, [claim], "cannot tell", f"{shown}; {of}", meaning)
    above = [c for c in claims if window(c).low > best.accuracy]
    meaning = (
        f"Above the best result that we could confirm ({date}) and above {people.who} ({people.source}): the labels "
        f"are noisy ({LABEL_NOISE}). Samples that were seen in training would explain it."
    )
    explained: Explanations = {"other_classes": "", "other_accuracy": "", "other_samples": ""}
    return judge(case, CEILING, above, shown, meaning, explained=explained, always=(NEW_BEST,))
