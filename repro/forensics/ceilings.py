"""What can be reached on FER-2013, with sources, and claims that lie above it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from repro.forensics.case import RUNNING, Case, grouped, ids
from repro.forensics.finding import Finding, Outcome
from repro.forensics.printed import percent, window
from repro.spec import Claim

CEILING = "above what has been reached on FER-2013"
STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class Published:
    """An accuracy on FER-2013's seven emotions (a fraction), by whom, and where it stands."""

    accuracy: float
    who: str
    source: str


# Accuracies of PrivateTest (3,589 rows), but for people.
PEOPLE = Published(0.65, "people, 65 +- 5 %", "Goodfellow et al. 2013, arXiv:1307.0414")
CHALLENGE_WINNER = Published(0.71162, "the winner of the 2013 challenge", "Tang 2013, arXiv:1306.0239")
BEST_SINGLE = Published(0.7414, "the best single network known to us", "Pham, Vu & Tran 2021, ICPR, ResMaskingNet")
VGG = Published(0.7328, "a well-tuned VGGNet", "Khaireddin & Chen 2021, arXiv:2105.03588")
BEST_PUBLISHED = Published(0.7682, "the best ensemble known to us", "Pham, Vu & Tran 2021, ICPR, seven networks")
# Why there is a ceiling at all: ten new votes per face disagree with many of the labels.
LABEL_NOISE = "Barsoum et al. 2016, arXiv:1608.01041 (FER+)"


def check(case: Case) -> Iterator[Finding]:
    evaluated = (c for c in case.of("accuracy") if c.split and c.split not in RUNNING and not c.emotion)
    for claims in grouped(evaluated, lambda claim: (claim.variant, claim.split)).values():
        yield _highest(case, claims)


def _highest(case: Case, claims: list[Claim]) -> Finding:
    """The highest accuracy of a split, less three standard errors of its rows."""
    claim = max(claims, key=lambda c: c.value)
    known = case.evaluated_rows(claim)
    rows = known[0] if known else None
    low = window(claim).low
    error = math.sqrt(low * (1 - low) / rows) if rows and 0 < low < 1 else 0.0
    least = low - STANDARD_ERRORS * error
    reached = BEST_PUBLISHED if least > BEST_PUBLISHED.accuracy else BEST_SINGLE
    if rows is None:
        outcome: Outcome = "cannot tell" if low > BEST_SINGLE.accuracy else "consistent"
    else:
        outcome = (
            "inconsistent"
            if least > BEST_PUBLISHED.accuracy
            else "cannot tell"
            if low > BEST_SINGLE.accuracy
            else "consistent"
        )
    sign = ">" if least > reached.accuracy else "<="
    of = f"{rows:,} rows" if rows else "an unknown number of rows"
    above = [c for c in claims if window(c).low > BEST_PUBLISHED.accuracy] if outcome == "inconsistent" else [claim]
    meanings = {
        "consistent": f"It can be reached by a single network; {PEOPLE.who} ({PEOPLE.source}).",
        "cannot tell": f"It would be among the best published results ({BEST_PUBLISHED.source}).",
        "inconsistent": f"Far above all published results and above {PEOPLE.who} ({PEOPLE.source}): the labels are too "
        f"noisy for it ({LABEL_NOISE}), unless the rows were seen in training.",
    }
    return Finding(
        check=CEILING,
        claims=ids(*above),
        outcome=outcome,
        arithmetic=f"'{claim.split}' {percent(claim.value)}, less {STANDARD_ERRORS:g} standard errors of {of} "
        f"{percent(round(least, 4))}, {sign} {percent(reached.accuracy)} of {reached.who}",
        meaning=meanings[outcome],
    )
