"""The verdict on a claim, in words: from the decisions on its runs as published, official and clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_jax.vocabulary.counted import counted
from repro.specs.spec import Claim
from repro.statistics import MIN_RUNS, Decision, Open, Samples
from repro.text import units

Word = Literal[
    "reproduced",
    "reproduced, though lower",
    "reproduced, though higher",
    "only as published",
    "lower",
    "higher",
    "consistent",
    "open",
]
WORDS: dict[str, Word] = {
    "same": "reproduced",
    "same, though lower": "reproduced, though lower",
    "same, though higher": "reproduced, though higher",
    "lower": "lower",
    "higher": "higher",
    "open": "open",
}
REPRODUCED = ("reproduced", "reproduced, though lower", "reproduced, though higher")
# "consistent": no difference was found, and there is no tolerance against which sameness could be tested.
RARE = 1e-6  # smaller probabilities are not printed
LEAK_UNKNOWN = "not audited for leaks"
LEAK_UNTESTED = "it leaks, and was not tested without the leak"
LEAK_UNSETTLED = "it leaks, and the runs without the leak do not settle it"
ONLY_WITH_DUPLICATES = "only with the dataset's duplicates"


@dataclass(frozen=True)
class Judgement:
    """A verdict with the decisions behind it and one or two sentences with their figures.

    word: the verdict. missing: what an open verdict needs, in a few words. published: the decision on the runs as
    published; None for facts, which have no spread. official, clean: decisions for the same network without train/test
    overlap by the paper's mistakes, and without any overlap; None if not run, or if the claim is not about unseen
    samples at the end. caveat: what the verdict leaves open, in a few words. assumed: assumptions of the comparison
    that the paper does not state. dead: number of runs as published that ended no better than the constant answer
    (`repro.judge.dead_runs`).
    same_runs: the runs as published and official are the same. p_family: p-value after Holm's correction.
    """

    word: Word
    published: Decision | None
    reason: str
    missing: str = ""
    official: Decision | None = None
    clean: Decision | None = None
    caveat: str = ""
    assumed: tuple[str, ...] = ()
    dead: int = 0
    same_runs: bool = False
    p_family: float | None = None

    @property
    def verdict(self) -> str:
        """The word, and what an open verdict lacks."""
        return f"{self.word}: {self.missing}" if self.missing and self.word == "open" else self.word


def word_of(decision: Decision) -> Word:
    compared = decision.comparison
    if decision.outcome == "open" and compared and compared.target.tolerance is None and decision.n >= MIN_RUNS:
        return "open" if decision.why_open is Open.UNKNOWN_TRIES else "consistent"
    return WORDS[decision.outcome]


# --- the two questions of the front page ------------------------------------------------------------------------------


def reproduces(judged: Judgement) -> str:
    """Does the number reproduce as published? One word, with what is missing if the verdict is open."""
    if judged.word == "only as published":
        return "yes"
    if judged.word in REPRODUCED:
        side = judged.word.partition(", though ")[2]
        return f"yes ({side}, within the tolerance)" if side else "yes"
    if judged.word == "open":
        return f"open: {judged.missing}"
    if judged.word == "consistent":
        return "open: no tolerance was fixed"
    return f"no ({judged.word})"


def holds(claim: Claim, judged: Judgement) -> str:
    """Does it hold without train/test overlap? One word, with what is missing if the verdict is open.

    no: official and clean runs both miss the claim. If official runs give it and clean runs miss it, it rests on the
    dataset's duplicates and not on a mistake of the paper.
    """
    official, clean = judged.official, judged.clean
    if clean is None:
        return "open: no clean run" if official is not None else "open: not run"
    if clean.decided and not misses(claim, clean):
        return "yes"
    if not clean.decided:
        return f"open: {missing(claim, clean)}"
    if official is None:
        return "open: no official run"
    if not official.decided:
        return f"open: official runs, {missing(claim, official)}"
    return "no" if misses(claim, official) else ONLY_WITH_DUPLICATES


def misses(claim: Claim, decision: Decision) -> bool:
    """Whether runs are plainly worse than the claim: lower, or for a loss higher."""
    return decision.outcome == ("higher" if claim.quantity == "loss" else "lower")


def missing(claim: Claim, decision: Decision) -> str:
    """What an open decision lacks, in a few words."""
    if decision.seeds_needed is not None:
        more = max(1, decision.seeds_needed - decision.n)
        return counted(more, "more seed")
    left = "" if decision.left_over is None else f" leave ±{size(claim, decision.left_over)}"
    match decision.why_open:
        case Open.NO_TOLERANCE:
            return "no tolerance was fixed"
        case Open.OWN_SAMPLES:
            assert decision.comparison is not None
            return f"its {counted(decision.comparison.design.ours or 0, 'sample')}{left}"
        case Open.OTHER_SAMPLES:
            return f"other test samples{left}"
        case Open.UNKNOWN_TRIES:
            assert decision.comparison is not None
            tries = min(decision.comparison.tries_allowed, 1 / RARE)
            more = "more than " if tries == 1 / RARE else ""
            return f"best of how many? {more}{tries:,.0f} tries would explain it"
        case _:
            return f"single runs{left}"


# --- sentences --------------------------------------------------------------------------------------------------------


def sentence(claim: Claim, decision: Decision) -> str:
    """The result of the runs, with the numbers behind it."""
    if decision.low is None or decision.high is None or decision.mean is None or decision.comparison is None:
        count = counted(decision.n, "run") if decision.n else "no run"
        return f"{count}; a verdict needs 3."
    spread = decision.comparison.spread
    low, high = decision.comparison.of_one_run.limits()
    text = (
        f"{counted(decision.n, 'run')}, mean {shown(claim, decision.mean)}: one run of the paper is expected between "
        f"{shown(claim, low)} and {shown(claim, high)}"
    )
    target = decision.comparison.target
    if target.most_tries > 1:  # the limit that the claim is compared with
        up_to = "up to " if target.tries is None else ""
        text += f", the best of {up_to}{target.most_tries:,} below {shown(claim, decision.high)}"
    text += ". "
    text += _outcome(claim, decision)
    if decision.outcome == "lower" or decision.why_open is Open.UNKNOWN_TRIES:
        text += _chance(claim, decision)
    if not spread.moderated and spread.why_own and claim.quantity == "accuracy" and decision.n < 8:
        text += f" Spread of these runs alone ({spread.why_own})."
    if decision.own_outcome is not None and decision.own_outcome != decision.outcome:
        word = WORDS[decision.own_outcome]
        text += f" With the spread of these {counted(decision.n, 'run')} alone it would be {word}."
    if decision.comparison.design.samples is Samples.UNKNOWN:
        text += " The paper evaluated other samples; that error is included."
    return text


def _outcome(claim: Claim, decision: Decision) -> str:
    reported, p = units.reported(claim), f"p = {decision.p_differs:.2g}"
    assert decision.comparison is not None
    tolerance = decision.comparison.target.tolerance
    within = "" if tolerance is None else size(claim, tolerance)
    match decision.outcome:
        case "same":
            return f"The reported {reported} is one of these, and a difference of {within} or more is ruled out."
        case "same, though lower" | "same, though higher":
            return f"The reported {reported} is not one of these ({p}), but a difference of {within} is ruled out."
        case "lower" | "higher":
            return f"The reported {reported} is not one of these ({p})."
    if decision.why_open is Open.UNKNOWN_TRIES:
        return f"The reported {reported} is the best of an unknown number of tries."
    if tolerance is None:
        return f"The reported {reported} is one of these, but no tolerance was fixed."
    said = f"Neither a difference nor one of {within} or more is ruled out"
    if decision.seeds_needed is not None:
        return f"{said}; {counted(decision.seeds_needed, 'seed')} with this mean and spread decide it."
    return f"{said}, and no number of seeds decides it: {missing(claim, decision)}."


def _chance(claim: Claim, decision: Decision) -> str:
    chance = decision.chance
    if chance is None or chance.one_run <= 0 or chance.tries_unlikely < 1:
        return ""
    reached = f" One run gives {units.reported(claim)} or more with probability"
    if chance.one_run < RARE:
        return f"{reached} below one in a million."  # further out, the tail of Student's t is not a measurement
    return (
        f"{reached} {chance.one_run:.2g}; the best of {chance.tries_unlikely:,.0f} independent runs does so once in "
        f"twenty, the best of {chance.tries_even:,.0f} every second time."
    )


def shown(claim: Claim, value: float) -> str:
    """A value in the unit in which the claim is displayed; an accuracy is kept within 0 to 100 %."""
    value = min(max(value, 0.0), 1.0) if claim.unit == "fraction" else value
    return units.mean_and_spread(claim, value, None)


def size(claim: Claim, width: float) -> str:
    """A difference in the unit in which the claim is displayed: points for percentages."""
    scale, unit = units.DISPLAY_SCALE.get(claim.unit, 1.0), units.DIFFERENCE_UNIT.get(claim.unit, claim.unit)
    return units.with_unit(units.number(width * scale, max(1, units.measured_decimals(claim))), unit)
