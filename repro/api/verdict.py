"""A verdict on a claimed value from single runs, without specs and records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_jax.vocabulary.errors import UserError
from repro.api.shown import Shown
from repro.evaluation.claim import parse_fraction
from repro.evaluation.errors import EvaluationError
from repro.judge.verdicts import WORDS, missing, sentence
from repro.specs.spec import Claim
from repro.statistics import Decision, Design, Samples, Target, decide
from repro.text.document import Block, Paragraph, strong

TOLERANCE = 0.03  # of an accuracy, as the bundled papers' headlines have it


@dataclass(frozen=True, repr=False)
class Verdict(Shown):
    """The answer, `word` ("reproduced", "lower", "higher", "open", ...), the sentence behind it, and the numbers."""

    claim: Claim
    decision: Decision

    @property
    def word(self) -> str:
        return WORDS[self.decision.outcome]

    @property
    def sentence(self) -> str:
        return sentence(self.claim, self.decision)

    @property
    def missing(self) -> str:
        """What an open verdict lacks; empty for a decided one."""
        return "" if self.decision.decided else missing(self.claim, self.decision)

    def blocks(self) -> Sequence[Block]:
        lacks = f": {self.missing}" if self.missing else ""
        return (Paragraph((strong(self.word), f"{lacks}. {self.sentence}")),)


def verdict(
    *,
    claim: float | str,
    values: Sequence[float],
    samples: int | None = None,
    same_samples: bool = True,
    tolerance: float | None = TOLERANCE,
    tries: int | None = 1,
    resolution: float | None = None,
) -> Verdict:
    """Does an accuracy reproduce? The same statistics as for the bundled papers (docs/verdicts.md), with the spread of
    these runs alone.

    claim: the claimed accuracy, as a fraction or in words, such as "61 %", which also says how it was rounded. values:
    accuracies of single runs, as fractions; a verdict needs three. samples: evaluated per run. same_samples: whether
    these are the very samples of the claim; if not, the error of two different test sets is added, and `samples` is
    needed. tolerance: how far the same result may differ, fixed before any run; None for none. tries: the claim is the
    best of so many runs; None if that is unknown. resolution: worth of the last printed digit, if `claim` is a number.

    Raises UserError for values that are not accuracies.
    """
    value, worth = _printed(claim, resolution)
    if not all(0 <= one <= 1 for one in (value, *values)):
        raise UserError("an accuracy is a fraction from 0 to 1; write 61 % as 0.61 or '61 %'")
    if not same_samples and not samples:
        raise UserError("`samples` is needed if the claim's samples are not ours: how many does each run evaluate?")
    known = Samples.FIXED_OWN if same_samples else Samples.UNKNOWN
    try:
        target = Target(value, worth, tolerance, tries=tries)
        made = decide(
            [float(one) for one in values],
            target,
            Design(known, samples, samples),
            why_no_prior="these runs are not compared with others",
        )
        shown = Claim(
            id="claim",
            quantity="accuracy",
            value=value,
            unit="fraction",
            resolution=worth,
            tolerance=tolerance,
            split="test",
            quote=str(claim),
            place="the caller",
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    return Verdict(shown, made)


def _printed(claim: float | str, resolution: float | None) -> tuple[float, float]:
    """The claimed fraction and the worth of its last printed digit."""
    if not isinstance(claim, str):
        return float(claim), resolution or 0.0
    try:
        value, worth = parse_fraction(claim, "claim")
    except EvaluationError as error:
        raise UserError(f"claim {claim!r}: write 0.61 or '61 %'") from error
    return value, worth if resolution is None else resolution
